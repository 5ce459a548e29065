"""A request as a route's conditions see it: after our own fields are on it, before a route changed any (as in Envoy).

Made only for a request that some condition looks at, and each part only on demand.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from mirror_proxy.http1.request import RequestHead

#: Fields whose lines Envoy 1.40 joins (its inline headers), as far as requests have them; found by asking it.
_JOINED = frozenset(
    {
        b"accept", b"accept-encoding", b"access-control-request-headers", b"access-control-request-method",
        b"authorization", b"cache-control", b"cdn-loop", b"content-encoding", b"content-type", b"expect",
        b"grpc-accept-encoding", b"grpc-timeout", b"if-match", b"if-modified-since", b"if-none-match", b"if-range",
        b"if-unmodified-since", b"origin", b"pragma", b"referer", b"user-agent", b"via", b"x-client-trace-id",
        b"x-envoy-attempt-count", b"x-forwarded-host", b"x-forwarded-port",
    }
)  # fmt: skip


class DownstreamInfo(Protocol):
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

    __slots__ = ("_arrival", "_fields", "_lower", "_query", "authority", "method", "path", "target")

    def __init__(self, head: RequestHead, fields: bytes, arrival: DownstreamInfo) -> None:
        self.path = path_of(head.target)
        self.method = head.method
        self.authority = head.host
        self.target = head.target
        self._fields = fields
        self._lower = b""
        self._query: dict[bytes, bytes] | None = None
        self._arrival = arrival

    @property
    def port(self) -> int:
        """The listener's port."""
        return self._arrival.local_port

    @property
    def scheme(self) -> bytes:
        """`http` or `https`: what a trusted proxy in front said it was, else the connection's."""
        said = (self.header(b"x-forwarded-proto") or b"").lower()
        return said if said in (b"http", b"https") else self._arrival.scheme

    def header(self, name: bytes) -> bytes | None:
        """Give a field's whole value, its lines joined with a comma (a cookie's with a semicolon); None without one."""
        values = self.values(name)
        return (b"; " if name == b"cookie" else b",").join(filter(None, values)) if values else None

    def values(self, name: bytes) -> Sequence[bytes]:
        """Give a field's values as a match sees them, none without one; `name` is lower case.

        Envoy 1.40 looks at each line for itself, but knows some fields by name and joins their lines as it reads them,
        except empty ones (`HeaderMapImpl::appendToHeader`).
        """
        if name[:1] == b":":
            return self._pseudo_header(name)
        if name == b"host":
            return (self.authority,)
        lines = self._lines(name)
        return (b",".join(filter(None, lines)),) if len(lines) > 1 and name in _JOINED else lines

    def query(self, name: bytes) -> bytes | None:
        """Give the first value of a query parameter as it was written, empty for `?name`; None without one."""
        found = self._query
        if found is None:
            found = self._query = {}
            for pair in self.target.partition(b"?")[2].split(b"&"):
                key, _, value = pair.partition(b"=")
                found.setdefault(key, value)
        return found.get(name)

    def _lines(self, name: bytes) -> list[bytes]:
        """Search the lines of a field; parsing them all would cost more, as most conditions need one or two."""
        fields, needle = self._fields, b"\r\n%b:" % name
        lower = self._lower = self._lower or fields.lower()
        at = lower.find(needle)
        found = []
        while at >= 0:
            start = at + len(needle)
            end = fields.find(b"\r\n", start)
            found.append(fields[start:end].strip(b" \t"))
            at = lower.find(needle, end)
        return found

    def _pseudo_header(self, name: bytes) -> Sequence[bytes]:
        if name == b":scheme":
            return (self.scheme,)
        found = {b":method": self.method, b":authority": self.authority, b":path": self.target}.get(name)
        return () if found is None else (found,)
