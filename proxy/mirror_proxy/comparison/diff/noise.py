"""Noise: whether a field differs more often between two versions than between two answers of one.

Rates are known from samples only, so each has Wilson's score interval, which holds its own at rates near 0, where
differences live, and never leaves 0..1. The interval of raw - noise is Newcombe's: each side's distance from its
rate to the end of its interval, added as the sides of a right angle.

Why z = 3.29 (99.9 % two-sided) and not the usual 1.96: many fields are judged, again and again as samples come in.
At 1.96 one in 40 innocent fields stands out by luck: of 20 noisy fields, one in two runs of five. At 3.29 it is no
more than one field in 2,000, and fewer where the relative threshold is the stricter one. The price is small: a fault
in 0.5 % of answers, without noise, is still found within 5,000 pairs in 98 runs of 100, and in 10,000 always.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import hypot, sqrt
from typing import Literal

from mirror_proxy.config.model import Thresholds
from mirror_proxy.text import format_count, format_share

Verdict = Literal["reported", "noise", "unsure"]

Z = 3.29


@dataclass(frozen=True, slots=True)
class Judgement:
    """Rates are from 0 to 1, with the ends of their confidence intervals; `why` is one line for people.

    `noise_rate` None: there is no baseline at all, and then every difference is reported.
    """

    verdict: Verdict
    raw_rate: float
    raw_low: float
    raw_high: float
    noise_rate: float | None
    noise_low: float
    noise_high: float
    why: str


@dataclass(frozen=True, slots=True)
class _Rate:
    """A rate as a sample shows it: at its best guess, at least, and at most."""

    rate: float
    low: float
    high: float


def judge(raw: int, compared: int, noise: int, noise_compared: int, thresholds: Thresholds) -> Judgement:
    """Judge a field that differed in `raw` of `compared` pairs, and in `noise` of `noise_compared` of one version.

    A row that stands for many fields may differ more than once in a pair; it counts as differing in every pair.
    """
    ours, theirs = _wilson(raw, compared), _wilson(noise, noise_compared)
    verdict, why = _verdict(ours, theirs, compared, noise_compared, thresholds)
    noise_rate = theirs.rate if noise_compared else None
    return Judgement(verdict, ours.rate, ours.low, ours.high, noise_rate, theirs.low, theirs.high, why)


def _verdict(
    raw: _Rate, noise: _Rate, compared: int, noise_compared: int, thresholds: Thresholds
) -> tuple[Verdict, str]:
    too_few = _too_few(compared, noise_compared, thresholds.min_samples)
    if too_few:
        return "unsure", too_few
    if not noise_compared:
        return _without_baseline(raw)
    low = _lowest_excess(raw, noise)
    apart = _relative(raw.rate, noise.rate)
    both = f"{format_share(raw.rate)} against {format_share(noise.rate)} of noise"
    if low > thresholds.absolute and apart >= thresholds.relative:
        return "reported", f"{both}: at least {format_share(low)} more"
    if _is_surely_like_noise(raw, noise, thresholds):
        return "noise", f"{both}: it differs within one version too"
    return "unsure", f"{both}: the samples do not tell these apart yet"


def _too_few(compared: int, noise_compared: int, wanted: int) -> str:
    """Say which samples are still wanted; empty: none. No baseline at all is not one that is too small."""
    pairs = wanted - compared
    baseline = wanted - noise_compared if noise_compared else 0
    wants = [f"{format_count(pairs)} more pairs"] * (pairs > 0)
    wants += [f"{format_count(baseline)} more pairs of one version"] * (baseline > 0)
    return f"too few samples: needs {' and '.join(wants)}" if wants else ""


def _without_baseline(raw: _Rate) -> tuple[Verdict, str]:
    if raw.rate > 0:
        return "reported", f"{format_share(raw.rate)}; no baseline: nothing tells it from noise"
    return "unsure", "it has not differed; no baseline"


def _lowest_excess(raw: _Rate, noise: _Rate) -> float:
    """Return the lower end of raw - noise (Newcombe's)."""
    return raw.rate - noise.rate - hypot(raw.rate - raw.low, noise.high - noise.rate)


def _is_surely_like_noise(raw: _Rate, noise: _Rate, thresholds: Thresholds) -> bool:
    """Return whether one of the thresholds is missed even at the upper end of its interval.

    Missing the relative one, (raw - noise) / (raw + noise) < r, is the same as (1 - r) raw - (1 + r) noise < 0,
    whose upper end is found as a difference's is.
    """
    highest_excess = raw.rate - noise.rate + hypot(raw.high - raw.rate, noise.rate - noise.low)
    mine, other = 1 - thresholds.relative, 1 + thresholds.relative
    weighed = mine * raw.rate - other * noise.rate
    highest_weighed = weighed + hypot(mine * (raw.high - raw.rate), other * (noise.rate - noise.low))
    return highest_excess <= thresholds.absolute or highest_weighed < 0


def _relative(raw: float, noise: float) -> float:
    return (raw - noise) / (raw + noise) if raw + noise else 0.0


def _wilson(hits: int, samples: int) -> _Rate:
    """Return the rate with Wilson's score interval; of no sample nothing is known."""
    if not samples:
        return _Rate(0.0, 0.0, 1.0)
    rate = min(hits, samples) / samples
    square = Z * Z / samples
    middle = (rate + square / 2) / (1 + square)
    half = Z * sqrt(rate * (1 - rate) / samples + square / (4 * samples)) / (1 + square)
    return _Rate(rate, max(0.0, min(rate, middle - half)), min(1.0, max(rate, middle + half)))
