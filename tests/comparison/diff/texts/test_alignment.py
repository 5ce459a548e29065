"""Alignment: the items that belong together, within a bounded number of steps."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from mirror_proxy.comparison.diff.texts.alignment import Budget, Keys, align

#: Letters are equal, then alike but for their case.
KEYS: Keys[str] = (ord, lambda sign: ord(sign.lower()))


def aligned(one: str, other: str) -> list[tuple[str, str]]:
    return [(one[at], other[there]) for at, there in align(one, other, KEYS, Budget())]


def test_equal_items_come_first_and_similar_ones_between_them() -> None:
    assert aligned("abcd", "aBxd") == [("a", "a"), ("b", "B"), ("d", "d")]
    assert aligned("aab", "AAAb") == [("a", "A"), ("a", "A"), ("b", "b")]


def test_one_item_more_shifts_no_other() -> None:
    assert aligned("abcdef", "xabcdef") == [(sign, sign) for sign in "abcdef"]
    assert aligned("aaaaxaaaa", "aaaaxxaaaa") == [(sign, sign) for sign in "aaaaxaaaa"]
    assert aligned("xyxyxy", "yxyxyx") == [(sign, sign) for sign in "yxyxy"]


def test_items_that_changed_places_are_aligned_as_far_as_their_order_allows() -> None:
    assert len(aligned("abcdefgh", "efghabcd")) == 4


@given(one=st.text("abAB", max_size=30), other=st.text("abAB", max_size=30), steps=st.integers(0, 200))
def test_items_are_aligned_in_order_and_each_once_however_few_steps_there_are(
    one: str, other: str, steps: int
) -> None:
    found = align(one, other, KEYS, Budget(steps))
    assert [(there, at) for at, there in found] == align(other, one, KEYS, Budget(steps))
    assert all(first < second and its < there for (first, its), (second, there) in pairwise(found))
    assert all(one[at].lower() == other[there].lower() for at, there in found)


def test_hostile_sequences_spend_the_budget_and_no_more() -> None:
    many, others = list(range(20_000)), [number % 11 for number in range(20_000)]
    keys: Keys[int] = (lambda number: number % 7, lambda _: 0)
    budget = Budget(10_000)
    assert len(align(many, others, keys, budget)) == 20_000
    assert budget.is_spent
