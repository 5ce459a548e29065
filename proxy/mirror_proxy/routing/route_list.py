"""The routes of one virtual host: the first in order that takes a request has it, found by index, not by scan.

Routes are kept by exact path and by prefix, one dictionary for each length of prefix, so what a request costs
does not grow with their number. Each dictionary gives candidates in order, whose other conditions are then checked;
routes without a condition on the path, or with a pattern, are always candidates. Measured by `python -m benchmarks
--scenario "routing_1000_*"`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Generic, TypeAlias, TypeVar

from mirror_proxy.config import model
from mirror_proxy.http1.request import RequestHead
from mirror_proxy.routing.match import CompiledMatch, is_empty, is_for_every_path, whole_segments
from mirror_proxy.routing.view import DownstreamInfo, RequestView, path_of

R = TypeVar("R")

#: A place in the order, what must hold besides the path, and the route.
Candidate: TypeAlias = tuple[int, CompiledMatch | None, R]


class RouteList(Generic[R]):
    """Routes in order, each under one block of conditions (None: it takes everything)."""

    __slots__ = ("_always", "_as_written", "_folded", "_is_closed", "_routes", "sole")

    def __init__(self, routes: Iterable[tuple[model.Match | None, R]] = ()) -> None:
        self._routes: list[tuple[model.Match | None, R]] = []
        self._is_closed = False
        self._as_written: _PathIndex[R] = _PathIndex()
        self._folded: _PathIndex[R] = _PathIndex()
        self._always: list[Candidate[R]] = []
        #: The route that takes every request, where that is the first.
        self.sole: R | None = None
        for config, route in routes:
            self.append(config, route)

    def append(self, config: model.Match | None, route: R) -> None:
        """Put a route behind the others; behind one that takes everything, it is out of reach and left out."""
        if self._is_closed:
            return
        place = len(self._routes)
        if config is None or is_empty(config):
            self._is_closed = True
            self._always.append((place, None, route))
            self._routes.append((None, route))
            if not place:
                self.sole = route
        else:
            self._index(place, config, route)
            self._routes.append((config, route))

    def _index(self, place: int, config: model.Match, route: R) -> None:
        path = config.path
        if path is None or path.kind == "regex" or is_for_every_path(config):
            self._always.append((place, CompiledMatch(config), route))
            return
        index = self._folded if path.ignore_case else self._as_written
        value = (path.value.lower() if path.ignore_case else path.value).encode()
        candidate = (place, CompiledMatch(config, with_path=False) or None, route)
        if path.kind == "exact":
            index.add_exact(value, candidate)
        elif path.kind == "prefix":
            index.add_prefix(value, candidate)
        else:
            prefix = whole_segments(value)
            index.add_exact(prefix, candidate)
            index.add_prefix(prefix + b"/", candidate)

    def match(self, head: RequestHead, fields: bytes, arrival: DownstreamInfo) -> R | None:
        """Give the first route that takes the request, or None; `fields` and `arrival` as in `RequestView`."""
        if self.sole is not None:
            return self.sole
        path = path_of(head.target)
        candidates = self._as_written.candidates(path)
        if self._folded.is_used:
            candidates += self._folded.candidates(path.lower())
        if self._always:
            candidates.append(self._always)
        best, found, view = len(self._routes), None, None
        for some in candidates:
            for place, match, route in some:
                if place >= best:
                    break
                if match is not None:
                    view = view or RequestView(head, fields, arrival)
                    if not match.takes(view):
                        continue
                best, found = place, route
                break
        return found

    def explain(self, view: RequestView) -> Iterator[tuple[R, str | None]]:
        """Give each route in order with what keeps it from the request, as far as the one that takes it (None)."""
        for config, route in self._routes:
            reason = None if config is None else CompiledMatch(config).failing_condition(view)
            yield route, reason
            if reason is None:
                return


class _PathIndex(Generic[R]):
    """Candidates by exact path and by prefix."""

    __slots__ = ("_exact", "_prefixes", "is_used")

    def __init__(self) -> None:
        self._exact: dict[bytes, list[Candidate[R]]] = {}
        self._prefixes: dict[int, dict[bytes, list[Candidate[R]]]] = {}
        self.is_used = False

    def add_exact(self, path: bytes, candidate: Candidate[R]) -> None:
        self.is_used = True
        self._exact.setdefault(path, []).append(candidate)

    def add_prefix(self, prefix: bytes, candidate: Candidate[R]) -> None:
        self.is_used = True
        self._prefixes.setdefault(len(prefix), {}).setdefault(prefix, []).append(candidate)

    def candidates(self, path: bytes) -> list[list[Candidate[R]]]:
        """Give the lists of those whose condition on the path holds, each in order."""
        exact = self._exact.get(path)
        found = [] if exact is None else [exact]
        for length, by_prefix in self._prefixes.items():
            some = by_prefix.get(path[:length])
            if some is not None:
                found.append(some)
        return found
