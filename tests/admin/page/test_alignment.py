"""Alignment: what belongs together, and that no two lists take more steps than they may."""

from __future__ import annotations

import random
from difflib import SequenceMatcher

import pytest

from mirror_proxy.admin.page.alignment import MOST_STEPS, Segment, StepBudget, align

DRAWS = random.Random(7)


def lines(kinds: int, count: int) -> list[str]:
    return [DRAWS.choice("abcdefghijklmnop"[:kinds]) for _ in range(count)]


def covers(found: list[Segment], left: list[str], right: list[str]) -> bool:
    """Return whether stretches follow each other, end where the lists do, and are the same where they say so."""
    at = other = 0
    for part in found:
        assert (part.start, part.other_start) == (at, other)
        at, other = part.end, part.other_end
        if part.is_same:
            assert left[part.start : part.end] == right[part.other_start : part.other_end] != []
    return (at, other) == (len(left), len(right))


@pytest.mark.parametrize(
    ("left", "right", "same"),
    [
        ("", "", []),
        ("abc", "abc", ["abc"]),
        ("abc", "xyz", []),
        ("", "abc", []),
        ("abc", "xabc", ["abc"]),
        ("abcd", "abxcd", ["ab", "cd"]),
        ("abcdef", "xbcxef", ["bc", "ef"]),
        ("aaaa", "aa", ["aa"]),
    ],
)
def test_what_both_have_is_found(left: str, right: str, same: list[str]) -> None:
    found = list(align(left, right, StepBudget()))
    assert [left[part.start : part.end] for part in found if part.is_same] == same
    assert covers(found, list(left), list(right))


@pytest.mark.parametrize("kinds", [1, 2, 3, 8, 16])
def test_lists_are_aligned_about_as_well_as_difflib_does(kinds: int) -> None:
    matched = best = 0
    for _ in range(100):
        left, right = lines(kinds, DRAWS.randrange(30)), lines(kinds, DRAWS.randrange(30))
        budget = StepBudget()
        found = list(align(left, right, budget))
        assert covers(found, left, right)
        assert not budget.is_spent
        matched += sum(part.end - part.start for part in found if part.is_same)
        blocks = SequenceMatcher(None, left, right, autojunk=False).get_matching_blocks()
        best += sum(block.size for block in blocks)
    assert matched >= 0.95 * best


def test_lines_that_stand_once_on_both_sides_keep_repetitive_ones_apart() -> None:
    left, right = ([line for n in range(300) for line in ("{", str(n), f"{n * by}x", "}")] for by in (2, 3))
    budget = StepBudget()
    found = list(align(left, right, budget))
    assert covers(found, left, right)
    assert sum(part.end - part.start for part in found if part.is_same) >= 3 * 300 - 2
    assert MOST_STEPS - budget.steps < 10 * len(left)


class Counted(StepBudget):
    """A budget that counts how often it was asked."""

    asked = 0

    def take(self, steps: int) -> bool:
        self.asked += 1
        return super().take(steps)


@pytest.mark.parametrize(
    ("left", "right"),
    [
        (lines(1, 1500), ["x", *lines(1, 1400), "x"]),
        (lines(2, 1500), lines(2, 1500)),
        (["a", "b"] * 750, ["b", "a", "a"] * 500),
        (["a"] * 750 + ["b"] * 750, ["b"] * 750 + ["a"] * 750),
        ([str(i // 2) for i in range(1500)], [str(i // 2) for i in reversed(range(1500))]),
    ],
)
def test_hostile_lists_take_no_more_steps_than_they_may(left: list[str], right: list[str]) -> None:
    budget = Counted()
    found = list(align(left, right, budget))
    assert covers(found, left, right)
    assert 0 <= budget.steps < MOST_STEPS
    # Each step is paid for, and a refusal ends the look for a run: one more for each place between two runs.
    assert budget.asked <= MOST_STEPS - budget.steps + 2 * len(found) + 1


def test_a_spent_budget_is_told_and_shared() -> None:
    budget = StepBudget(10)
    assert [part.is_same for part in align("ababab", "bbabaa", budget)] == [False]
    assert budget.is_spent
    assert next(part.is_same for part in align("same start", "same end", StepBudget(0)))
