"""Whether a worker is so late that it stops mirroring for a while: its primaries' requests come first.

Measured by the tick of the clock, which a busy loop serves late, over windows of one second. A request waits for the
loop twice, when it comes and when its answer does, so the ticks' mean lateness, twice, is what it is delayed by.
"""

from __future__ import annotations

import logging
import math

from proxy.config.model import Shed

WINDOW_S = 1.0

_log = logging.getLogger(__name__)


class Shedding:
    """Begins after two windows in a row over a limit; ends after one below half of both. A limit of 0 is none."""

    __slots__ = ("_count", "_ends_at", "_sum_s", "_was_late", "_worst_s", "is_on", "limits")

    def __init__(self, limits: Shed) -> None:
        self.limits = limits
        self.is_on = False
        self._was_late = False
        self._ends_at = math.inf  # the first tick begins the first window
        self._count = 0
        self._sum_s = self._worst_s = 0.0

    def observe(self, late_s: float, now: float) -> bool:
        """Take note of a tick that came `late_s` late at `now`; tell whether nothing is to be mirrored from now on."""
        if self._ends_at == math.inf:
            self._ends_at = now + WINDOW_S
        self._count += 1
        self._sum_s += late_s
        self._worst_s = max(self._worst_s, late_s)
        if now >= self._ends_at:
            self._judge(self._worst_s, 2 * self._sum_s / self._count)
            self._ends_at = now + WINDOW_S
            self._count = 0
            self._sum_s = self._worst_s = 0.0
        return self.is_on

    def _judge(self, worst_s: float, added_s: float) -> None:
        limits = self.limits
        pairs = ((worst_s, limits.loop_lag_s), (added_s, limits.added_latency_s))
        is_late = any(limit and value > limit for value, limit in pairs)
        is_well = all(not limit or value < limit / 2 for value, limit in pairs)
        if not self.is_on and is_late and self._was_late:
            self.is_on = True
            _log.warning("nothing is mirrored until the loop is less late: %s", _told(worst_s, added_s))
        elif self.is_on and is_well:
            self.is_on = False
            _log.warning("mirroring goes on: %s", _told(worst_s, added_s))
        self._was_late = is_late


def _told(worst_s: float, added_s: float) -> str:
    return f"{worst_s * 1000:.0f} ms at worst, {added_s * 1000:.0f} ms added to a request"
