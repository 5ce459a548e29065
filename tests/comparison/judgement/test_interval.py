"""Interval: the true rate is inside at every look, and the more samples, the narrower it is."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mirror_proxy.comparison.judgement.interval import ERROR, is_surely_above, rate_of, shares_around

COUNTS = st.integers(0, 10**9)


@given(hits=COUNTS, samples=COUNTS)
def test_ends_are_between_0_and_1_around_the_rate(hits: int, samples: int) -> None:
    rate = rate_of(hits, samples)
    assert 0 <= rate.low <= rate.value <= rate.high <= 1


@given(hits=st.integers(0, 500), misses=st.integers(0, 500))
def test_the_interval_of_the_rest_is_the_mirror_image(hits: int, misses: int) -> None:
    rate, rest = rate_of(hits, hits + misses), rate_of(misses, hits + misses)
    if hits + misses:
        assert rate.low == pytest.approx(1 - rest.high, abs=1e-7)


@given(hits=st.integers(0, 100), more=st.integers(2, 1000))
def test_more_samples_of_the_same_rate_never_widen_the_interval(hits: int, more: int) -> None:
    few, many = rate_of(hits, 100), rate_of(hits * more, 100 * more)
    assert many.high - many.low <= few.high - few.low + 1e-9


@given(hits=st.integers(0, 300), misses=st.integers(0, 300), bound=st.floats(0.001, 0.999))
def test_a_rate_is_surely_above_all_that_lies_below_its_interval(
    hits: int, misses: int, bound: float
) -> None:
    low = rate_of(hits, hits + misses).low
    if abs(low - bound) > 1e-6:
        assert is_surely_above(hits, hits + misses, bound) == (low > bound)


def test_of_no_sample_nothing_is_known() -> None:
    rate = rate_of(0, 0)
    assert (rate.low, rate.high) == (0, 1)


def test_none_of_20_000_excludes_more_than_one_in_1_900() -> None:
    assert rate_of(0, 20_000).high == pytest.approx(1 / 1_975, rel=0.01)


def test_34_of_46_are_surely_more_than_47_percent() -> None:
    assert rate_of(34, 46).low == pytest.approx(0.4727, abs=1e-4)


@pytest.mark.parametrize("true", [0.001, 0.05, 0.5])
def test_an_interval_looked_at_100_times_misses_the_rate_in_no_more_than_its_error(true: float) -> None:
    random, runs = np.random.default_rng(3), 1_000
    hits = np.cumsum(random.binomial(50, true, (runs, 100)), axis=1)
    samples = 50.0 * np.arange(1, 101)
    # Looks near the true rate cannot miss: an interval reaches at least two standard deviations.
    far = np.abs(hits - samples * true) > 2 * np.sqrt(samples * true * (1 - true))
    missed = {
        int(run)
        for run, look in np.argwhere(far)
        if not (rate := rate_of(int(hits[run, look]), samples[look])).low <= true <= rate.high
    }
    assert len(missed) <= ERROR * runs


# --- quantiles ---


@given(samples=st.integers(1, 100_000), share=st.sampled_from([0.5, 0.9, 0.99]))
def test_a_quantile_lies_between_samples_that_are_surely_on_its_two_sides(samples: int, share: float) -> None:
    low, high = shares_around(samples, share)
    if low is not None:
        below = round(low * samples)
        assert low < share
        assert rate_of(below, samples).high < share <= rate_of(below + 1, samples).high + 1e-9
    if high is not None:
        below = round(high * samples)
        assert high > share
        assert rate_of(below, samples).low > share >= rate_of(below - 1, samples).low - 1e-9


def test_few_samples_are_all_on_one_side_of_a_high_quantile() -> None:
    assert shares_around(4, 0.5) == (None, None)
    low, high = shares_around(100, 0.99)
    assert low == 0.93
    assert high is None


def test_the_interval_of_a_quantile_looked_at_100_times_misses_in_no_more_than_its_error() -> None:
    random, runs, missed = np.random.default_rng(4), 1_000, set()
    below = np.cumsum(random.binomial(50, 0.9, (runs, 100)), axis=1)
    for look in range(100):
        samples = 50 * (look + 1)
        low, high = shares_around(samples, 0.9)
        shares = below[:, look] / samples
        outside = (shares < (low or 0)) | (shares > (high or 1))
        missed |= set(np.flatnonzero(outside))
    assert len(missed) <= ERROR * runs
