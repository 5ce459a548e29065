"""Serialize heads, chunks, and responses of the proxy itself."""

from __future__ import annotations

from collections.abc import Iterable
from http import HTTPStatus

from mirror_proxy.http1.framing import CRLF
from mirror_proxy.http1.mutation import Mutation
from mirror_proxy.http1.request import RequestHead

_REASONS = {status.value: status.phrase.encode() for status in HTTPStatus}
_WITHOUT_BODY = frozenset({204, 304})
#: Payload of this size or more is written separately from its framing, not copied into it.
_WORTH_A_WRITE = 4096


def request_head(head: RequestHead, fields: bytes, target: bytes = b"") -> bytes:
    """Serialize a request head for an upstream, always as HTTP/1.1; `fields` is its block of lines."""
    return b"%b %b HTTP/1.1%b\r\n" % (head.method, target or head.target, fields)


def chunk(data: bytes, end: bool, trailers: bytes = b"") -> list[bytes]:
    """Frame `data` as one chunk (RFC 9112 §7.1), or as none if empty; `end` adds the last chunk and `trailers`.

    `trailers` are lines that each end with CRLF. Returns the pieces to write, in order.
    """
    last = b"0\r\n%b\r\n" % trailers if end else b""
    if not data:
        return [last] if end else []
    if len(data) < _WORTH_A_WRITE:
        return [b"%x\r\n%b\r\n%b" % (len(data), data, last)]
    return [b"%x\r\n" % len(data), data, b"\r\n" + last]


def local_reply(
    status: int,
    body: bytes,
    *,
    keep_alive: bool,
    lines: Iterable[bytes] = (),
    mutations: Iterable[Mutation] = (),
    head: bool = False,
) -> bytes:
    """Serialize a response with `lines`, then changed by `mutations`; `head` leaves the body out, as for HEAD.

    A 204 or 304 has neither body nor length (RFC 9110 §8.6).
    """
    if status in _WITHOUT_BODY:
        body = b""
    out = [*lines]
    if body:
        out.append(b"content-type: text/plain")
    if status not in _WITHOUT_BODY:
        out.append(b"content-length: %d" % len(body))
    for mutation in mutations:
        out = mutation.change(out)
    if not keep_alive:
        out.append(b"connection: close")
    start = b"HTTP/1.1 %d %b" % (status, _REASONS.get(status, b"Unknown"))
    return CRLF.join([start, *out, b"", b"" if head else body])
