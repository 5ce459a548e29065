"""Align two lists: find the items that belong together, in bounded time whatever the lists hold.

A common start and end are paired first, then the items that both lists have exactly once, as far as their order is the
same: most lines of two responses do. Between those, the longest common run is searched, then the parts before and after
it in the same way, as `difflib` does. The search for a run of repeated items takes the product of their numbers in both
lists, and there may be as many runs as items: after `MOST_STEPS` no more runs are searched.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

#: Pairs of equal items that are looked at, in about a third of a second.
MOST_STEPS = 1_000_000

#: Where items that both have begin, on both sides, and how many they are.
Run = tuple[int, int, int]


@dataclass(slots=True)
class StepBudget:
    """The steps that are left; several alignments may share them. `is_spent`: something was left out."""

    steps: int = MOST_STEPS
    is_spent: bool = False

    def take(self, steps: int) -> bool:
        """Spend steps of the budget; return whether enough were left."""
        if steps > self.steps:
            self.is_spent = True
            return False
        self.steps -= steps
        return True


@dataclass(frozen=True, slots=True)
class Segment:
    """`left[start:end]` beside `right[other_start:other_end]`: alike item by item, or without anything in common."""

    is_same: bool
    start: int
    end: int
    other_start: int
    other_end: int


def align(left: Sequence[str], right: Sequence[str], budget: StepBudget) -> Iterator[Segment]:
    """Yield segments that cover both lists, in order."""
    at = other_at = 0
    for one, other, size in _joined(_Runs(left, right, budget).all()):
        if at < one or other_at < other:
            yield Segment(False, at, one, other_at, other)
        if size:
            yield Segment(True, one, one + size, other, other + size)
        at, other_at = one + size, other + size


def _joined(runs: Iterable[Run]) -> Iterator[Run]:
    """Make one of runs that follow each other on both sides."""
    one = other = size = 0
    for run in runs:
        if run[:2] == (one + size, other + size):
            size += run[2]
        else:
            yield one, other, size
            one, other, size = run
    yield one, other, size


def _common(left: Sequence[str], right: Sequence[str]) -> int:
    """Return how many items two lists begin with alike."""
    most = min(len(left), len(right))
    return next((i for i in range(most) if left[i] != right[i]), most)


def _rising(pairs: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return the longest list of pairs, whose first numbers rise, in which the second numbers rise too."""
    ends: list[int] = []  # the least number that a list of each length may end with
    steps: list[tuple[int, int, int]] = []  # a pair, and the step before it in its list
    tails: list[int] = []
    for one, other in pairs:
        length = bisect_left(ends, other)
        steps.append((one, other, tails[length - 1] if length else -1))
        ends[length : length + 1] = [other]
        tails[length : length + 1] = [len(steps) - 1]
    found: list[tuple[int, int]] = []
    at = tails[-1] if tails else -1
    while at >= 0:
        one, other, at = steps[at]
        found.append((one, other))
    return found[::-1]


def _places(items: Sequence[str]) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for place, item in enumerate(items):
        found.setdefault(item, []).append(place)
    return found


class _Runs:
    """The runs that both lists have."""

    def __init__(self, left: Sequence[str], right: Sequence[str], budget: StepBudget) -> None:
        self._left = left
        self._right = right
        self._budget = budget
        self._places = _places(right)

    def all(self) -> Iterator[Run]:
        """Yield them in their order; the last, which may be empty, is at the end of both lists."""
        left, right = self._left, self._right
        start = _common(left, right)
        size = _common(left[start:][::-1], right[start:][::-1])
        end, other_end = len(left) - size, len(right) - size
        at = other_at = start
        yield 0, 0, start
        for one, other in (*_rising(self._once(start, end, other_end)), (end, other_end)):
            yield from sorted(self._between(at, one, other_at, other))
            if one < end:
                yield one, other, 1
            at, other_at = one + 1, other + 1
        yield end, other_end, size

    def _once(self, start: int, end: int, other_end: int) -> Iterator[tuple[int, int]]:
        """Yield where items are that stand once on both sides, not counting what both begin and end with."""
        for item, places in _places(self._left[start:end]).items():
            there = self._places.get(item, [])
            if len(places) == len(there) == 1 and start <= there[0] < other_end:
                yield start + places[0], there[0]

    def _between(self, start: int, end: int, other_start: int, other_end: int) -> list[Run]:
        found: list[Run] = []
        rest = [(start, end, other_start, other_end)]
        while rest:
            start, end, other_start, other_end = rest.pop()
            run = self._longest(start, end, other_start, other_end)
            if run is None:
                continue
            one, other, size = run
            found.append(run)
            rest.append((start, one, other_start, other))
            rest.append((one + size, end, other + size, other_end))
        return found

    def _longest(self, start: int, end: int, other_start: int, other_end: int) -> tuple[int, int, int] | None:
        """Return the longest run, of several the first; None: there is none, or no budget to find it."""
        if start >= end or other_start >= other_end:
            return None
        best: Run | None = None
        most = 0
        lengths: dict[
            int, int
        ] = {}  # of the run that ends here and in the line before, by the place in the other
        for i in range(start, end):
            places = self._places.get(self._left[i], ())
            first, last = bisect_left(places, other_start), bisect_left(places, other_end)
            if not self._budget.take(1 + last - first):
                return None
            longer: dict[int, int] = {}
            for j in places[first:last]:
                size = longer[j] = lengths.get(j - 1, 0) + 1
                if size > most:
                    most = size
                    best = (i + 1 - size, j + 1 - size, size)
            lengths = longer
        return best
