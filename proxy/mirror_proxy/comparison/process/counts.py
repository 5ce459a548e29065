"""Counts: what each pair adds to the totals, as keys of `comparison.diff.totals`, and the metrics of all that.

A field is counted by name while the table has room; a field that has not been seen for long makes room for others.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from mirror_proxy.comparison.diff.difference import Comparison, Difference
from mirror_proxy.comparison.diff.pair import Pair
from mirror_proxy.comparison.diff.totals import OTHER, Key
from mirror_proxy.comparison.endpoint import EndpointNames
from mirror_proxy.comparison.store import label
from mirror_proxy.config.model import EndpointTemplate
from mirror_proxy.telemetry.metrics import Report

#: Noise is known here for at most this many fields; every other field counts as free of noise.
_MAX_NOISY = 10_000
#: Fields counted by name: at most this many of one mirror's endpoint, or of its noise, and in all.
MAX_FIELDS = 500
MAX_FIELDS_IN_ALL = 25_000
#: A field expires this long after it was last seen; the table is searched for expired ones this often.
EXPIRY_S = 900.0
SEARCH_S = 60.0

#: A route, a mirror and an endpoint; the mirror of noise is empty.
Owner = tuple[str, str, str]


class Counts:
    """What one comparer has counted since its start."""

    def __init__(self) -> None:
        self._endpoints = EndpointNames()
        self._fields = FieldNames()
        #: By family and the label that its metric has.
        self._sum: Counter[tuple[str, str]] = Counter()
        self._noisy: Counter[Key] = Counter()

    def configure(self, templates: Iterable[EndpointTemplate]) -> None:
        """Name endpoints by these templates first, from the next pair on."""
        self._endpoints.configure(templates)

    def add(self, pair: Pair, comparison: Comparison, now: float) -> list[Key]:
        """Count a pair that was compared at `now`; return the keys of which it is one more each."""
        endpoint = label(self._endpoints.name(pair, now))
        of_its_kind = self._noise if pair.kind == "noise" else self._mirror
        keys = list(of_its_kind(pair, endpoint, comparison, now))
        keys += [("capped", pair.route, pair.mirror, reason) for reason in sorted(comparison.capped)]
        self._sum.update((key[0], key[_LABELS[key[0]]]) for key in keys if key[0] in _LABELS)
        return keys

    def drop(self, reason: str) -> Key:
        """Count a pair that could not be compared; return the key of which it is one more."""
        key = ("dropped", reason)
        self._sum[key] += 1
        return key

    def report(self) -> Report:
        """Return what was counted as metrics."""
        pairs: Counter[tuple[str, ...]] = Counter()
        others: dict[str, Counter[tuple[str, ...]]] = {name: Counter() for name in _METRICS.values()}
        for (family, its), count in self._sum.items():
            if family in _METRICS:
                others[_METRICS[family]][its,] += count
            else:
                is_differing = family == "differing"
                pairs[its, "different"] += count if is_differing else 0
                pairs[its, "same"] += -count if is_differing else count
        return {"compare_pairs_total": dict(pairs), **{name: dict(found) for name, found in others.items()}}

    def _mirror(self, pair: Pair, endpoint: str, comparison: Comparison, now: float) -> Iterator[Key]:
        owner = (pair.route, pair.mirror, endpoint)
        yield ("compared", *owner)
        if not comparison.differences:
            return
        yield ("differing", *owner)
        first = self._leading(pair.route, endpoint, comparison)
        yield ("leading", *owner, self._fields.name(owner, first.path, now), first.kind)
        for field in self._named(owner, comparison, now):
            yield ("field", *owner, *field)

    def _leading(self, route: str, endpoint: str, comparison: Comparison) -> Difference:
        """Return the most significant of the differences with the least noise: noise leads no pair with a fault."""
        noisy = self._noisy
        return min(comparison.differences, key=lambda one: noisy[route, endpoint, one.path, one.kind])

    def _noise(self, pair: Pair, endpoint: str, comparison: Comparison, now: float) -> Iterator[Key]:
        yield ("noise_compared", pair.route, endpoint)
        for one in comparison.differences:
            place = (pair.route, endpoint, one.path, one.kind)
            if place in self._noisy or len(self._noisy) < _MAX_NOISY:
                self._noisy[place] += 1
        for field in self._named((pair.route, "", endpoint), comparison, now):
            yield ("noise_field", pair.route, endpoint, *field)

    def _named(self, owner: Owner, comparison: Comparison, now: float) -> Iterator[Key]:
        """Yield path and kind of each difference, each once: those without a name of their own are one."""
        found = ((self._fields.name(owner, one.path, now), one.kind) for one in comparison.differences)
        return iter(dict.fromkeys(found))


class FieldNames:
    """The fields that are counted by name. Bodies whose names never repeat neither fill the table nor keep it full."""

    def __init__(self) -> None:
        self._seen: dict[Owner, dict[str, float]] = {}
        self._count = 0
        self._next_search = 0.0

    def name(self, owner: Owner, path: str, now: float) -> str:
        """Return the name under which a field seen at `now` is counted: its path as the store has it, or `OTHER`."""
        path = label(path)
        if path not in self._seen.get(owner, ()):
            if self._is_full(owner):
                self._expire(now)
            if self._is_full(owner):
                return OTHER
            self._count += 1
        self._seen.setdefault(owner, {})[path] = now
        return path

    def _is_full(self, owner: Owner) -> bool:
        return self._count >= MAX_FIELDS_IN_ALL or len(self._seen.get(owner, ())) >= MAX_FIELDS

    def _expire(self, now: float) -> None:
        if now < self._next_search:
            return
        self._next_search = now + SEARCH_S
        kept = {
            owner: {path: last for path, last in seen.items() if now - last < EXPIRY_S}
            for owner, seen in self._seen.items()
        }
        self._seen = {owner: seen for owner, seen in kept.items() if seen}
        self._count = sum(map(len, self._seen.values()))


#: The place, in a family's keys, of the label that its metric has.
_LABELS = {"compared": 2, "differing": 2, "noise_compared": 1, "capped": 3}
_METRICS = {
    "noise_compared": "compare_noise_pairs_total",
    "capped": "compare_capped_total",
    "dropped": "compare_dropped_total",
}
