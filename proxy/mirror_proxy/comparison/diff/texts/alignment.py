"""Align two sequences: which item of one belongs to which item of the other, and which have no counterpart.

Each item has several keys, the strictest first: two items with the same first key are equal, two with the same last
key are only of one kind. Items are aligned by their first keys. The items between two aligned ones are aligned by their
second keys, and so on. At each level, keys that occur once on each side are the anchors (patience diff); without such
keys the longest common subsequence decides. A `Budget` bounds the cost: beyond it, only common beginnings and ends are
aligned.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Sequence
from typing import TypeVar

from mirror_proxy.comparison.diff.ends import common_ends

Item = TypeVar("Item")

#: The key of an item, by a function for each level.
Keys = Sequence[Callable[[Item], int]]

#: Steps for one pair of bodies, each a look at one or two items.
MAX_STEPS = 400_000
#: The longest common subsequence takes a step for each pair of items, and this many at once.
_MAX_CELLS = 40_000


class Budget:
    """Steps that are left for one pair of bodies."""

    __slots__ = ("_left",)

    def __init__(self, steps: int = MAX_STEPS) -> None:
        self._left = steps

    @property
    def is_spent(self) -> bool:
        """Return whether something was refused."""
        return self._left < 0

    def take(self, steps: int) -> bool:
        """Return whether this many steps may be done; none may after the first refusal."""
        if self._left >= 0:
            self._left -= steps
        return self._left >= 0


def align(
    ours: Sequence[Item], theirs: Sequence[Item], keys: Keys[Item], budget: Budget
) -> list[tuple[int, int]]:
    """Return the positions of the items that belong together, in order; turned round, the result is too."""
    first = [[keys[0](item) for item in side] for side in (ours, theirs)]
    if (len(ours), first[0]) > (len(theirs), first[1]):
        return [(at, there) for there, at in _aligned(theirs, ours, keys, budget)]
    return _aligned(ours, theirs, keys, budget)


def unmatched(count: int, matched: Sequence[int], is_open: bool) -> list[int]:
    """Return the positions of items that have no counterpart.

    Where the other side `is_open`, as it was cut, it may have those behind the last match.
    """
    taken = set(matched)
    return [at for at in range(max(taken, default=-1) + 1 if is_open else count) if at not in taken]


def _aligned(
    ours: Sequence[Item], theirs: Sequence[Item], keys: Keys[Item], budget: Budget
) -> list[tuple[int, int]]:
    work, matched = [(0, len(ours), 0, len(theirs), 0)], list[tuple[int, int]]()
    while work:
        start, end, its_start, its_end, level = work.pop()
        if start == end or its_start == its_end or level == len(keys):
            continue
        if level and end - start == its_end - its_start == 1:
            level = len(keys) - 1  # two items alone: nothing is to be found out with the keys between
        mine = [keys[level](item) for item in ours[start:end]]
        its = [keys[level](item) for item in theirs[its_start:its_end]]
        found, is_done = _level(mine, its, budget)
        matched += ((start + at, its_start + there) for at, there in found)
        at, there = start, its_start
        for one, other in (*found, (end - start, its_end - its_start)):
            work.append((at, start + one, there, its_start + other, level + is_done))
            at, there = start + one + 1, its_start + other + 1
    return sorted(matched)


def _level(ours: list[int], theirs: list[int], budget: Budget) -> tuple[list[tuple[int, int]], bool]:
    """Return pairs with equal keys, and whether no more of them are to be looked for between these."""
    size, its_size = len(ours), len(theirs)
    start, end = common_ends(ours, theirs)
    found = [(at, at) for at in range(start)]
    ends = [(size - at, its_size - at) for at in range(end, 0, -1)]
    mine, its = ours[start : size - end], theirs[start : its_size - end]
    if not mine or not its or not budget.take(len(mine) + len(its)):
        return found + ends, True
    middle, is_done = _anchors(mine, its), False
    if not middle:
        middle, is_done = _subsequence(mine, its, budget), True
    return [*found, *((start + one, start + other) for one, other in middle), *ends], is_done


def _anchors(ours: list[int], theirs: list[int]) -> list[tuple[int, int]]:
    """Return the longest run, in the order of both, of keys that each side has once."""
    mine, its = Counter(ours), Counter(theirs)
    where = {key: at for at, key in enumerate(theirs) if its[key] == 1}
    pairs = [(at, where[key]) for at, key in enumerate(ours) if mine[key] == 1 and key in where]
    return _increasing(pairs)


def _increasing(pairs: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return the longest subsequence whose second parts increase."""
    ends: list[int] = []
    last: list[int] = []
    before: list[int] = []
    for number, (_, there) in enumerate(pairs):
        at = bisect_left(ends, there)
        before.append(last[at - 1] if at else -1)
        ends[at : at + 1] = [there]
        last[at : at + 1] = [number]
    found, number = list[tuple[int, int]](), last[-1] if last else -1
    while number >= 0:
        found.append(pairs[number])
        number = before[number]
    return found[::-1]


def _subsequence(ours: list[int], theirs: list[int], budget: Budget) -> list[tuple[int, int]]:
    """Return the longest common subsequence, unless that is too much work or nothing is common."""
    cells = len(ours) * len(theirs)
    if cells > _MAX_CELLS or not set(ours) & set(theirs) or not budget.take(cells):
        return []
    lengths = [[0] * (len(theirs) + 1)]
    for key in reversed(ours):
        below, row = lengths[-1], [0]
        for at, its in enumerate(reversed(theirs)):
            row.append(below[at] + 1 if key == its else max(below[at + 1], row[at]))
        lengths.append(row)
    return _walk(ours, theirs, lengths)


def _walk(ours: list[int], theirs: list[int], lengths: list[list[int]]) -> list[tuple[int, int]]:
    found, one, other = list[tuple[int, int]](), 0, 0
    while one < len(ours) and other < len(theirs):
        mine, its = len(ours) - one, len(theirs) - other
        if ours[one] == theirs[other]:
            found.append((one, other))
            one, other = one + 1, other + 1
        elif lengths[mine - 1][its] >= lengths[mine][its - 1]:
            one += 1
        else:
            other += 1
    return found
