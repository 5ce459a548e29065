"""Sampling: a mirror's share of its route's requests, and the draws for exact sampling.

Shares. All mirrors of a request compare the same draw on one scale of a million, so samples are nested: each request in
the smaller share of two mirrors is in the larger share too. Envoy has three scales (100, 10 000 and 1 000 000), and
nests shares of the same scale only.

Exact sampling. Draws follow a fixed order instead of chance, so that each mirror gets exactly its share, evenly
spread. A draw is below a million and written in three digits of base 100, `high middle low`. So is the number `k` of
the request, `k2 k1 k0`, which it is computed from:

    high = 61 k0        middle = 61 k1        low = 61 k2        each modulo 100

61 and 100 have no common factor, so each line can be solved for its digit of `k`: a million requests in a row get
each draw once, and every share of a million is exact over them, wherever they begin.

Over any 100 requests in a row a mirror gets its share to within one: each `high` occurs once; requests below
`numerator // 10_000` are mirrored, those above are not, and for the one that equals it the digits below decide.
Steps of 61 spread whole percents well: the gap between two mirrored requests is less than twice the mean gap.
"""

from __future__ import annotations

MILLION = 1_000_000
CYCLE = MILLION
#: Steps per percent: the finest share.
STEPS = 10_000
_ROUNDING = 1e-6
_STEP = 61


def on_one_scale(numerator: int, denominator: int) -> tuple[int, int]:
    """Return a share in millionths where that is the same share; else as it is."""
    factor, rest = divmod(MILLION, denominator)
    return (numerator, denominator) if rest or not factor else (numerator * factor, MILLION)


def is_in_steps(percent: float, steps: int = STEPS) -> bool:
    """Return whether `percent` is a whole number of steps, `steps` per percent, within floating-point error."""
    return abs(percent * steps - round(percent * steps)) <= _ROUNDING


def millionths(percent: float) -> int:
    """Return the numerator of a percentage over a million: the nearest."""
    return round(percent * STEPS)


class ExactSampler:
    """Draws for the mirrors of one route in one worker; the weighted split never uses them."""

    __slots__ = ("_number",)

    def __init__(self, start: int) -> None:
        """Begin with request number `start`, a random one, so that workers do not all mirror their first request."""
        self._number = start % CYCLE

    def next(self) -> int:
        """Return the draw of the next request, from 0 to 999 999."""
        number = self._number
        self._number = (number + 1) % CYCLE
        first, second, third = number % 100, number // 100 % 100, number // 10_000
        high, middle, low = first * _STEP % 100, second * _STEP % 100, third * _STEP % 100
        return high * 10_000 + middle * 100 + low
