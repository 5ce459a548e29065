"""The book: what was found of each pair, as keys of `compare.totals` to be counted, and the metrics of all that."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from mirror_proxy.comparison.diff.difference import Comparison, Difference
from mirror_proxy.comparison.diff.pair import Pair
from mirror_proxy.comparison.diff.totals import BY_FIELD, Key
from mirror_proxy.comparison.process.fields import Fields
from mirror_proxy.telemetry.metrics import Report

#: Of so many fields it is known how often they differ within one version; any other counts as if it never did.
_MAX_NOISY = 10_000


class Book:
    """What one comparer has counted since its start."""

    def __init__(self) -> None:
        self._fields = Fields()
        self._sum: Counter[Key] = Counter()
        self._noisy: Counter[Key] = Counter()

    def enter(self, pair: Pair, comparison: Comparison, now: float) -> list[Key]:
        """Count a pair that was compared at `now`; return the keys of which it is one more each."""
        of_its_kind = self._noise if pair.kind == "noise" else self._mirror
        keys = list(of_its_kind(pair, comparison, now))
        keys += [("capped", pair.route, pair.mirror, reason) for reason in sorted(comparison.capped)]
        self._sum.update(key for key in keys if key[0] not in BY_FIELD)
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
        for (family, *labels), count in self._sum.items():
            if family in _METRICS:
                others[_METRICS[family]][labels[-1],] += count
            else:
                is_differing = family == "differing"
                pairs[labels[-1], "different"] += count if is_differing else 0
                pairs[labels[-1], "same"] += -count if is_differing else count
        return {"compare_pairs_total": dict(pairs), **{name: dict(found) for name, found in others.items()}}

    def _mirror(self, pair: Pair, comparison: Comparison, now: float) -> Iterator[Key]:
        whose = (pair.route, pair.mirror)
        yield ("compared", *whose)
        if not comparison.differences:
            return
        yield ("differing", *whose)
        first = self._leading(pair, comparison)
        yield ("leading", *whose, self._fields.name(whose, first.path, now), first.kind)
        for field in self._named(whose, comparison, now):
            yield ("field", *whose, *field)

    def _leading(self, pair: Pair, comparison: Comparison) -> Difference:
        """Return the most telling of those that differ least within one version: noise leads no pair with a fault."""
        noisy = self._noisy
        return min(comparison.differences, key=lambda one: noisy[pair.route, one.path, one.kind])

    def _noise(self, pair: Pair, comparison: Comparison, now: float) -> Iterator[Key]:
        yield ("noise_compared", pair.route)
        for one in comparison.differences:
            place = (pair.route, one.path, one.kind)
            if place in self._noisy or len(self._noisy) < _MAX_NOISY:
                self._noisy[place] += 1
        for field in self._named((pair.route, ""), comparison, now):
            yield ("noise_field", pair.route, *field)

    def _named(self, whose: tuple[str, str], comparison: Comparison, now: float) -> Iterator[Key]:
        """Yield path and kind of what differs, each once: many that have no name of their own are one."""
        found = ((self._fields.name(whose, one.path, now), one.kind) for one in comparison.differences)
        return iter(dict.fromkeys(found))


#: The metric of a family, whose label is the family's last.
_METRICS = {
    "noise_compared": "compare_noise_pairs_total",
    "capped": "compare_capped_total",
    "dropped": "compare_dropped_total",
}
