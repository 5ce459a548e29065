"""Fold endpoints of some totals that are things of one kind (see `siblings`), or of a template that was given later.

The folding is a function of the counts, so all that read the same store see the same endpoints, and a later count may
show an endpoint of its own.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

from mirror_proxy.comparison.diff.totals import Key, Totals
from mirror_proxy.comparison.endpoint.parts import name_of, parts_of
from mirror_proxy.comparison.endpoint.segment import PLACEHOLDER
from mirror_proxy.comparison.endpoint.siblings import folded

#: A parameter of a template that the user gave: its name shows that it stands for the placeholder of the same place.
_NAMED = re.compile(r"\{[^{}*]+\}")

#: The place of the endpoint in a family's keys.
_PLACES = {
    "compared": 3,
    "differing": 3,
    "field": 3,
    "leading": 3,
    "noise_compared": 2,
    "noise_field": 2,
    "latency": 3,
    "noise_latency": 2,
}


class Folding:
    """The endpoints of some totals, each with the one it is folded into."""

    def __init__(self, totals: Totals) -> None:
        traffic: dict[str, Counter[str]] = {}
        for (route, _, endpoint), count in totals.of("compared"):
            traffic.setdefault(route, Counter())[endpoint] += count
        for (route, endpoint), count in totals.of("noise_compared"):
            traffic.setdefault(route, Counter())[endpoint] += count
        self._folded = {
            (route, endpoint): name
            for route, counts in traffic.items()
            for endpoint, name in _renamed(counts)
            if endpoint != name
        }

    def of(self, route: str, endpoint: str) -> str:
        """Return the endpoint that this one is folded into: itself, if it stands alone."""
        return self._folded.get((route, endpoint), endpoint)

    def fold(self, totals: Totals) -> Totals:
        """Return the totals with folded endpoints."""
        if not self._folded:
            return totals
        counts: Counter[Key] = Counter()
        for key, count in totals.counts.items():
            counts[self._key(key)] += count
        return Totals(dict(counts))

    def _key(self, key: Key) -> Key:
        place = _PLACES.get(key[0])
        if place is None or len(key) <= place:
            return key
        return (*key[:place], self.of(key[1], key[place]), *key[place + 1 :])


def _renamed(counts: Counter[str]) -> Iterator[tuple[str, str]]:
    """Yield the endpoints of one route, each with its folded name."""
    known = {endpoint: parts for endpoint in sorted(counts) if (parts := parts_of(endpoint))}
    given = {_NAMED.sub(PLACEHOLDER, endpoint): endpoint for endpoint in known if _NAMED.search(endpoint)}
    names = folded((parts, counts[endpoint]) for endpoint, parts in known.items())
    for endpoint, parts in known.items():
        name = name_of(names[parts]) if parts in names else endpoint
        yield endpoint, given.get(name, name)
