"""Tell a wall clock that runs evenly from one that was just set: nothing is deleted by the age of a clock that jumped.

The monotonic clock is the measure. A jump of the wall clock, whether an error or its correction, and a start make it
uneven for a while, which is enough for an operator or NTP to set it right.
"""

from __future__ import annotations

from collections.abc import Callable

JUMP_S = 60.0
#: After a jump, the clock must run evenly for this long before it is trusted.
EVEN_S = 600.0


class ClockWatch:
    """Watches `wall` (seconds since the epoch) by `steady`, which never jumps."""

    def __init__(self, wall: Callable[[], float], steady: Callable[[], float]) -> None:
        self._wall, self._steady = wall, steady
        self._last = wall(), steady()
        self._even_since = self._last[1]

    def is_even(self) -> bool:
        """Return whether the wall clock has not jumped for `EVEN_S`; to be called at least once a minute."""
        wall, steady = self._wall(), self._steady()
        last_wall, last_steady = self._last
        self._last = wall, steady
        if abs((wall - last_wall) - (steady - last_steady)) > JUMP_S:
            self._even_since = steady
        return steady - self._even_since >= EVEN_S
