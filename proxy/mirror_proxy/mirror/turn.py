"""Exact sampling: draws that take turns in place of dice, so that each mirror gets just its share, evenly spread.

A draw is below a million and written in three digits of base 100, `high middle low`. So is the number `k` of the
request, `k2 k1 k0`, from which it is made:

    high = 61 k0        middle = 61 k1        low = 61 k2        each modulo 100

61 and 100 have no common factor, so each line can be solved for its digit of `k`: a million requests in a row get
each draw once, and every share of a million (see `share`) is exact over them, wherever they begin.

Over any 100 requests in a row a mirror gets its share to within one: each `high` comes once; those below
`numerator // 10_000` are copied, those above it are not, and the one that equals it is or is not by the digits below.
Steps of 61 spread the whole percents well: between two requests that are copied lie less than twice as many as there
would be if they were even.
"""

from __future__ import annotations

from mirror_proxy.mirror.share import MILLION

CYCLE = MILLION
_STEP = 61


class Turn:
    """Whose turn it is among the requests of one route in one worker; it serves mirrors, never the weighted split."""

    __slots__ = ("_number",)

    def __init__(self, start: int) -> None:
        """Begin with request number `start`: by chance, lest the first request of every worker be copied."""
        self._number = start % CYCLE

    def next(self) -> int:
        """Return the draw of the next request, from 0 to 999 999."""
        number = self._number
        self._number = (number + 1) % CYCLE
        first, second, third = number % 100, number // 100 % 100, number // 10_000
        high, middle, low = first * _STEP % 100, second * _STEP % 100, third * _STEP % 100
        return high * 10_000 + middle * 100 + low
