"""A mirror's share of its route's requests, in millionths.

All compare the same draw on this one scale, so that of two mirrors one with the smaller share gets no request that
the other lacks. Envoy has three scales (100, 10 000 and 1 000 000), and nests shares of the same one only.
"""

from __future__ import annotations

MILLION = 1_000_000
#: Of a percent: the finest share there is.
STEPS = 10_000
_ROUNDING = 1e-6


def on_one_scale(numerator: int, denominator: int) -> tuple[int, int]:
    """Return a share in millionths where that is the same share; else as it is."""
    factor, rest = divmod(MILLION, denominator)
    return (numerator, denominator) if rest or not factor else (numerator * factor, MILLION)


def is_in_steps(percent: float, steps: int = STEPS) -> bool:
    """Tell whether a percent is a whole number of so many steps each, but for what floating point makes of it."""
    return abs(percent * steps - round(percent * steps)) <= _ROUNDING


def millionths(percent: float) -> int:
    """Return the numerator of a percentage over a million: the nearest."""
    return round(percent * STEPS)
