"""Noise: a fault is found, what varies by itself is not, and too few samples are said to be too few."""

from __future__ import annotations

from math import sqrt
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mirror_proxy.comparison.diff.noise import judge
from mirror_proxy.config.model import Thresholds

DEFAULT = Thresholds()


def drawn(random: Random, samples: int, rate: float) -> int:
    """Draw how many of `samples` differ."""
    return sum(random.random() < rate for _ in range(samples))


def test_a_fault_in_one_of_200_answers_is_found_in_10_000() -> None:
    judgement = judge(50, 10_000, 0, 10_000, DEFAULT)
    assert judgement.verdict == "reported"
    assert judgement.why == "0.5 % against 0 % of noise: at least 0.286 % more"


def test_a_fault_is_found_though_luck_makes_it_rarer() -> None:
    random = Random(1)
    for _ in range(50):
        assert judge(drawn(random, 10_000, 0.005), 10_000, 0, 10_000, DEFAULT).verdict == "reported"


def test_a_fault_is_found_with_a_baseline_of_a_tenth_of_the_pairs() -> None:
    assert judge(50, 10_000, 0, 5_000, DEFAULT).verdict == "reported"


def test_20_fields_that_are_as_noisy_in_one_version_are_never_reported() -> None:
    random = Random(2)
    for _ in range(25):
        for field in range(20):
            rate = (field + 1) / 20
            raw, noise = drawn(random, 2_000, rate), drawn(random, 500, rate)
            assert judge(raw, 2_000, noise, 500, DEFAULT).verdict != "reported", (raw, noise)


def test_a_field_that_always_differs_is_noise_when_it_does_so_in_one_version() -> None:
    judgement = judge(1_000, 1_000, 200, 200, DEFAULT)
    assert judgement.verdict == "noise"
    assert judgement.why == "100 % against 100 % of noise: it differs within one version too"


def test_a_field_that_differs_less_than_within_one_version_is_noise() -> None:
    assert judge(100, 1_000, 500, 1_000, DEFAULT).verdict == "noise"


def test_few_differences_against_a_small_baseline_are_unsure() -> None:
    judgement = judge(5, 1_000, 0, 200, DEFAULT)
    assert judgement.verdict == "unsure"
    assert judgement.why == "0.5 % against 0 % of noise: the samples do not tell these apart yet"


def test_equal_rates_of_few_differences_are_not_called_noise_before_it_is_certain() -> None:
    assert judge(5, 1_000, 5, 1_000, DEFAULT).verdict == "unsure"


@pytest.mark.parametrize(
    ("compared", "noise_compared", "why"),
    [
        (99, 100, "too few samples: needs 1 more pairs"),
        (100, 60, "too few samples: needs 40 more pairs of one version"),
        (70, 60, "too few samples: needs 30 more pairs and 40 more pairs of one version"),
        (70, 0, "too few samples: needs 30 more pairs"),
        (0, 0, "too few samples: needs 100 more pairs"),
    ],
)
def test_too_few_samples_of_either_kind_are_unsure_and_say_how_many_are_wanted(
    compared: int, noise_compared: int, why: str
) -> None:
    judgement = judge(compared, compared, 0, noise_compared, DEFAULT)
    assert (judgement.verdict, judgement.why) == ("unsure", why)


def test_enough_samples_of_both_kinds_are_judged() -> None:
    assert judge(100, 100, 0, 100, DEFAULT).verdict == "reported"


def test_without_a_baseline_every_difference_is_reported() -> None:
    judgement = judge(1, 100, 0, 0, DEFAULT)
    assert judgement.verdict == "reported"
    assert judgement.noise_rate is None
    assert judgement.why == "1 %; no baseline: nothing tells it from noise"


def test_without_a_baseline_a_field_that_never_differed_is_not_reported() -> None:
    assert judge(0, 100, 0, 0, DEFAULT).verdict == "unsure"


def test_with_a_baseline_its_rate_is_given() -> None:
    assert judge(0, 100, 20, 100, DEFAULT).noise_rate == 0.2


def test_a_rate_that_is_higher_by_less_than_the_relative_threshold_is_not_reported() -> None:
    raw, noise = 600_000, 500_000  # a certain excess of 10 %; relative: 0.09
    assert judge(raw, 1_000_000, noise, 1_000_000, DEFAULT).verdict == "noise"
    assert judge(raw, 1_000_000, noise, 1_000_000, Thresholds(relative=0.09)).verdict == "reported"


def test_a_rate_that_is_higher_by_less_than_the_absolute_threshold_is_not_reported() -> None:
    raw, noise = 20_000, 10_000  # of a million: 1 % more, and certainly more than 0.9 %
    assert judge(raw, 1_000_000, noise, 1_000_000, Thresholds(absolute=0.009)).verdict == "reported"
    assert judge(raw, 1_000_000, noise, 1_000_000, Thresholds(absolute=0.011)).verdict == "noise"


def test_with_the_strictest_relative_threshold_only_what_has_no_noise_is_reported() -> None:
    strict = Thresholds(relative=1.0)
    assert judge(500, 1_000, 0, 1_000, strict).verdict == "reported"
    assert judge(500, 1_000, 1, 1_000, strict).verdict == "noise"


def ends(hits: int, samples: int) -> tuple[float, float]:
    """Wilson's interval by its definition: the rates q with (rate - q)² = z² q (1 - q) / n, here as a quadratic."""
    rate, spread = hits / samples, 3.29**2 / samples
    root = sqrt((2 * rate + spread) ** 2 - 4 * (1 + spread) * rate**2)
    return (2 * rate + spread - root) / (2 + 2 * spread), (2 * rate + spread + root) / (2 + 2 * spread)


def test_wilsons_interval_is_as_its_definition_gives_it() -> None:
    judgement = judge(10, 100, 0, 100, DEFAULT)
    assert judgement.raw_low == pytest.approx(0.037497, abs=1e-6)
    assert judgement.raw_high == pytest.approx(0.240638, abs=1e-6)


@given(hits=st.integers(0, 1_000))
def test_every_interval_is_as_its_definition_gives_it(hits: int) -> None:
    judgement = judge(hits, 1_000, 0, 0, DEFAULT)
    low, high = ends(hits, 1_000)
    assert judgement.raw_low == pytest.approx(low, abs=1e-9)
    assert judgement.raw_high == pytest.approx(high, abs=1e-9)


COUNTS = st.integers(0, 10**12)


@given(raw=COUNTS, compared=COUNTS, noise=COUNTS, noise_compared=COUNTS, relative=st.floats(0, 1))
def test_rates_and_bounds_are_between_0_and_1_and_in_order(
    raw: int, compared: int, noise: int, noise_compared: int, relative: float
) -> None:
    judgement = judge(raw, compared, noise, noise_compared, Thresholds(relative=relative))
    assert 0 <= judgement.raw_low <= judgement.raw_rate <= judgement.raw_high <= 1
    assert 0 <= judgement.noise_low <= (judgement.noise_rate or 0) <= judgement.noise_high <= 1
    assert judgement.why


@given(compared=st.integers(100, 10**6), noise_compared=st.integers(100, 10**6), share=st.floats(0, 1))
def test_a_field_that_never_differed_or_no_more_than_noise_is_not_reported(
    compared: int, noise_compared: int, share: float
) -> None:
    noise = -int(-share * noise_compared // 1)
    raw = int(compared * noise / noise_compared)
    assert judge(raw, compared, noise, noise_compared, DEFAULT).verdict != "reported"


@given(hits=st.integers(0, 1_000), more=st.integers(2, 1_000))
def test_more_samples_of_the_same_rate_never_widen_the_interval(hits: int, more: int) -> None:
    few, many = judge(hits, 1_000, 0, 0, DEFAULT), judge(hits * more, 1_000 * more, 0, 0, DEFAULT)
    assert many.raw_high - many.raw_low <= few.raw_high - few.raw_low + 1e-12
