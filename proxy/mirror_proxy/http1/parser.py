"""The grammar of a message head, judged by llhttp: the only importer of httptools.

llhttp is a tokenizer, not a policy. It gets one complete head and answers yes or no; what the head means
is decided in `framing`. A parser costs 0.2 µs to make, so each head gets a fresh one and no state of one
message can leak into the next.
"""

from __future__ import annotations

import httptools

from mirror_proxy.errors import BadMessageError


class _NoCallbacks:
    """Names every callback, as None: a look-up that fails costs ten times one that finds (2 µs a parser)."""

    on_message_begin = on_url = on_status = on_header = on_headers_complete = None
    on_body = on_chunk_header = on_chunk_complete = on_message_complete = None


_NO_CALLBACKS = _NoCallbacks()
#: What httptools says of a 101 without `Connection: upgrade` and `Upgrade`, and what that means.
_PAUSE = "Pause on CONNECT/Upgrade"
_NO_UPGRADE = "101 without Connection: upgrade and Upgrade"


def check_request(raw: bytes) -> None:
    """Raise `BadMessageError` (400) unless `raw` is one grammatical request head, blank line included."""
    try:
        httptools.HttpRequestParser(_NO_CALLBACKS).feed_data(raw)
    except httptools.HttpParserUpgrade:
        return  # llhttp stops at Upgrade and CONNECT; the head itself is fine
    except httptools.HttpParserError as error:
        raise BadMessageError(400, _reason(error)) from None


def check_response(raw: bytes) -> None:
    """Raise `BadMessageError` (502) unless `raw` is one grammatical response head, blank line included."""
    try:
        httptools.HttpResponseParser(_NO_CALLBACKS).feed_data(raw)
    except httptools.HttpParserUpgrade:
        return
    except httptools.HttpParserError as error:
        reason = _reason(error)
        raise BadMessageError(502, _NO_UPGRADE if reason == _PAUSE else reason) from None


def _reason(error: Exception) -> str:
    text = str(error.args[0]) if error.args else "malformed head"
    return text if text.isprintable() else "malformed head"
