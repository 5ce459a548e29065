"""Name the endpoints of pairs, within bounds that no client can exceed.

A name is a method, a path with placeholders, and the operation where the path serves several; the path is that of a
template that the user gave, if there is one. Under one path at most `MAX_CHILDREN` segments have names; later ones
become a placeholder. A route has at most `MAX_NAMES` endpoints; later ones are `OTHER`, until one that was not seen for
long makes room. Of paths that v1 does not know either, as scanners try them, only the first few have names.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from mirror_proxy.comparison.diff.header import fields_of
from mirror_proxy.comparison.diff.pair import Pair
from mirror_proxy.comparison.diff.totals import OTHER
from mirror_proxy.comparison.endpoint.operation import operation
from mirror_proxy.comparison.endpoint.path import path_of, shapes
from mirror_proxy.comparison.endpoint.segment import PLACEHOLDER, placeholder
from mirror_proxy.comparison.endpoint.template_tree import TemplateTree
from mirror_proxy.config.model import EndpointTemplate

MAX_CHILDREN = 200
MAX_NAMES = 500
MAX_NAMES_IN_ALL = 5_000
#: Endpoints of a route that were found by a 404 of the primary; further ones are `NOT_FOUND`.
MAX_NOT_FOUND = 20
NOT_FOUND = "(not found)"
#: A name expires this long after it was last seen; a full table is searched for expired ones this often.
EXPIRY_S = 900.0
SEARCH_S = 60.0

_MAX_METHOD = 20
_MAX_OPERATION = 100
_NOT_FOUND_STATUS = 404

#: The parts of a name: method, segments, and operation or nothing.
Parts = tuple[str, ...]


class EndpointNames:
    """The endpoints of all routes that one comparer has seen."""

    def __init__(self) -> None:
        self._routes: dict[str, _RouteNames] = {}
        self._templates = TemplateTree(())
        self._next_search = 0.0

    def configure(self, templates: Iterable[EndpointTemplate]) -> None:
        """Name endpoints by these templates first, from the next pair on."""
        self._templates = TemplateTree(templates)

    def name(self, pair: Pair, now: float) -> str:
        """Return the name under which a pair's endpoint is counted."""
        route = self._routes.setdefault(pair.route, _RouteNames())
        template = self._templates.find(pair.method, path_of(pair.target))
        parts = route.parts(pair, template)
        is_found = template is not None or pair.primary.status != _NOT_FOUND_STATUS
        is_known = parts in route.seen
        if not is_known and self._is_full(route):
            self._expire(now)
            if self._is_full(route):
                return OTHER
        if not is_known and not route.learn(parts, is_found=is_found):
            return f"{parts[0]} {NOT_FOUND}"
        route.see(parts, now, is_found=is_found)
        return _text(parts)

    def _is_full(self, route: _RouteNames) -> bool:
        in_all = sum(len(one.seen) for one in self._routes.values())
        return len(route.seen) >= MAX_NAMES or in_all >= MAX_NAMES_IN_ALL

    def _expire(self, now: float) -> None:
        if now < self._next_search:
            return
        self._next_search = now + SEARCH_S
        for route in self._routes.values():
            route.expire(now - EXPIRY_S)


class _RouteNames:
    """The endpoints of one route: when each was `seen` last."""

    def __init__(self) -> None:
        self.seen: dict[Parts, float] = {}
        self._children: dict[Parts, set[str]] = {}
        self._not_found: set[Parts] = set()

    def parts(self, pair: Pair, template: str | None) -> Parts:
        """Return the parts of a pair's endpoint, with a placeholder for each segment that has no room."""
        method = pair.method[:_MAX_METHOD]
        parts = (method, *template.split("/")) if template is not None else self._path(method, pair.target)
        found = operation(pair.target, fields_of(pair.fields), pair.body.decode("utf-8", "replace"))
        if found is None or not found.text:
            return parts
        name = f" {found.text[:_MAX_OPERATION]}"
        children = self._children.get(parts, ())
        return (*parts, name if name in children or len(children) < MAX_CHILDREN else f" {OTHER}")

    def _path(self, method: str, target: str) -> Parts:
        parts: Parts = (method,)
        for segment in shapes(target):
            children = self._children.get(parts, ())
            has_room = segment in children or PLACEHOLDER in segment or len(children) < MAX_CHILDREN
            parts = (*parts, segment if has_room else placeholder(segment))
        return parts

    def learn(self, parts: Parts, *, is_found: bool) -> bool:
        """Take up a new endpoint; return False for one that is not found, when there are many of these."""
        if not is_found:
            if len(self._not_found) >= MAX_NOT_FOUND:
                return False
            self._not_found.add(parts)
        for before, child in _steps(parts):
            self._children.setdefault(before, set()).add(child)
        return True

    def see(self, parts: Parts, now: float, *, is_found: bool) -> None:
        """Note that an endpoint is in use."""
        self.seen[parts] = now
        if is_found:
            self._not_found.discard(parts)

    def expire(self, before: float) -> None:
        """Remove what was seen last before that."""
        self.seen = {parts: last for parts, last in self.seen.items() if last > before}
        self._not_found &= self.seen.keys()
        self._children.clear()
        for parts in self.seen:
            self.learn(parts, is_found=True)


def _steps(parts: Parts) -> Iterator[tuple[Parts, str]]:
    for place in range(1, len(parts)):
        yield parts[:place], parts[place]


def _text(parts: Parts) -> str:
    method, first, *rest = parts
    path = "".join(part if part.startswith(" ") else f"/{part}" for part in rest)
    return f"{method} {first}{path}"
