"""Suspend mirroring while it delays the requests to primaries.

Two rules apply to windows of one second. A mirror whose responses take most of the worker's time is shed alone. A
worker whose loop is late, as the ticks of its clock show, sheds every mirror: a request waits for the loop twice, on
arrival and for its response, so its added latency is twice the mean lateness of the ticks.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable

from mirror_proxy.config.model import Shed
from mirror_proxy.mirror.policy import Mirror
from mirror_proxy.telemetry.event import event

WINDOW_S = 1.0
#: A mirror is shed after two windows in a row in which its responses took more than this share of the worker's time.
MOST_OF_WINDOW = 0.5
#: Time for which a mirror is shed, first and at most. The time doubles each time, until the mirror takes less than
#: half of `MOST_OF_WINDOW` in a window.
FIRST_HOLD_S, LONGEST_HOLD_S = 10.0, 300.0

_log = logging.getLogger(__name__)


class Cost:
    """The time that one mirror's responses take; `spent_s` is their total so far."""

    __slots__ = ("_hold_s", "_seen_s", "_shed_until", "_was_high")

    def __init__(self, spent_s: float) -> None:
        self._seen_s = spent_s
        self._was_high = False
        self._shed_until = 0.0
        self._hold_s = FIRST_HOLD_S

    def judge(self, mirror: Mirror, window_s: float, now: float) -> None:
        """Start or stop shedding `mirror`, after a window of `window_s`."""
        share = (mirror.stats.spent_s - self._seen_s) / window_s
        self._seen_s = mirror.stats.spent_s
        if mirror.is_shed:
            if now >= self._shed_until:
                mirror.is_shed = False
                _log.warning(event("mirror is shed no more", mirror=mirror.config.name))
            return
        is_high = share > MOST_OF_WINDOW
        if is_high and self._was_high:
            mirror.is_shed = True
            self._shed_until = now + self._hold_s
            line = event(
                "mirror is shed, its responses take too much of the worker's time",
                mirror=mirror.config.name,
                for_s=self._hold_s,
                percent_of_time=round(share * 100),
            )
            _log.warning(line)
            self._hold_s = min(self._hold_s * 2, LONGEST_HOLD_S)
        elif share < MOST_OF_WINDOW / 2:
            self._hold_s = FIRST_HOLD_S
        self._was_high = is_high and not mirror.is_shed


class Shedding:
    """Starts after two windows in a row over a limit; ends after one below half of both. A limit of 0 is off."""

    __slots__ = ("_costs", "_count", "_ends_at", "_sum_s", "_was_late", "_worst_s", "is_on", "limits")

    def __init__(self, limits: Shed) -> None:
        self.limits = limits
        self.is_on = False
        self._was_late = False
        self._costs: dict[Mirror, Cost] = {}
        self._ends_at = math.inf  # the first tick begins the first window
        self._count = 0
        self._sum_s = self._worst_s = 0.0

    def observe(self, late_s: float, now: float, mirrors: Iterable[Mirror]) -> bool:
        """Record a tick that came `late_s` late at `now`; return whether every mirror is shed from now on.

        Each of `mirrors` that takes too much time is shed alone (`is_shed`).
        """
        if self._ends_at == math.inf:
            self._ends_at = now + WINDOW_S
        self._count += 1
        self._sum_s += late_s
        self._worst_s = max(self._worst_s, late_s)
        if now >= self._ends_at:
            self._judge(self._worst_s, 2 * self._sum_s / self._count)
            self._judge_each(mirrors, WINDOW_S + now - self._ends_at, now)
            self._ends_at = now + WINDOW_S
            self._count = 0
            self._sum_s = self._worst_s = 0.0
        return self.is_on

    def _judge_each(self, mirrors: Iterable[Mirror], window_s: float, now: float) -> None:
        costs = self._costs
        self._costs = {mirror: costs.get(mirror) or Cost(mirror.stats.spent_s) for mirror in mirrors}
        for mirror, cost in self._costs.items():
            cost.judge(mirror, window_s, now)

    def _judge(self, worst_s: float, added_s: float) -> None:
        limits = self.limits
        pairs = ((worst_s, limits.loop_lag_s), (added_s, limits.added_latency_s))
        is_late = any(limit and value > limit for value, limit in pairs)
        is_well = all(not limit or value < limit / 2 for value, limit in pairs)
        if not self.is_on and is_late and self._was_late:
            self.is_on = True
            _log.warning(event("mirroring is suspended, the loop is late", **_fields(worst_s, added_s)))
        elif self.is_on and is_well:
            self.is_on = False
            _log.warning(event("mirroring is resumed", **_fields(worst_s, added_s)))
        self._was_late = is_late


def _fields(worst_s: float, added_s: float) -> dict[str, object]:
    return {"worst_ms": round(worst_s * 1000), "added_ms": round(added_s * 1000)}
