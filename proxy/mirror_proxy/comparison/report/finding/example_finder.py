"""Examples for findings and fields: of different requests where there are such, the newest first."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence

from mirror_proxy.comparison.diff.example import Example, Search
from mirror_proxy.comparison.diff.record import Place
from mirror_proxy.comparison.report.fields import JudgedField
from mirror_proxy.comparison.report.finding.change import Change, Endpoint

#: Findings and fields that examples are searched for; the rest has those that others have found.
MAX_SEARCHES = 60
#: A place of several endpoints is searched page by page for those that are wanted.
_PAGES = 3

FindExamples = Callable[[Search], Sequence[Example]]


class ExampleFinder:
    """Finds at most `most` examples, not older than `since`, of changes and fields of one mirror."""

    def __init__(self, find: FindExamples, mirror: str, since: float, most: int) -> None:
        self._find = find
        self._mirror = mirror
        self._since = since
        self._most = most
        self._searches = 0
        self._known: dict[Place, dict[int, Example]] = defaultdict(dict)

    def of_change(self, change: Change) -> tuple[Example, ...]:
        """Return examples of a change."""
        endpoints = frozenset(change.endpoints)
        found = [one for place in change.places[:_PAGES] for one in self._search(place, endpoints)]
        return tuple(_different(found)[: self._most])

    def of_field(self, field: JudgedField, *, may_search: bool) -> tuple[Example, ...]:
        """Return examples of a field; unless a search is allowed, of those that were found already."""
        place, endpoints = (field.path, field.kind), frozenset({(field.route, field.endpoint)})
        if may_search:
            self._search(place, endpoints)
        found = [one for one in self._known.get(place, {}).values() if _is_of(one, endpoints)]
        return tuple(_different(sorted(found, key=lambda one: -one.number))[: self._most])

    def _search(self, place: Place, endpoints: Collection[Endpoint]) -> list[Example]:
        path, kind = place
        route = next(iter(endpoints))[0] if len({route for route, _ in endpoints}) == 1 else None
        found: list[Example] = []
        before: int | None = None
        for _ in range(_PAGES):
            if self._most == 0 or self._searches >= MAX_SEARCHES:
                break
            self._searches += 1
            page = self._find(
                Search(self._since, route, self._mirror, path, kind, before, limit=2 * self._most)
            )
            found += [one for one in page if _is_of(one, endpoints)]
            if len(page) < 2 * self._most or len(_different(found)) >= self._most:
                break
            before = page[-1].number
        for example in found:
            for one in example.differences:
                self._known[one.path, one.kind][example.number] = example
        return found


def _is_of(example: Example, endpoints: Collection[Endpoint]) -> bool:
    return not example.endpoint or (example.route, example.endpoint) in endpoints


def _different(examples: Iterable[Example]) -> list[Example]:
    """Return one example of each request, the newest."""
    found: dict[tuple[str, str, str], Example] = {}
    for one in examples:
        found.setdefault((one.method, one.target, one.body), one)
    return list(found.values())
