"""Latency: a mirror's answers beside its primary's, as percentiles and as counts by duration."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from mirror_proxy.admin.page.moment import Moment
from mirror_proxy.comparison.diff.totals import Totals
from mirror_proxy.comparison.report.figures import PERCENTILES, figures
from mirror_proxy.config.model import Thresholds
from mirror_proxy.telemetry.metrics import LATENCY_BUCKETS

_LAST = len(LATENCY_BUCKETS)


@dataclass(frozen=True, slots=True)
class Percentile:
    """A percentile (`p50`) of primary, mirror and paired difference, in seconds; None: of nothing."""

    name: str
    primary_s: float | None
    mirror_s: float | None
    delta_s: float | None


@dataclass(frozen=True, slots=True)
class Bar:
    """Answers that took at most `most_s` (None: more than all bounds), and as shares of the longest bar (0 to 100)."""

    most_s: float | None
    primary: int
    mirror: int
    primary_share: float
    mirror_share: float


@dataclass(frozen=True, slots=True)
class Latency:
    """Both sides of one mirror's route; `pairs` is how many requests both answered."""

    mirror: str
    route: str
    primary_answers: int
    mirror_answers: int
    pairs: int
    percentiles: tuple[Percentile, ...]
    bars: tuple[Bar, ...]


def of(moment: Moment, mirror: str, route: str) -> Latency:
    """Return what is known of a mirror of a route."""
    totals = moment.totals
    known = figures(totals, Thresholds(), mirror)
    percentiles = tuple(
        Percentile(
            name, *(known[figure].value for figure in (f"primary_{name}", f"mirror_{name}", f"{name}_delta"))
        )
        for name in PERCENTILES
    )
    primary, shadow = _buckets(totals, "duration", route), _buckets(totals, "mirror_duration", mirror)
    pairs = known["p50_delta"].samples
    return Latency(
        mirror, route, sum(primary), sum(shadow), pairs, percentiles, tuple(_bars(primary, shadow))
    )


def _buckets(totals: Totals, family: str, *labels: str) -> list[int]:
    counts = [0] * (_LAST + 1)
    for (*_, bucket), count in totals.of(family, *labels):
        counts[int(bucket)] += count
    return counts


def _bars(primary: list[int], shadow: list[int]) -> Iterator[Bar]:
    """Yield the buckets from the first to the last in which there is anything; each side's bars by its own number."""
    filled = [i for i in range(_LAST + 1) if primary[i] or shadow[i]]
    if not filled:
        return
    shares = [[count / (sum(side) or 1) for count in side] for side in (primary, shadow)]
    longest = max(map(max, shares))
    for i in range(filled[0], filled[-1] + 1):
        yield Bar(
            LATENCY_BUCKETS[i] if i < _LAST else None,
            primary[i],
            shadow[i],
            round(100 * shares[0][i] / longest, 2),
            round(100 * shares[1][i] / longest, 2),
        )
