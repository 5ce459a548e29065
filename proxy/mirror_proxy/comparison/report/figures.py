"""Figures: the few numbers that show whether v2 is fit, each with its number of samples and its confidence interval.

    diff_rate           pairs that differ in a field that is not noise, of those compared
    breaking_rate       those of them that may break clients (`comparison.diff.severity`), of those compared
    mirror_error_rate   shadows that failed or got a 5xx, of those sent
    primary_error_rate  requests that got a 5xx, of those with a response
    p50_delta ...       percentiles of the paired difference, mirror's time less the primary's
    primary_p50 ...     percentiles of the time until clients had their response
    mirror_p50 ...      percentiles of the time until a shadow had its response
    loop_lag            how late a worker's loop is; it is not in the totals, and added by ramps

Rates are shares from 0 to 1, all else is in seconds.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from math import ceil

from mirror_proxy.comparison.diff.severity import is_breaking
from mirror_proxy.comparison.diff.totals import Key, Totals
from mirror_proxy.comparison.judgement.interval import rate_of, shares_around
from mirror_proxy.comparison.report.fields import JudgedField, fields
from mirror_proxy.config.model import Thresholds
from mirror_proxy.telemetry import delta
from mirror_proxy.telemetry.metrics import LATENCY_BUCKETS
from mirror_proxy.telemetry.outcome import FAILURES, RESPONDED
from mirror_proxy.telemetry.quantile import quantile

RATES = ("diff_rate", "breaking_rate", "mirror_error_rate", "primary_error_rate")
PERCENTILES = {"p50": 0.5, "p90": 0.9, "p99": 0.99}
DELTAS = tuple(f"{name}_delta" for name in PERCENTILES)
TIMES = (
    *DELTAS,
    *(f"{who}_{p}" for who in ("primary", "mirror") for p in PERCENTILES),
)
#: What `figures` makes of totals.
NAMES = (*RATES, *TIMES)
LOOP_LAG = "loop_lag"

#: The code of a request whose client closed before there was a response.
_NO_RESPONSE = "0"
#: Names that baselines have behind their route's name; of several, the second is `repeat#2`.
_BASELINES = ("secondary", "repeat")


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure; `value` None: there is no sample.

    `low` and `high` are the ends of its confidence interval, which holds at every look; None: not known.
    `at_most` is above `value` where more samples might show it to be: of a rate of differences, when every field
    that is still unsure is counted too.
    """

    name: str
    value: float | None
    samples: int
    at_most: float | None = None
    low: float | None = None
    high: float | None = None


def figures(
    totals: Totals,
    thresholds: Thresholds,
    mirror: str | None = None,
    destination: tuple[str, str] | None = None,
    judged: Sequence[JudgedField] | None = None,
) -> dict[str, Figure]:
    """Return every figure of `NAMES`, of one mirror or of all.

    The primary's are of the routes that have the mirror; with `destination`, a route's name and its destination's,
    of what that answered only. `judged` are the mirror's fields, where they are known already.
    """
    if judged is None:
        judged = fields(totals, thresholds, mirror)
    found = [
        *_difference_rates(totals, judged, mirror),
        _mirror_error_rate(totals, mirror),
        _primary_error_rate(totals, mirror, destination),
        *_deltas(totals, mirror),
        *_latencies("primary", _primary_buckets(totals, mirror, destination)),
        *_latencies("mirror", _mirror_buckets(totals, mirror)),
    ]
    return {figure.name: figure for figure in found}


def mirrors(totals: Totals) -> list[str]:
    """Return the names of all mirrors that were counted, baselines of noise left out."""
    named = {key[1] for key, _ in totals.of("compared")} | {key[0] for key, _ in totals.of("status_pair")}
    shadowed = {name for (route, name, _), _ in totals.of("outcome") if not _is_baseline(route, name)}
    return sorted(named | shadowed)


def _is_baseline(route: str, name: str) -> bool:
    before, _, role = name.rpartition("/")
    return before == route and role.partition("#")[0] in _BASELINES


# --- rates ---


def _difference_rates(totals: Totals, judged: Sequence[JudgedField], mirror: str | None) -> list[Figure]:
    compared = sum(count for key, count in totals.of("compared") if mirror in {None, key[1]})
    breaking = [field for field in judged if is_breaking(field.path, field.kind)]
    return [
        _difference_rate("diff_rate", judged, compared),
        _difference_rate("breaking_rate", breaking, compared),
    ]


def _difference_rate(name: str, found: Collection[JudgedField], compared: int) -> Figure:
    """Return a rate of pairs; its interval reaches from those that differ for sure to all that may."""
    if not compared:
        return Figure(name, None, 0)
    sure = _real_pairs(field for field in found if field.judgement.verdict == "reported")
    likely = _real_pairs(field for field in found if field.judgement.verdict != "noise")
    low, high = rate_of(int(sure), compared).low, rate_of(ceil(likely), compared).high
    return Figure(name, sure / compared, compared, likely / compared, low, high)


def _real_pairs(found: Iterable[JudgedField]) -> float:
    """Return how many pairs differ in at least one of these fields, without the part that noise explains.

    No pair is counted twice: either each under its leading field, or those of the one field that differs most.
    """

    def place(field: JudgedField) -> tuple[str, str, str]:
        return field.route, field.mirror, field.endpoint

    pairs = 0.0
    for _, group in groupby(sorted(found, key=place), place):
        some = list(group)
        led = sum(field.leading * field.real for field in some)
        most = max(field.differed * field.real for field in some)
        pairs += min(max(led, most), max(field.compared for field in some))
    return pairs


def _mirror_error_rate(totals: Totals, mirror: str | None) -> Figure:
    outcomes = [
        (outcome, count)
        for (route, name, outcome), count in totals.of("outcome")
        if mirror == name or (mirror is None and not _is_baseline(route, name))
    ]
    failed = sum(count for outcome, count in outcomes if outcome in FAILURES)
    sent = failed + sum(count for outcome, count in outcomes if outcome in RESPONDED)
    bad = sum(
        count
        for (name, _, shadow), count in totals.of("status_pair")
        if mirror in {None, name} and _is_server_error(shadow)
    )
    return _rate("mirror_error_rate", failed + bad, sent)


def _primary_error_rate(totals: Totals, mirror: str | None, destination: tuple[str, str] | None) -> Figure:
    answered = [
        (key[2], count)
        for key, count in _of_primary(totals, "requests", mirror, destination)
        if key[2] != _NO_RESPONSE
    ]
    total = sum(count for _, count in answered)
    bad = sum(count for code, count in answered if _is_server_error(code))
    return _rate("primary_error_rate", bad, total)


def _rate(name: str, hits: int, samples: int) -> Figure:
    if not samples:
        return Figure(name, None, 0)
    rate = rate_of(hits, samples)
    return Figure(name, hits / samples, samples, low=rate.low, high=rate.high)


def _is_server_error(code: str) -> bool:
    return len(code) == 3 and code.startswith("5")


# --- times ---


def _deltas(totals: Totals, mirror: str | None) -> list[Figure]:
    counts = [(int(bucket), count) for (name, bucket), count in totals.of("delta") if mirror in {None, name}]
    samples = sum(count for _, count in counts)
    return _percentiles("{}_delta", samples, lambda share: delta.percentile(counts, share))


def _latencies(who: str, counts: list[int]) -> list[Figure]:
    return _percentiles(who + "_{}", sum(counts), lambda share: quantile(counts, share))


def _percentiles(name: str, samples: int, read: Callable[[float], float | None]) -> list[Figure]:
    """Return the figures of all percentiles; `read` returns the quantile of a share."""
    found = []
    for percentile, share in PERCENTILES.items():
        low, high = shares_around(samples, share) if samples else (None, None)
        ends = (None if end is None else read(end) for end in (low, high))
        found.append(Figure(name.format(percentile), read(share), samples, None, *ends))
    return found


def _primary_buckets(totals: Totals, mirror: str | None, destination: tuple[str, str] | None) -> list[int]:
    counted = _of_primary(totals, "duration", mirror, destination)
    return _by_bucket((key[2], count) for key, count in counted)


def _mirror_buckets(totals: Totals, mirror: str | None) -> list[int]:
    known = {mirror} if mirror is not None else set(mirrors(totals))
    return _by_bucket(
        (bucket, count) for (name, bucket), count in totals.of("mirror_duration") if name in known
    )


def _by_bucket(counted: Iterable[tuple[str, int]]) -> list[int]:
    counts = [0] * (len(LATENCY_BUCKETS) + 1)
    for bucket, count in counted:
        counts[int(bucket)] += count
    return counts


def _of_primary(
    totals: Totals, family: str, mirror: str | None, destination: tuple[str, str] | None
) -> list[tuple[Key, int]]:
    """Return what is counted in a family that begins with route and destination."""
    if destination is not None:
        return [(key, count) for key, count in totals.of(family) if key[:2] == destination]
    if mirror is None:
        return list(totals.of(family))
    routes = {key[0] for key, _ in totals.of("outcome") if key[1] == mirror}
    return [(key, count) for key, count in totals.of(family) if key[0] in routes]
