"""The route table: host to virtual host to route (step 4 of the walk)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Generic, TypeVar

R = TypeVar("R")


class RouteTable(Generic[R]):
    """Routes by virtual host, searched in Envoy's order: exact, longest suffix wildcard, `*`.

    Matching ignores case and the port, as Istio configures Envoy (`ignore_port_in_host_matching`). Each virtual
    host has one route for now; matches within it come with the rest of VirtualService.
    """

    __slots__ = ("_catch_all", "_exact", "_suffixes")

    def __init__(self, hosts: Sequence[tuple[Sequence[str], R]]) -> None:
        self._exact: dict[bytes, R] = {}
        suffixes: dict[bytes, R] = {}
        self._catch_all: R | None = None
        for domains, route in hosts:
            for domain in domains:
                if domain == "*":
                    self._catch_all = self._catch_all or route
                elif domain.startswith("*"):
                    suffixes.setdefault(domain[1:].lower().encode(), route)
                else:
                    self._exact.setdefault(domain.lower().encode(), route)
        self._suffixes = sorted(suffixes.items(), key=lambda item: len(item[0]), reverse=True)

    def match(self, host: bytes) -> R | None:
        """Give the route for a Host field, or None."""
        if not self._exact and not self._suffixes:
            return self._catch_all
        name = _without_port(host).lower()
        route = self._exact.get(name)
        if route is not None:
            return route
        for suffix, candidate in self._suffixes:
            if name.endswith(suffix) and len(name) > len(suffix):
                return candidate
        return self._catch_all


def _without_port(host: bytes) -> bytes:
    if host.startswith(b"["):
        return host.partition(b"]")[0] + b"]"
    return host.partition(b":")[0]
