"""Totals: everything counted in a span of time, as one table. Reports, guards and the page are made of them.

A key is a family and its labels. The families:

    requests        route destination code        what clients got
    duration        route destination bucket      the same by latency bucket (index into LATENCY_BUCKETS)
    outcome         route mirror outcome          the outcome of each request on a mirrored route
    mirror_duration mirror bucket                 shadows with a response, by latency bucket
    status_pair     mirror primary shadow         both statuses of one request
    delta           mirror bucket                 shadow's time less the primary's (see `telemetry.delta`)
    compared        route mirror endpoint         pairs that were compared
    differing       route mirror endpoint         those of them with any difference
    field           route mirror endpoint path kind    pairs in which this field differed
    leading         route mirror endpoint path kind    pairs that differ, each under its main field, noise last
    noise_compared  route endpoint                pairs of one version
    noise_field     route endpoint path kind      those of them in which this field differed
    latency         route mirror endpoint phase moment    sums of paired times (see `comparison.judgement.latency`)
    noise_latency   route endpoint phase moment   the same of a second v1
    capped          route mirror reason           pairs of which not everything could be compared
    dropped         reason                        pairs that were captured and not compared

An endpoint is what `comparison.endpoint` names: `GET /shop/{}`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from mirror_proxy.telemetry.metrics import Report

Key = tuple[str, ...]

#: Fields of one endpoint, and endpoints of one route, have names up to a number; the others have this one.
OTHER = "(other)"

#: The position of the mirror among the labels of a family; of a family without a mirror, that of the route.
MIRROR_AT = {
    "outcome": 1,
    "mirror_duration": 0,
    "status_pair": 0,
    "delta": 0,
    "compared": 1,
    "differing": 1,
    "field": 1,
    "leading": 1,
    "capped": 1,
}
ROUTE_AT = {"requests": 0, "duration": 0, "noise_compared": 0, "noise_field": 0}

#: The families whose labels end in a field's path and kind.
BY_FIELD = frozenset({"field", "leading", "noise_field"})
#: The families that the comparer alone counts; of `dropped`, it counts what it could not read or compare.
OF_COMPARER = BY_FIELD | {"compared", "differing", "noise_compared", "latency", "noise_latency", "capped"}


@dataclass(frozen=True, slots=True)
class Totals:
    """Counts by key; those that are 0 are absent."""

    counts: Mapping[Key, int] = field(default_factory=dict)

    def __add__(self, other: Totals) -> Totals:
        return Totals(_combine(self.counts, other.counts.items(), 1))

    def __sub__(self, earlier: Totals) -> Totals:
        """What came after `earlier`, which was read with the same beginning."""
        return Totals(_combine(self.counts, earlier.counts.items(), -1))

    def of(self, family: str, *labels: str) -> Iterator[tuple[Key, int]]:
        """Yield the other labels, and the count, of each key of a family that begins with `labels`."""
        start = (family, *labels)
        for key, count in self.counts.items():
            if key[: len(start)] == start:
                yield key[len(start) :], count

    def count(self, family: str, *labels: str) -> int:
        """Add up all that begins with these labels."""
        return sum(count for _, count in self.of(family, *labels))

    def rows(self) -> list[list[str | int]]:
        """Return it as JSON holds it: the labels of each key, then its count."""
        return [[*key, count] for key, count in sorted(self.counts.items())]


def united(tables: Iterable[Mapping[Key, int]]) -> Totals:
    """Return the totals of several runs: what two runs of a route both counted was counted once, the longer run's."""
    counts: dict[Key, int] = {}
    for table in tables:
        for key, count in table.items():
            counts[key] = max(count, counts.get(key, 0))
    return Totals(counts)


def from_rows(rows: Iterable[list[str | int]]) -> Totals:
    """Return what `rows` made."""
    return Totals({tuple(map(str, labels)): int(count) for *labels, count in rows})


def of_report(report: Report) -> Totals:
    """Return what the data plane has counted since its start."""
    counts: dict[Key, int] = {}
    for family, metric in _COUNTERS:
        for labels, value in report.get(metric, {}).items():
            if isinstance(value, int | float) and value:
                counts[family, *labels] = int(value)
    for family, metric in _HISTOGRAMS:
        for labels, value in report.get(metric, {}).items():
            if isinstance(value, list):
                *buckets, _ = value
                counts |= {(family, *labels, str(i)): int(count) for i, count in enumerate(buckets) if count}
    return Totals(counts)


_COUNTERS = (
    ("requests", "requests_total"),
    ("outcome", "mirror_requests_total"),
    ("status_pair", "status_pairs_total"),
    ("delta", "mirror_delta_total"),
    ("dropped", "compare_dropped_total"),
)
_HISTOGRAMS = (("duration", "request_duration_seconds"), ("mirror_duration", "mirror_duration_seconds"))


def _combine(mine: Mapping[Key, int], others: Iterable[tuple[Key, int]], sign: int) -> dict[Key, int]:
    counts = dict(mine)
    for key, count in others:
        left = counts.get(key, 0) + sign * count
        if left:
            counts[key] = left
        else:
            counts.pop(key, None)
    return counts
