"""Write heads, and answers of our own."""

from __future__ import annotations

from http import HTTPStatus

from proxy.http1.framing import CRLF
from proxy.http1.request import RequestHead

_REASONS = {status.value: status.phrase.encode() for status in HTTPStatus}


def request_head(head: RequestHead, fields: bytes) -> bytes:
    """Serialize a request head for an upstream, always as HTTP/1.1; `fields` is its block of lines."""
    return b"%b %b HTTP/1.1%b\r\n" % (head.method, head.target, fields)


def local_reply(
    status: int, body: bytes, *, keep_alive: bool, lines: tuple[bytes, ...] = (), head: bool = False
) -> bytes:
    """Serialize an answer of our own; `head`: to a HEAD request, so without the body."""
    out = [b"HTTP/1.1 %d %b" % (status, _REASONS.get(status, b"Unknown")), *lines]
    if body:
        out.append(b"content-type: text/plain")
    out.append(b"content-length: %d" % len(body))
    if not keep_alive:
        out.append(b"connection: close")
    return CRLF.join([*out, b"", b"" if head else body])
