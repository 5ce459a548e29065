"""The route table: host to virtual host to route (step 3 of the walk)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Generic, TypeVar

from mirror_proxy.http1.framing import Memo
from mirror_proxy.http1.request import RequestHead
from mirror_proxy.routing.route_list import RouteList
from mirror_proxy.routing.view import DownstreamInfo, RequestView

R = TypeVar("R")


class RouteTable(Generic[R]):
    """Virtual hosts, searched in Envoy's order: exact, longest suffix wildcard, `*`; then their routes.

    Matching ignores the case of a host and its port, as Istio configures Envoy (`ignore_port_in_host_matching`).
    Of two virtual hosts with the same domain the first counts.
    """

    __slots__ = ("_catch_all", "_exact", "_host_of", "_sole", "_suffixes")

    def __init__(self, hosts: Sequence[tuple[Sequence[str], RouteList[R]]]) -> None:
        self._exact: dict[bytes, RouteList[R]] = {}
        self._suffixes: dict[int, dict[bytes, RouteList[R]]] = {}
        self._catch_all: RouteList[R] | None = None
        for domains, routes in hosts:
            for domain in domains:
                self._add(domain.lower().encode(), routes)
        self._suffixes = dict(sorted(self._suffixes.items(), reverse=True))
        #: Knows the dictionaries, not the table: in a cycle, a table that no request uses any more would stay.
        self._host_of = Memo(partial(_find, self._exact, self._suffixes, self._catch_all))
        has_one = not self._exact and not self._suffixes and self._catch_all is not None
        self._sole = self._catch_all if has_one else None

    def _add(self, domain: bytes, routes: RouteList[R]) -> None:
        if domain == b"*":
            self._catch_all = self._catch_all or routes
        elif domain.startswith(b"*"):
            suffix = domain[1:]
            self._suffixes.setdefault(len(suffix), {}).setdefault(suffix, routes)
        else:
            self._exact.setdefault(domain, routes)

    def match(self, head: RequestHead, fields: bytes, arrival: DownstreamInfo) -> R | None:
        """Give the route for a request, or None; `fields` and `arrival` as in `RequestView`."""
        routes = self._sole or self._host_of[head.host]
        return None if routes is None else routes.match(head, fields, arrival)

    def explain(self, view: RequestView) -> Iterator[tuple[R, str | None]]:
        """Give the routes of the request's virtual host as `RouteList.explain` does; none without a virtual host."""
        routes = self._host_of[view.authority]
        return iter(()) if routes is None else routes.explain(view)


def _find(
    exact: dict[bytes, RouteList[R]],
    suffixes: dict[int, dict[bytes, RouteList[R]]],
    catch_all: RouteList[R] | None,
    host: bytes,
) -> RouteList[R] | None:
    name = _without_port(host).lower()
    routes = exact.get(name)
    if routes is not None:
        return routes
    for length, by_suffix in suffixes.items():
        routes = by_suffix.get(name[-length:]) if len(name) > length else None
        if routes is not None:
            return routes
    return catch_all


def _without_port(host: bytes) -> bytes:
    if host.startswith(b"["):
        return host.partition(b"]")[0] + b"]"
    return host.partition(b":")[0]
