"""Latency: how much slower the mirror is than the primary, of the same requests, valid at every look.

The log of the mirror's time by the primary's is judged, so that a request of 1 ms and one of 1 s count alike. Sums of
that and of the primary's own time are counted; they are whole numbers that only grow.

Where a second v1 is asked as well, its slowness is taken out: a shadow request is sent later than the primary's, and
on a busy machine both wait longer. The primary's own time is the covariate of that comparison, because both have it in
their denominators. The interval is an asymptotic confidence sequence (Waudby-Smith et al. 2024).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import exp, log, sqrt

from mirror_proxy.comparison.judgement.interval import ERROR

#: Sums are counted in thousandths, of logs that these make positive.
_UNIT = 1000
_RATIO_SHIFT, _RATIO_MOST = 8.0, 16.0
_TIME_SHIFT, _TIME_MOST = 14.0, 24.0
_LEAST_S = 1e-6
#: With fewer pairs nothing is known: the interval relies on means of many.
FEWEST = 50
#: The interval is narrowest at about this number of pairs.
_NARROWEST_AT = 1_000


@dataclass(frozen=True, slots=True)
class Moments:
    """Sums over `count` pairs: of the log ratio of times (`ratio`), of the log of the primary's time, of products."""

    count: float = 0.0
    ratio: float = 0.0
    ratio_squared: float = 0.0
    time: float = 0.0
    time_squared: float = 0.0
    ratio_time: float = 0.0

    @property
    def mean(self) -> float:
        """The mean of the log ratio."""
        return self.ratio / self.count

    @property
    def spreads(self) -> tuple[float, float, float]:
        """Sums of squares about the means: of ratios, of times, and of their products."""
        return (
            max(0.0, self.ratio_squared - self.ratio**2 / self.count),
            max(0.0, self.time_squared - self.time**2 / self.count),
            self.ratio_time - self.ratio * self.time / self.count,
        )


@dataclass(frozen=True, slots=True)
class Slowness:
    """By which part of the other's time the mirror is slower (0.018: 1.8 %; negative: faster), with its interval."""

    value: float
    low: float
    high: float
    samples: int


def sums_of(primary_s: float, shadow_s: float) -> dict[str, int]:
    """Return what one pair adds to the sums, by the names of the moments."""
    primary_s, shadow_s = max(primary_s, _LEAST_S), max(shadow_s, _LEAST_S)
    ratio = _whole(log(shadow_s / primary_s) + _RATIO_SHIFT, _RATIO_MOST)
    time = _whole(log(primary_s) + _TIME_SHIFT, _TIME_MOST)
    return {
        "n": 1,
        "ratio": ratio,
        "ratio2": ratio * ratio,
        "time": time,
        "time2": time * time,
        "ratio.time": ratio * time,
    }


def moments_of(sums: Mapping[str, int]) -> Moments:
    """Return the moments of what `sums_of` made, added up."""
    count = sums.get("n", 0)
    if not count:
        return Moments()
    ratio, time = sums.get("ratio", 0) / _UNIT, sums.get("time", 0) / _UNIT
    square, unshifted = _UNIT * _UNIT, count * _RATIO_SHIFT
    return Moments(
        count,
        ratio - unshifted,
        sums.get("ratio2", 0) / square - 2 * _RATIO_SHIFT * ratio + unshifted * _RATIO_SHIFT,
        time,
        sums.get("time2", 0) / square,
        sums.get("ratio.time", 0) / square - _RATIO_SHIFT * time,
    )


def against_primary(strata: Iterable[Moments], error: float = ERROR) -> Slowness | None:
    """Return how much slower the mirror is than the primary, over endpoints; None: too few pairs."""
    parts = [(one.count, one.mean, one.spreads[0] / one.count**2) for one in strata if one.count >= FEWEST]
    return _together(parts, error)


def against_second(strata: Iterable[tuple[Moments, Moments]], error: float = ERROR) -> Slowness | None:
    """Return how much slower the mirror is than a second v1, over endpoints with both; None: too few pairs."""
    parts = [
        (mirror.count, *_effect(mirror, second))
        for mirror, second in strata
        if min(mirror.count, second.count) >= FEWEST
    ]
    return _together(parts, error)


def _effect(mirror: Moments, second: Moments) -> tuple[float, float]:
    """Return the difference of two log ratios at the same time of the primary, and its variance."""
    (ratios, times, products), (ratios2, times2, products2) = mirror.spreads, second.spreads
    slope = (products + products2) / (times + times2) if times + times2 > 0 else 0.0
    apart = mirror.time / mirror.count - second.time / second.count
    variance = sum(
        max(0.0, square - 2 * slope * product + slope**2 * time) / count**2
        for square, time, product, count in (
            (ratios, times, products, mirror.count),
            (ratios2, times2, products2, second.count),
        )
    )
    return mirror.mean - second.mean - slope * apart, variance


def _together(parts: list[tuple[float, float, float]], error: float) -> Slowness | None:
    """Return the mean effect of endpoints, each by its number of pairs."""
    count = sum(pairs for pairs, _, _ in parts)
    if not count:
        return None
    effect = sum(pairs * one for pairs, one, _ in parts) / count
    spread = sqrt(sum(pairs**2 * variance for pairs, _, variance in parts)) / count
    half = spread * _width(count, error)
    return Slowness(exp(effect) - 1, exp(effect - half) - 1, exp(effect + half) - 1, int(count))


def _width(count: float, error: float) -> float:
    """Return how many standard errors the interval reaches to each side."""
    tightness = (-2 * log(error) + log(-2 * log(error)) + 1) / _NARROWEST_AT
    grown = count * tightness + 1
    return sqrt(2 * grown / (count * tightness) * log(sqrt(grown) / error))


def _whole(value: float, most: float) -> int:
    return max(1, round(min(value, most) * _UNIT))
