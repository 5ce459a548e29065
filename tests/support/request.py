"""Requests as routing sees them, without a connection."""

from __future__ import annotations

from mirror_proxy.http1.request import RequestHead, read_request
from mirror_proxy.routing.view import RequestView


class Port:
    """A listener without TLS."""

    scheme = b"http"

    def __init__(self, local_port: int = 8080) -> None:
        self.local_port = local_port


def head_of(
    target: bytes = b"/", *lines: bytes, method: bytes = b"GET", host: bytes = b"shop"
) -> RequestHead:
    """Read a head, as it came from a client."""
    raw = b"\r\n".join([b"%b %b HTTP/1.1" % (method, target), b"host: " + host, *lines, b"", b""])
    return read_request(raw, 100, frozenset())


def view_of(
    target: bytes = b"/", *lines: bytes, method: bytes = b"GET", host: bytes = b"shop"
) -> RequestView:
    """Make what a route's conditions see."""
    head = head_of(target, *lines, method=method, host=host)
    return RequestView(head, head.fields, Port())
