"""A request as a route's conditions see it: after our own fields are on it, before a route changed any (as in Envoy).

Made only for a request that some condition asks about, and each part only when it is asked for.
"""

from __future__ import annotations

from functools import cached_property
from typing import Protocol

from proxy.http1.framing import lines_of
from proxy.http1.request import RequestHead


class Arrival(Protocol):
    """Where a request came in."""

    scheme: bytes

    @property
    def local_port(self) -> int:
        """The listener's port."""


def path_of(target: bytes) -> bytes:
    """Give a request target's path, without the query."""
    return target.partition(b"?")[0]


class RequestView:
    """One request; `fields` is the block of header lines that its primary would be sent if no route changed it."""

    def __init__(self, head: RequestHead, fields: bytes, arrival: Arrival) -> None:
        self.path = path_of(head.target)
        self.method = head.method
        self.authority = head.host
        self.target = head.target
        self._fields = fields
        self._arrival = arrival

    @property
    def port(self) -> int:
        """The listener's port."""
        return self._arrival.local_port

    @cached_property
    def scheme(self) -> bytes:
        """`http` or `https`: what a trusted proxy in front said it was, else the connection's."""
        said = self._headers.get(b"x-forwarded-proto", b"").lower()
        return said if said in (b"http", b"https") else self._arrival.scheme

    def header(self, name: bytes) -> bytes | None:
        """Give a field's value, its lines joined with a comma (a cookie's with a semicolon); None without one."""
        if name[:1] == b":":
            return self._pseudo_header(name)
        return self.authority if name == b"host" else self._headers.get(name)

    def query(self, name: bytes) -> bytes | None:
        """Give the first value of a query parameter as it was written, empty for `?name`; None without one."""
        return self._query.get(name)

    def _pseudo_header(self, name: bytes) -> bytes | None:
        if name == b":scheme":
            return self.scheme
        return {b":method": self.method, b":authority": self.authority, b":path": self.target}.get(name)

    @cached_property
    def _headers(self) -> dict[bytes, bytes]:
        found: dict[bytes, bytes] = {}
        for line in lines_of(self._fields):
            name, _, value = line.partition(b":")
            name, value = name.lower(), value.strip(b" \t")
            if name in found:
                value = found[name] + (b"; " if name == b"cookie" else b",") + value
            found[name] = value
        return found

    @cached_property
    def _query(self) -> dict[bytes, bytes]:
        found: dict[bytes, bytes] = {}
        for pair in self.target.partition(b"?")[2].split(b"&"):
            name, _, value = pair.partition(b"=")
            found.setdefault(name, value)
        return found
