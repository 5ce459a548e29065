"""Draws that take turns: each once in a cycle, and each share nearly so over any hundred."""

from __future__ import annotations

from itertools import accumulate, pairwise
from math import ceil

import pytest

from mirror_proxy.mirror.sampling import CYCLE, ExactSampler


def draws(start: int, count: int) -> list[int]:
    turn = ExactSampler(start)
    return [turn.next() for _ in range(count)]


def test_a_million_requests_get_each_draw_once_and_then_all_again() -> None:
    cycle = draws(123_456, CYCLE)
    assert sorted(cycle) == list(range(CYCLE))
    turn = ExactSampler(123_456 + CYCLE)
    assert [turn.next() for _ in range(10)] == cycle[:10]


@pytest.mark.parametrize(
    "numerator",
    [1, 500, 9_999, 10_000, 15_000, 50_000, 123_456, 330_000, 500_000, 900_000, 999_999],
)
def test_of_any_hundred_requests_a_mirror_gets_its_share_to_within_one(numerator: int) -> None:
    taken = (int(draw < numerator) for draw in draws(0, CYCLE + 100))
    sums = list(accumulate(taken, initial=0))
    counts = {end - begin for begin, end in zip(sums, sums[100:], strict=False)}
    assert all(abs(count - 100 * numerator / CYCLE) <= 1 for count in counts), counts


def test_between_two_that_are_copied_lie_less_than_twice_as_many_as_if_they_were_even() -> None:
    made = draws(0, 1000)
    for percent in range(1, 101):
        taken = [number for number, draw in enumerate(made) if draw < percent * 10_000]
        longest = max(later - earlier for earlier, later in pairwise(taken))
        assert longest < 2 * ceil(100 / percent), percent
