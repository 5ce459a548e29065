"""Items of arrays are matched by a key, found or given, so that one item more yields that one difference."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mirror_proxy.comparison.diff.difference import Difference
from mirror_proxy.config.model import Compare, FieldRule, ItemKey
from tests.comparison.diff.pairs import JSON, answer, compared, cut, differences, places


def items(*keys: object, by: str = "sku") -> list[dict[str, Any]]:
    return [{by: key, "price": 5, "at": n} for n, key in enumerate(keys)]


def without_times(found: tuple[Difference, ...]) -> list[tuple[str, str]]:
    return [place for place in places(found) if place[0] != "$[].at"]


@pytest.mark.parametrize("by", ["id", "sku", "name", "Key"])
@pytest.mark.parametrize(
    ("primary", "shadow", "found"),
    [
        ("abcd", "acd", [("$[]", "missing")]),
        ("acd", "abcd", [("$[]", "extra")]),
        ("abcd", "dabc", [("$", "order")]),
        ("abcd", "bcde", [("$[]", "missing"), ("$[]", "extra")]),
        ("ab", "bac", [("$[]", "extra"), ("$", "order")]),
    ],
)
def test_an_item_more_or_another_order_yields_only_that(
    by: str, primary: str, shadow: str, found: list[tuple[str, str]]
) -> None:
    assert without_times(differences(items(*primary, by=by), items(*shadow, by=by))) == found


def test_a_missing_item_is_shown() -> None:
    primary, shadow = [{"id": 1}, {"id": 2}, {"id": 3}], [{"id": 1}, {"id": 3}]
    assert differences(primary, shadow) == (Difference("$[]", "missing", '{"id": 2}', ""),)


def test_items_that_belong_together_are_compared() -> None:
    shadow = [item | {"price": 6} for item in items(*"acd")]
    assert without_times(differences(items(*"abcd"), shadow)) == [("$[]", "missing"), ("$[].price", "value")]


@pytest.mark.parametrize(
    ("primary", "shadow", "found"),
    [
        (items("a", "a", "b"), items("a", "b"), [("$", "size")]),  # not unique
        (items("a", "b", "c"), items("d", "e"), [("$", "size"), ("$[].sku", "value")]),  # nothing in common
        (items(1.5, 2.5), items(1.5), [("$", "size")]),  # no key
        (items(None, "b"), items("b"), [("$", "size")]),
        ([*items("a"), 1], items("a"), [("$", "size")]),
    ],
)
def test_arrays_without_an_obvious_key_are_compared_by_position(
    primary: list[Any], shadow: list[Any], found: list[tuple[str, str]]
) -> None:
    assert set(found) <= set(without_times(differences(primary, shadow)))
    assert ("$[]", "missing") not in places(differences(primary, shadow))


def test_another_key_in_the_same_place_is_another_value() -> None:
    assert without_times(differences(items(*"abcd"), items(*"abxd"))) == [("$[].sku", "value")]


def test_a_key_that_is_ignored_matches_nothing() -> None:
    rules = Compare(ignore=(FieldRule(path="$[].sku"),))
    assert without_times(differences(items(*"abcd"), items(*"acd"), rules)) == [("$", "size")]


def test_a_rule_names_the_key_even_if_it_is_not_unique() -> None:
    rules = Compare(matches=(ItemKey("$.lines", "part"),))
    lines = [{"part": 1, "n": 1}, {"part": 1, "n": 2}, {"part": 2, "n": 3}, {"n": 4}]
    assert differences({"lines": lines}, {"lines": lines[::-1]}, rules) == (*places_of_swapped(),)
    assert places(differences({"lines": lines}, {"lines": lines[:3]}, rules)) == [("$.lines[]", "missing")]


def places_of_swapped() -> tuple[Difference, ...]:
    """Items with one key are matched in their order: the first with the first."""
    lines = '[{"part": 1, "n": 1}, {"part": 1, "n": 2}, {"part": 2, "n": 3}, {"n": 4}]'
    turned = '[{"n": 4}, {"part": 2, "n": 3}, {"part": 1, "n": 2}, {"part": 1, "n": 1}]'
    return (
        Difference("$.lines[].n", "value", "1", "2"),
        Difference("$.lines", "order", lines, turned),
    )


def test_an_array_without_order_is_matched_too() -> None:
    rules = Compare(unordered=("$",))
    assert without_times(differences(items(*"abc"), items(*"cb"), rules)) == [("$[]", "missing")]


def test_behind_a_cut_nothing_is_missing() -> None:
    whole = items(*range(20), by="id")
    assert compared(answer(repr(whole).replace("'", '"').encode(), JSON), cut(whole, 400)).differences == ()


ITEMS = st.lists(
    st.fixed_dictionaries(
        {}, optional={"id": st.integers(0, 3) | st.text(max_size=1), "a": st.integers(0, 1)}
    ),
    max_size=5,
)


@given(
    primary=ITEMS, shadow=ITEMS, rules=st.sampled_from([Compare(), Compare(matches=(ItemKey("$", "id"),))])
)
def test_arrays_differ_whichever_way_they_are_matched(
    primary: list[Any], shadow: list[Any], rules: Compare
) -> None:
    assert bool(differences(primary, shadow, rules)) == (primary != shadow)


def test_responses_of_a_json_rpc_batch_may_come_in_any_order() -> None:
    ours = [
        {"jsonrpc": "2.0", "id": 1, "result": 4},
        {"jsonrpc": "2.0", "id": 2, "error": {"code": -32601, "message": "Method not found"}},
    ]
    assert differences(ours, ours[::-1]) == ()
    other = [ours[1], {**ours[0], "result": 5}]
    assert places(differences(ours, other)) == [("$[].result", "value")]
    version = [{**one, "jsonrpc": "1.0"} for one in ours]
    assert places(differences(version, version[::-1])) == [("$", "order")]
