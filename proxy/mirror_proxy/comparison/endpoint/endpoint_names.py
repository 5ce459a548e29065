"""Name the endpoints of pairs, within bounds that no client can exceed.

A name is a method, a path with placeholders, and the operation where the path serves several; the path is that of a
template that the user gave, if there is one. Where v1's response is an error or a redirect, its status is part of the
name, as in `GET /shop/{} (404)`: such responses have nothing in common with the others; a status that no standard names
is `other`. Of paths that v1 does not know either, as scanners try them, only the first few have names. A route has at
most `MAX_NAMES` endpoints. When there is no room for another, those that were not seen for `EXPIRY_S` expire, and
things of one kind are folded (see `siblings`), at last of few siblings too. What still has no room is `OTHER`.
"""

from __future__ import annotations

from collections.abc import Iterable

from mirror_proxy.comparison.diff.header import fields_of
from mirror_proxy.comparison.diff.pair import Pair
from mirror_proxy.comparison.diff.totals import OTHER
from mirror_proxy.comparison.endpoint.operation import operation
from mirror_proxy.comparison.endpoint.parts import Parts, name_of
from mirror_proxy.comparison.endpoint.path import path_of, shapes
from mirror_proxy.comparison.endpoint.segment import PLACEHOLDER, extension, placeholder
from mirror_proxy.comparison.endpoint.siblings import MAX_LIGHT, MAX_SIBLINGS, folded
from mirror_proxy.comparison.endpoint.template_tree import TemplateTree
from mirror_proxy.config.model import EndpointTemplate
from mirror_proxy.telemetry.stats import code_label

MAX_NAMES = 500
MAX_NAMES_IN_ALL = 5_000
#: Endpoints of a route that were found by a 404 of the primary; further ones are `NOT_FOUND`.
MAX_NOT_FOUND = 20
NOT_FOUND = "(not found)"
#: A name expires this long after it was last seen. Room is looked for this often at most.
EXPIRY_S = 900.0
SEARCH_S = 60.0

#: How many siblings of few requests keep their names, as there is less and less room.
_MAX_LIGHT = (MAX_LIGHT, 8, 3)
_MAX_METHOD = 20
_MAX_OPERATION = 100
_NOT_FOUND_STATUS = 404


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
        is_found = template is not None or pair.primary.status != _NOT_FOUND_STATUS
        parts = route.parts(pair, template)
        if parts not in route.last_seen and self._is_full(route):
            self._make_room(now)
            parts = route.parts(pair, template)
            if parts not in route.last_seen and self._is_full(route):
                return OTHER
        if not route.take(parts, now, is_found=is_found):
            return f"{parts[0]} {NOT_FOUND}"
        status = pair.primary.status
        return name_of(parts) if 200 <= status < 300 else f"{name_of(parts)} ({code_label(status)})"

    def _is_full(self, route: _RouteNames) -> bool:
        in_all = sum(len(one.last_seen) for one in self._routes.values())
        return len(route.last_seen) >= MAX_NAMES or in_all >= MAX_NAMES_IN_ALL

    def _make_room(self, now: float) -> None:
        if now < self._next_search:
            return
        self._next_search = now + SEARCH_S
        for route in self._routes.values():
            route.expire(now - EXPIRY_S)
        for max_light in _MAX_LIGHT:
            for route in filter(self._is_full, self._routes.values()):
                route.fold(max_light)


class _RouteNames:
    """The endpoints of one route."""

    def __init__(self) -> None:
        self.last_seen: dict[Parts, float] = {}
        self._requests: dict[Parts, int] = {}
        self._not_found: set[Parts] = set()
        #: The segments that have names, by what is before them.
        self._children: dict[Parts, set[str]] = {}
        #: What is before segments that name things of one kind, and the extension of these.
        self._varying: set[tuple[Parts, str]] = set()

    def parts(self, pair: Pair, template: str | None) -> Parts:
        """Return the parts of a pair's endpoint, with a placeholder for each segment that has no name."""
        method = pair.method[:_MAX_METHOD]
        parts = (method, *template.split("/")) if template is not None else self._path(method, pair.target)
        found = operation(pair.target, fields_of(pair.fields), pair.body.decode("utf-8", "replace"))
        if found is None or not found.text:
            return parts
        name = f" {found.text[:_MAX_OPERATION]}"
        return (*parts, name if self._has_name(parts, name) else f" {OTHER}")

    def _path(self, method: str, target: str) -> Parts:
        parts: Parts = (method,)
        for segment in shapes(target):
            is_named = PLACEHOLDER in segment or self._has_name(parts, segment)
            parts = (*parts, segment if is_named else placeholder(segment))
        return parts

    def _has_name(self, before: Parts, segment: str) -> bool:
        children = self._children.get(before, ())
        if segment in children:
            return True
        return len(children) < MAX_SIBLINGS and (before, extension(segment)) not in self._varying

    def take(self, parts: Parts, now: float, *, is_found: bool) -> bool:
        """Note that an endpoint was seen; return False for one of many that v1 does not know."""
        if parts not in self.last_seen:
            if not is_found and len(self._not_found) >= MAX_NOT_FOUND:
                return False
            self._add(parts)
            if not is_found:
                self._not_found.add(parts)
        elif is_found:
            self._not_found.discard(parts)
        self.last_seen[parts] = now
        self._requests[parts] = self._requests.get(parts, 0) + 1
        return True

    def expire(self, before: float) -> None:
        """Remove what was seen last before that."""
        last_seen = {parts: last for parts, last in self.last_seen.items() if last > before}
        self._replace(last_seen, {parts: self._requests[parts] for parts in last_seen})

    def fold(self, max_light: int) -> None:
        """Fold things of one kind: more than `max_light` siblings of few requests each."""
        last_seen, requests = self.last_seen, self._requests
        for parts, name in folded(list(requests.items()), max_light).items():
            last_seen[name] = max(last_seen.pop(parts), last_seen.get(name, 0.0))
            requests[name] = requests.pop(parts) + requests.get(name, 0)
            for place, (part, its) in enumerate(zip(parts, name, strict=True)):
                if part != its:
                    self._varying.add((name[:place], extension(part)))
        self._replace(last_seen, requests)

    def _replace(self, last_seen: dict[Parts, float], requests: dict[Parts, int]) -> None:
        self.last_seen, self._requests = last_seen, requests
        self._not_found &= last_seen.keys()
        self._children.clear()
        for parts in last_seen:
            self._add(parts)
        self._varying = {one for one in self._varying if one[0] in self._children}

    def _add(self, parts: Parts) -> None:
        for place in range(1, len(parts)):
            self._children.setdefault(parts[:place], set()).add(parts[place])
