from __future__ import annotations

from mirror_proxy.comparison.process import picker
from mirror_proxy.comparison.process.picker import EVERY_S, FIRST, Picker
from tests.support.comparer import field

NOISY, RARE = field("$.time"), field("$.price")


def kept(picks: Picker, times: int, *fields: tuple[str, ...], now: float = 0.0) -> int:
    return sum(picks.wants(fields, now) for _ in range(times))


def test_of_each_field_the_first_few_are_kept_and_then_one_in_a_while() -> None:
    picks = Picker()
    assert kept(picks, 1_000, NOISY) == FIRST
    assert kept(picks, 1_000, NOISY, now=EVERY_S) == 1
    assert kept(picks, 1_000, NOISY, now=4 * EVERY_S) == 3
    assert kept(picks, 1_000, NOISY, now=1_000 * EVERY_S) == FIRST


def test_a_rare_field_is_kept_though_a_noisy_one_differs_in_every_pair() -> None:
    picks = Picker()
    kept(picks, 1_000, NOISY)
    assert kept(picks, 1_000, NOISY, RARE) == FIRST


def test_a_pair_counts_for_all_of_its_fields() -> None:
    picks = Picker()
    assert kept(picks, 1_000, NOISY, RARE) == FIRST
    assert kept(picks, 1_000, NOISY) == 0


def test_a_noisy_field_beside_rare_ones_is_kept_again_as_soon_as_any_other() -> None:
    picks = Picker()
    for number in range(100):
        kept(picks, FIRST, NOISY, field(f"$.rare{number}"))
    assert kept(picks, 1_000, NOISY, now=EVERY_S) == 1


def test_more_fields_than_it_keeps_account_of_are_not_kept_until_others_are_full_again() -> None:
    picks = Picker()
    for number in range(picker.MAX_FIELDS):
        picks.wants([field(f"$.k{number}")], 0.0)
    assert kept(picks, 10, RARE) == 0
    assert kept(picks, 10, RARE, now=EVERY_S) == FIRST
