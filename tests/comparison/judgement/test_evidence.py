"""Evidence: bets that cannot win on average where the mirror differs no more often than the baseline."""

from __future__ import annotations

from itertools import product
from math import comb, exp, inf, isfinite, log

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mirror_proxy.comparison.judgement.evidence import (
    against_baseline,
    against_rate,
    log_likelihood,
    log_marginal,
    most,
    over_endpoints,
)

COUNTS = st.integers(0, 10**12)
RATES = (0.01, 0.1, 0.3, 0.5, 0.9, 1.0)


def probability(hits: int, samples: int, rate: float) -> float:
    return comb(samples, hits) * rate**hits * (1 - rate) ** (samples - hits)


def tables(compared: int, noise_compared: int) -> list[tuple[int, int]]:
    return list(product(range(compared + 1), range(noise_compared + 1)))


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize(("compared", "noise_compared"), [(1, 1), (12, 12), (20, 5), (5, 20)])
def test_no_bet_wins_on_average_when_both_rates_are_equal(
    rate: float, compared: int, noise_compared: int
) -> None:
    won = sum(
        probability(raw, compared, rate)
        * probability(noise, noise_compared, rate)
        * exp(against_baseline(raw, compared, noise, noise_compared))
        for raw, noise in tables(compared, noise_compared)
    )
    assert won <= 1


@pytest.mark.parametrize("rate", RATES)
def test_no_bet_wins_on_average_at_two_endpoints_together(rate: float) -> None:
    found = [
        (probability(raw, 4, rate) * probability(noise, 4, rate), (raw, 4, noise, 4))
        for raw, noise in tables(4, 4)
    ]
    won = sum(mine * other * exp(over_endpoints([a, b])) for (mine, a), (other, b) in product(found, found))
    assert won <= 1 + 1e-9


@pytest.mark.parametrize("rate", [0.001, 0.01, 0.2])
def test_no_bet_wins_on_average_against_the_rate_that_it_is_held_against(rate: float) -> None:
    won = sum(probability(hits, 30, rate) * exp(against_rate(hits, 30, rate)) for hits in range(31))
    assert won <= 1


def test_12_of_12_against_0_of_12_is_as_strong_as_its_probability_is_small() -> None:
    assert against_baseline(12, 12, 0, 12) == pytest.approx(log(comb(24, 12)), abs=0.5)


def test_rare_differences_win_nearly_what_as_many_heads_in_a_row_would() -> None:
    assert 2**12 / 4 < exp(against_baseline(12, 400, 0, 400)) < 2**12


def test_few_pairs_of_many_endpoints_add_up() -> None:
    assert exp(over_endpoints([(2, 2, 0, 2)])) < 3
    assert exp(over_endpoints([(2, 2, 0, 2)] * 10)) > 100_000


def test_endpoints_that_do_not_differ_more_than_noise_hide_no_others() -> None:
    differing = [(2, 2, 0, 2)] * 10
    assert over_endpoints([*differing, (10, 10, 10, 10), (5, 50, 5, 50)]) > log(500)


def test_a_rate_that_is_no_higher_is_no_evidence() -> None:
    assert against_baseline(10, 10, 10, 10) == -inf
    assert against_baseline(5, 100, 10, 100) == -inf
    assert against_rate(1, 100, 0.01) == -inf


@given(raw=COUNTS, compared=COUNTS, noise=COUNTS, noise_compared=COUNTS)
def test_no_evidence_is_above_the_most_that_counts_can_give(
    raw: int, compared: int, noise: int, noise_compared: int
) -> None:
    counts = min(raw, compared), compared, min(noise, noise_compared), noise_compared
    rounding = 0.01 + 1e-9 * (compared + noise_compared)
    found = against_baseline(*counts)
    assert found == -inf or (isfinite(found) and found <= most(*counts) + rounding)


@given(hits=st.integers(0, 200), misses=st.integers(0, 200))
def test_the_average_over_all_rates_is_between_none_and_the_best(hits: int, misses: int) -> None:
    samples = hits + misses
    assert log_marginal(hits, samples) <= 1e-9
    if samples:
        assert log_marginal(hits, samples) <= log_likelihood(hits, samples, hits / samples) + 1e-9
