from __future__ import annotations

from mirror_proxy.comparison.process.pair_comparer import EVERY_S, FIRST, MAX_SAMPLED_FIELDS, ExampleSampling
from tests.support.comparer import field

NOISY, RARE = field("$.time"), field("$.price")


def kept(sampling: ExampleSampling, times: int, *fields: tuple[str, ...], now: float = 0.0) -> int:
    return sum(sampling.wants(fields, request, now) for request in range(times))


def test_of_each_field_the_first_few_are_kept_and_then_one_in_a_while() -> None:
    sampling = ExampleSampling()
    assert kept(sampling, 1_000, NOISY) == FIRST
    assert kept(sampling, 1_000, NOISY, now=EVERY_S) == 1
    assert kept(sampling, 1_000, NOISY, now=4 * EVERY_S) == 3
    assert kept(sampling, 1_000, NOISY, now=1_000 * EVERY_S) == FIRST


def test_a_rare_field_is_kept_though_a_noisy_one_differs_in_every_pair() -> None:
    sampling = ExampleSampling()
    kept(sampling, 1_000, NOISY)
    assert kept(sampling, 1_000, NOISY, RARE) == FIRST


def test_a_pair_counts_for_all_of_its_fields() -> None:
    sampling = ExampleSampling()
    assert kept(sampling, 1_000, NOISY, RARE) == FIRST
    assert kept(sampling, 1_000, NOISY) == 0


def test_a_noisy_field_beside_rare_ones_is_kept_again_as_soon_as_any_other() -> None:
    sampling = ExampleSampling()
    for number in range(100):
        kept(sampling, FIRST, NOISY, field(f"$.rare{number}"))
    assert kept(sampling, 1_000, NOISY, now=EVERY_S) == 1


def test_more_fields_than_it_keeps_account_of_are_not_kept_until_others_are_full_again() -> None:
    sampling = ExampleSampling()
    for number in range(MAX_SAMPLED_FIELDS):
        sampling.wants([field(f"$.k{number}")], 0, 0.0)
    assert kept(sampling, 10, RARE) == 0
    assert kept(sampling, 10, RARE, now=EVERY_S) == FIRST


def test_one_request_is_kept_once_and_again_when_nothing_was_kept_for_a_while() -> None:
    sampling = ExampleSampling()
    assert [sampling.wants([NOISY], 7, 0.0) for _ in range(3)] == [True, False, False]
    assert sampling.wants([NOISY], 8, 0.0)
    assert not sampling.wants([NOISY], 7, EVERY_S)
    assert sampling.wants([NOISY], 7, FIRST * EVERY_S)
