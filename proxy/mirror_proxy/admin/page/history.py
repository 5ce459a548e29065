"""The last minutes of traffic, a point a second while a page is open; the page's curves are drawn of these."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection
from dataclasses import dataclass
from itertools import islice, pairwise

from mirror_proxy.comparison.diff.totals import Totals
from mirror_proxy.telemetry.outcome import FAILURES, RESPONDED

SPAN_S = 300.0
_LEAST_S = 0.5
_TOTALS_EVERY_S = 20.0
#: Of a few routes there are some hundred counts, of a thousand there may be a hundred thousand.
_MOST_KEYS = 300_000
_MOST = int(SPAN_S / _LEAST_S) + 1

_SENT = RESPONDED | FAILURES | {"client_aborted", "primary_answered_early"}


@dataclass(frozen=True, slots=True)
class Point:
    """Counts at a time (seconds of a monotonic clock)."""

    time: float
    requests: int
    errors: int
    copies: int
    failures: int


@dataclass(frozen=True, slots=True)
class TrafficRate:
    """Counts per second between two points; `start` and `end` are their times."""

    start: float
    end: float
    requests: float
    errors: float
    copies: float
    failures: float


class History:
    """Points of the last `SPAN_S`, limited in number, and totals at longer intervals."""

    def __init__(self) -> None:
        self._points: deque[Point] = deque(maxlen=_MOST)
        self._totals: deque[tuple[float, Totals]] = deque()

    @property
    def points(self) -> tuple[Point, ...]:
        """All points, the oldest first."""
        return tuple(self._points)

    def add(self, time: float, totals: Totals, baselines: Collection[str]) -> None:
        """Add a point, unless the last one is less than `_LEAST_S` old; requests to `baselines` are no shadows."""
        if self._points and time - self._points[-1].time < _LEAST_S:
            return
        while self._points and self._points[0].time < time - SPAN_S:
            self._points.popleft()
        self._points.append(point_of(time, totals, baselines))

    def keep(self, time: float, totals: Totals) -> None:
        """Keep the totals at `time`, unless the last ones are less than `_TOTALS_EVERY_S` old."""
        if not self._totals or time - self._totals[-1][0] >= _TOTALS_EVERY_S:
            self._totals.append((time, totals))
        while self._totals[0][0] < time - SPAN_S or self._keys() > _MOST_KEYS:
            self._totals.popleft()

    def oldest(self) -> tuple[float, Totals] | None:
        """Return the oldest totals that are kept, and their time."""
        return self._totals[0] if self._totals else None

    def _keys(self) -> int:
        """Return the number of counts that are kept, without the newest totals: those are in use anyway."""
        return sum(len(totals.counts) for _, totals in islice(self._totals, len(self._totals) - 1))


def point_of(time: float, totals: Totals, baselines: Collection[str]) -> Point:
    """Return the traffic in `totals`, without baselines."""
    requests = errors = copies = failures = 0
    for (_, _, code), count in totals.of("requests"):
        requests += count
        errors += count * code.startswith("5")
    for (_, mirror, outcome), count in totals.of("outcome"):
        if mirror in baselines:
            continue
        copies += count * (outcome in _SENT)
        failures += count * (outcome in FAILURES)
    return Point(time, requests, errors, copies, failures)


def rates(points: tuple[Point, ...]) -> tuple[TrafficRate, ...]:
    """Return the rates between each point and the next; a count that has decreased gives 0."""
    return tuple(_rate(one, other) for one, other in pairwise(points) if other.time > one.time)


def recent(points: tuple[Point, ...], seconds: float) -> TrafficRate | None:
    """Return the rate of the last `seconds`, or since the first point; None: there are no two points yet."""
    if len(points) < 2:
        return None
    last = points[-1]
    first = next((point for point in points[:-1] if point.time >= last.time - seconds), points[-2])
    return _rate(first, last) if last.time > first.time else None


def _rate(one: Point, other: Point) -> TrafficRate:
    span = other.time - one.time

    def per_second(before: int, after: int) -> float:
        return max(0, after - before) / span

    return TrafficRate(
        one.time,
        other.time,
        per_second(one.requests, other.requests),
        per_second(one.errors, other.errors),
        per_second(one.copies, other.copies),
        per_second(one.failures, other.failures),
    )
