"""Interval: a rate as samples show it, at its best guess, at least and at most, valid at every look.

The interval holds each rate against which a bet has not won enough (Robbins' mixture with Jeffreys' prior; Howard et
al. 2021 call it a confidence sequence). The price of looking at any time: of 10,000 samples it is 1.7 times as wide as
an interval for a single look.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import exp, log

from mirror_proxy.comparison.judgement.evidence import log_likelihood, log_marginal

#: The error of an interval: both sides, all looks.
ERROR = 0.01
_STEPS = 60
_PRECISION = 1e-9


@dataclass(frozen=True, slots=True)
class Rate:
    """A rate from 0 to 1 with the ends of its confidence interval."""

    value: float
    low: float
    high: float


def rate_of(hits: float, samples: float, error: float = ERROR) -> Rate:
    """Return the rate of `hits` in `samples`; of no sample nothing is known."""
    if samples <= 0:
        return Rate(0.0, 0.0, 1.0)
    hits = min(hits, samples)
    value = hits / samples
    floor = log_marginal(hits, samples) + log(error)
    low = _lowest(hits, samples, floor) if hits else 0.0
    high = 1 - _lowest(samples - hits, samples, floor) if hits < samples else 1.0
    return Rate(value, min(low, value), max(high, value))


def is_surely_above(hits: float, samples: float, rate: float, error: float = ERROR) -> bool:
    """Return whether the interval lies above `rate` as a whole."""
    return hits > rate * samples and log_marginal(hits, samples) + log(error) > log_likelihood(
        hits, samples, rate
    )


def shares_around(samples: int, share: float) -> tuple[float | None, float | None]:
    """Return the shares of the samples between which the quantile `share` lies; None: it may be beyond all of them."""
    below, above = _surely_below(samples, share), _surely_below(samples, 1 - share)
    return None if below is None else below / samples, None if above is None else 1 - above / samples


@lru_cache(maxsize=1024)
def _surely_below(samples: int, share: float) -> int | None:
    """Return how many samples are below the quantile `share` for sure; None: not even the first is."""
    if not is_surely_above(samples, samples, 1 - share):
        return None
    low, high = 0, samples  # surely below, and surely not all
    while high - low > 1:
        middle = (low + high) // 2
        if is_surely_above(samples - middle, samples, 1 - share):
            low = middle
        else:
            high = middle
    return low


def _lowest(hits: float, samples: float, floor: float) -> float:
    """Return the lowest rate whose log likelihood is at least `floor`.

    Newton's method on the log of the rate, where the likelihood is concave: from below it never goes too far.
    """
    misses = samples - hits
    position = floor / hits  # too low whatever the misses say
    for _ in range(_STEPS):
        rate = exp(position)
        step = (floor - log_likelihood(hits, samples, rate)) / (
            hits - misses * rate / (1 - rate) if misses else hits
        )
        if not step > _PRECISION:
            break
        position += step
    return exp(min(position, 0.0))
