"""Details of each mirror: its latency and the primary's, the outcomes of its requests, and pairs of status codes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from mirror_proxy.admin.page.data import PageData
from mirror_proxy.comparison.diff.totals import Totals
from mirror_proxy.comparison.report.figures import PERCENTILES, figures
from mirror_proxy.comparison.report.tables import status_matrix
from mirror_proxy.config.model import Thresholds
from mirror_proxy.telemetry.metrics import LATENCY_BUCKETS

#: Mirrors that are shown with their details, at most; a reader finds others by their names.
MOST = 6
#: Status codes of one side, at most; the rest are one.
MOST_STATUSES = 12
_LAST_BUCKET = len(LATENCY_BUCKETS)

#: The kind of each outcome (`limited`: by the proxy, `skipped`: by sampling or rule) and its description.
DESCRIPTIONS = {
    "completed": ("answered", "v2 answered, with whatever status"),
    "reply_cut": ("answered", "v2 answered, but its response had not ended in time: a stream, say"),
    "timeout": ("failed", "v2 had not answered in time"),
    "connect_error": ("failed", "no connection to v2 could be made"),
    "reset": ("failed", "v2 hung up before its answer was complete"),
    "protocol_error": ("failed", "what v2 answered is not HTTP/1.1"),
    "lagged": ("failed", "v2 took the request's body too slowly"),
    "not_sampled": ("skipped", "not among the percentage that is copied"),
    "disabled": ("skipped", "the percentage is 0"),
    "paused": ("skipped", "the mirror is paused"),
    "method": ("skipped", "this method is not copied"),
    "upgrade": ("skipped", "a WebSocket is never copied"),
    "connection_auth": ("skipped", "the client's connection is authenticated, and a copy's would not be"),
    "loop": ("skipped", "it was a copy already"),
    "over_in_flight": ("limited", "as many copies were under way as may be"),
    "over_buffer": ("limited", "the buffer for slow mirrors was full"),
    "over_size": ("limited", "the body was larger than v2 may be sent"),
    "over_rate": ("limited", "over the rate that v2 may be sent"),
    "breaker_open": ("limited", "v2 had failed many times in a row, and is left alone for a while"),
    "no_endpoint": ("failed", "v2's name does not resolve"),
    "client_aborted": ("skipped", "the client left before its request was complete"),
    "primary_answered_early": ("skipped", "v1 answered before the request's body was complete"),
    "no_primary": ("skipped", "v1 could not be asked either"),
    "shed": ("limited", "the proxy was late, and clients go first"),
    "draining": ("skipped", "the proxy was leaving"),
}
KINDS = ("answered", "failed", "limited", "skipped")


@dataclass(frozen=True, slots=True)
class MirrorDetails:
    """The details of one mirror of a route; None: no request, or no request with two responses."""

    mirror: str
    route: str
    latency: Latency
    outcomes: MirrorOutcomes | None
    statuses: StatusTable | None


@dataclass(frozen=True, slots=True)
class Percentile:
    """A percentile (`p50`) of primary, mirror and paired difference, in seconds; None: no samples."""

    name: str
    primary_s: float | None
    mirror_s: float | None
    delta_s: float | None


@dataclass(frozen=True, slots=True)
class LatencyBar:
    """Responses that took at most `most_s` (None: beyond the last bound), and as percents of the longest bar."""

    most_s: float | None
    primary: int
    mirror: int
    primary_share: float
    mirror_share: float


@dataclass(frozen=True, slots=True)
class Latency:
    """Durations of the route's primary and of the mirror; `pairs` is the number of requests that both answered."""

    mirror: str
    route: str
    primary_answers: int
    mirror_answers: int
    pairs: int
    percentiles: tuple[Percentile, ...]
    bars: tuple[LatencyBar, ...]


@dataclass(frozen=True, slots=True)
class Outcome:
    """One outcome of one mirror; `share` is its part of all requests, from 0 to 1."""

    name: str
    kind: str
    words: str
    count: int
    share: float


@dataclass(frozen=True, slots=True)
class BarSegment:
    """A segment of the bar of all outcomes, in percent."""

    kind: str
    start: float
    width: float


@dataclass(frozen=True, slots=True)
class MirrorOutcomes:
    """All outcomes of one mirror or baseline, the most frequent first."""

    name: str
    requests: int
    outcomes: tuple[Outcome, ...]
    bar: tuple[BarSegment, ...]


@dataclass(frozen=True, slots=True)
class Cell:
    """Number of pairs of two status codes; `weight`, from 0 to 4, is their approximate part of all pairs."""

    count: int
    is_same: bool
    weight: int


@dataclass(frozen=True, slots=True)
class StatusTable:
    """Rows are the primary's status codes, columns the mirror's."""

    mirror: str
    pairs: int
    differing: int
    columns: tuple[str, ...]
    rows: tuple[tuple[str, tuple[Cell, ...]], ...]


def of(data: PageData) -> list[MirrorDetails]:
    """Return the details of the first mirrors that the query selects."""
    chosen = list(islice(data.mirrors(), MOST))
    names = {name for route, mirror in chosen for name in (route, mirror.name)}
    data = data.only(names).for_span()
    by_outcome = {row.name: row for row in outcomes(data)}
    by_status = {row.mirror: row for row in statuses(data)}
    return [
        MirrorDetails(
            mirror.name,
            route,
            latency(data, mirror.name, route),
            by_outcome.get(mirror.name),
            by_status.get(mirror.name),
        )
        for route, mirror in chosen
    ]


def latency(data: PageData, mirror: str, route: str) -> Latency:
    """Return the latency of a mirror of a route."""
    totals = data.totals
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
        mirror, route, sum(primary), sum(shadow), pairs, percentiles, tuple(_latency_bars(primary, shadow))
    )


def outcomes(data: PageData) -> list[MirrorOutcomes]:
    """Return the outcomes of each mirror and baseline that has had a request."""
    counts: dict[str, dict[str, int]] = {}
    for (_, mirror, outcome), count in data.totals.of("outcome"):
        mine = counts.setdefault(mirror, {})
        mine[outcome] = mine.get(outcome, 0) + count
    return [_mirror_outcomes(name, found) for name, found in sorted(counts.items())]


def statuses(data: PageData) -> list[StatusTable]:
    """Return a table for each mirror that has responded."""
    pairs: dict[str, dict[tuple[str, str], int]] = {}
    for (mirror, primary, shadow), count in data.totals.of("status_pair"):
        pairs.setdefault(mirror, {})[primary, shadow] = count
    return [_status_table(mirror, found) for mirror, found in sorted(pairs.items())]


def _buckets(totals: Totals, family: str, *labels: str) -> list[int]:
    counts = [0] * (_LAST_BUCKET + 1)
    for (*_, bucket), count in totals.of(family, *labels):
        counts[int(bucket)] += count
    return counts


def _latency_bars(primary: list[int], shadow: list[int]) -> Iterator[LatencyBar]:
    """Yield the buckets from the first to the last that is not empty; each side's bars are shares of its own sum."""
    filled = [i for i in range(_LAST_BUCKET + 1) if primary[i] or shadow[i]]
    if not filled:
        return
    shares = [[count / (sum(side) or 1) for count in side] for side in (primary, shadow)]
    longest = max(map(max, shares))
    for i in range(filled[0], filled[-1] + 1):
        yield LatencyBar(
            LATENCY_BUCKETS[i] if i < _LAST_BUCKET else None,
            primary[i],
            shadow[i],
            round(100 * shares[0][i] / longest, 2),
            round(100 * shares[1][i] / longest, 2),
        )


def _mirror_outcomes(name: str, counts: dict[str, int]) -> MirrorOutcomes:
    total = sum(counts.values())
    outcomes = tuple(
        Outcome(outcome, *DESCRIPTIONS[outcome], count, count / total)
        for outcome, count in sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    )
    return MirrorOutcomes(name, total, outcomes, tuple(_bar_segments(outcomes)))


def _bar_segments(outcomes: tuple[Outcome, ...]) -> Iterator[BarSegment]:
    start = 0.0
    for kind in KINDS:
        width = 100 * sum(outcome.share for outcome in outcomes if outcome.kind == kind)
        if width:
            yield BarSegment(kind, round(start, 3), round(width, 3))
        start += width


def _status_table(mirror: str, counts: dict[tuple[str, str], int]) -> StatusTable:
    total = sum(counts.values())
    laid_out = status_matrix(counts, MOST_STATUSES)
    rows = tuple(
        (
            primary,
            tuple(
                _cell(count, primary == shadow, total)
                for shadow, count in zip(laid_out.across, row, strict=True)
            ),
        )
        for primary, row in laid_out.rows
    )
    differing = sum(count for (primary, shadow), count in counts.items() if primary != shadow)
    return StatusTable(mirror, total, differing, laid_out.across, rows)


def _cell(count: int, is_same: bool, total: int) -> Cell:
    share = count / total
    return Cell(count, is_same, sum(share > bound for bound in (0, 0.001, 0.01, 0.1)))
