"""Evidence: how strongly counts speak against "the mirror differs no more often than the baseline", as a log e-value.

An e-value is what a fair bet against that statement has won: 1 to begin with, and above 1,000 in at most one of 1,000
cases where the statement is true, however often it is looked at (Ville's inequality; Ramdas et al. 2023). No
normal approximation: 12 of 12 against 0 of 12 is as exact as 1,000 of 100,000. Two bets share the stake:

    product      bets on both rates, against the best case of the statement (universal inference: Wasserman et al.
                 2020): strong where rates are large
    conditional  bets on whose each difference is: the mirror's with probability q, its share of all pairs, or more if
                 its odds are higher: strong where differences are rare, and it adds up over endpoints of few pairs

Half of each stake bets that the baseline never differs, as most changes are in places where v1 agrees with itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import exp, inf, lgamma, log, log1p, pi

#: Odds of the mirror against the baseline, and the log of the part of the stake on each; the last: only it differs.
_ODDS = tuple(
    (odds, log(part)) for odds, part in ((1.5, 0.1), (2, 0.1), (4, 0.1), (8, 0.1), (32, 0.1), (inf, 0.5))
)
_HALF = log(0.5)

#: Counts of one endpoint: the mirror's differences and pairs, the baseline's differences and pairs.
Counts = tuple[float, float, float, float]


def against_baseline(raw: float, compared: float, noise: float, noise_compared: float) -> float:
    """Return the log evidence that `raw` of `compared` is more than `noise` of `noise_compared`."""
    if raw * noise_compared <= noise * compared:
        return -inf
    share = compared / (compared + noise_compared)
    conditional = (part + _conditional(raw, noise, share, odds) for odds, part in _ODDS)
    return _HALF + _log_sum(_product(raw, compared, noise, noise_compared), *conditional)


def against_rate(hits: float, samples: float, rate: float) -> float:
    """Return the log evidence that the rate of `hits` in `samples` is above `rate`."""
    if hits <= rate * samples:
        return -inf
    return _bet(hits, samples, at=1.0) - log_likelihood(hits, samples, rate)


def over_endpoints(endpoints: Sequence[Counts]) -> float:
    """Return the log evidence of one place at several endpoints together; the rates of each are its own.

    Half of the stake bets that the place differs at all of the endpoints, half that it does at about half of them.
    """
    shares = [
        (raw, noise, compared / (compared + noise_compared))
        for raw, compared, noise, noise_compared in endpoints
    ]
    at_all, at_half = [], []
    for odds, part in _ODDS:
        each = [_conditional(*counts, odds) for counts in shares]
        at_all.append(part + sum(each))
        at_half.append(part + sum(_HALF + _log_sum(0.0, one) for one in each))
    return _HALF + _log_sum(*at_all, *at_half)


def most(raw: float, compared: float, noise: float, noise_compared: float) -> float:
    """Return what no bet on these counts can exceed: the log of the greatest likelihood ratio.

    It grows in proportion to the counts.
    """
    if raw * noise_compared <= noise * compared:
        return 0.0
    pooled = (raw + noise) / (compared + noise_compared)
    return (
        log_likelihood(raw, compared, raw / compared)
        + log_likelihood(noise, noise_compared, noise / noise_compared)
        - log_likelihood(raw + noise, compared + noise_compared, pooled)
    )


def log_likelihood(hits: float, samples: float, rate: float) -> float:
    """Return the log likelihood of `hits` in `samples` at a rate."""
    misses = samples - hits
    if (hits and rate <= 0) or (misses and rate >= 1):
        return -inf
    return (hits * log(rate) if hits else 0.0) + (misses * log1p(-rate) if misses else 0.0)


def log_marginal(hits: float, samples: float) -> float:
    """Return the log likelihood of `hits` in `samples`, averaged over all rates (Jeffreys' prior)."""
    return lgamma(hits + 0.5) + lgamma(samples - hits + 0.5) - lgamma(samples + 1) - log(pi)


def _product(raw: float, compared: float, noise: float, noise_compared: float) -> float:
    """Return the log evidence of a bet on both rates against the best case of "no more often"."""
    pooled = (raw + noise) / (compared + noise_compared)
    return (
        _bet(raw, compared, at=1.0)
        + _bet(noise, noise_compared, at=0.0)
        - log_likelihood(raw + noise, compared + noise_compared, pooled)
    )


def _bet(hits: float, samples: float, at: float) -> float:
    """Return the log likelihood when half of the stake bets that the rate is `at`, and half that it is anything."""
    return _HALF + _log_sum(log_likelihood(hits, samples, at), log_marginal(hits, samples))


def _conditional(raw: float, noise: float, share: float, odds: float) -> float:
    """Return the log likelihood ratio of `raw` differences of the mirror among all, at `odds` against even odds."""
    if odds == inf:
        return -inf if noise else -raw * log(share)
    return raw * log(odds) - (raw + noise) * log(share * odds + 1 - share)


def _log_sum(*logs: float) -> float:
    """Return the log of a sum of what these are logs of."""
    highest = max(logs)
    return highest if highest == -inf else highest + log(sum(exp(one - highest) for one in logs))
