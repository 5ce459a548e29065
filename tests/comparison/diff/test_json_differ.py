"""Two JSON values: every way they can differ has its kind and its path, and what may differ is not told."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mirror_proxy.comparison.diff import json_differ
from mirror_proxy.comparison.diff.difference import MAX_SAMPLE, Difference
from mirror_proxy.comparison.diff.findings import MAX_DIFFERENCES
from mirror_proxy.config.model import Compare, FieldRule, Tolerance
from tests.comparison.diff.pairs import JSON, VALUES, answer, compared, cut, differences, places, sent


def unordered(*paths: str) -> Compare:
    return Compare(unordered=paths)


def ignoring(*paths: str) -> Compare:
    return Compare(ignore=tuple(FieldRule(path=path) for path in paths))


def within(absolute: float = 0.0, relative: float = 0.0, path: str = "") -> Compare:
    return Compare(tolerances=(Tolerance(path, absolute, relative),))


@pytest.mark.parametrize(
    ("primary", "shadow", "found"),
    [
        ({"a": 1}, {"a": 2}, Difference("$.a", "value", "1", "2")),
        ({"a": 1}, {"a": "1"}, Difference("$.a", "type", "1", '"1"')),
        ({"a": 1}, {"a": True}, Difference("$.a", "type", "1", "true")),
        ({"a": 0}, {"a": None}, Difference("$.a", "type", "0", "null")),
        ({"a": [1]}, {"a": {"b": 1}}, Difference("$.a", "type", "[1]", '{"b": 1}')),
        ({"a": 1, "b": [1]}, {"a": 1}, Difference("$.b", "missing", "[1]", "")),
        ({"a": None}, {}, Difference("$.a", "missing", "null", "")),
        ({"a": 1}, {"a": 1, "b": 2}, Difference("$.b", "extra", "", "2")),
        ([1, 2, 3], [1, 2], Difference("$", "size", "3 items", "2 items")),
        ([1, 2, 3], [3, 1, 2], Difference("$", "order", "[1, 2, 3]", "[3, 1, 2]")),
        ({"a": {"b": [{"c": 1}]}}, {"a": {"b": [{"c": 2}]}}, Difference("$.a.b[].c", "value", "1", "2")),
        ([[1]], [[2]], Difference("$[][]", "value", "1", "2")),
        ({"a b": 1}, {"a b": 2}, Difference("$['a b']", "value", "1", "2")),
        ({"": 1}, {"": 2}, Difference("$['']", "value", "1", "2")),
        ({"1st": 1}, {"1st": 2}, Difference("$['1st']", "value", "1", "2")),
        ({"it's\\": 1}, {"it's\\": 2}, Difference("$['it\\'s\\\\']", "value", "1", "2")),
        ({"a\x1b[0m": 1}, {"a\x1b[0m": 2}, Difference("$['a\\x1b[0m']", "value", "1", "2")),
        ("one", "two", Difference("$", "value", '"one"', '"two"')),
    ],
)
def test_each_kind_of_difference_is_told_with_its_path(
    primary: object, shadow: object, found: Difference
) -> None:
    assert differences(primary, shadow) == (found,)


@pytest.mark.parametrize(
    ("primary", "shadow"),
    [
        (b"1", b"1.0"),
        (b"100", b"1e2"),
        (b"-0", b"0.0"),
        (b'{"a":1,"b":2}', b'{"b":2, "a":1}'),
        (b'"\\u00e9"', '"é"'.encode()),
        (b"[1.0, [2]]", b"[1, [2.0]]"),
    ],
)
def test_values_that_are_written_in_another_way_are_the_same(primary: bytes, shadow: bytes) -> None:
    assert compared(answer(primary, JSON), answer(shadow, JSON)).differences == ()


def test_whole_numbers_are_told_apart_beyond_what_a_float_holds() -> None:
    assert places(differences({"id": 2**53}, {"id": 2**53 + 1})) == [("$.id", "value")]


def test_a_thousand_items_that_differ_alike_are_told_once_with_the_first_sample() -> None:
    found = differences([{"p": i} for i in range(1_000)], [{"p": i + 0.5} for i in range(1_000)])
    assert found == (Difference("$[].p", "value", "0", "0.5"),)


@pytest.mark.parametrize("at", [0, 1, 9, 10])
def test_one_item_more_does_not_shift_those_behind_it(at: int) -> None:
    items = [{"n": number} for number in range(10)]
    assert places(differences(items, [*items[:at], {"n": 99}, *items[at:]])) == [("$", "size")]


def test_items_of_arrays_of_differing_size_are_compared_where_both_have_one() -> None:
    found = differences([{"a": 1}, {"a": 2}, {"a": 3}], [{"a": 5}, {"a": 6}])
    assert places(found) == [("$", "size"), ("$[].a", "value")]


def test_an_array_in_another_order_is_told_as_nothing_else() -> None:
    primary = {"items": [{"id": 1, "tags": ["a", "b"]}, {"id": 2, "tags": []}, {"id": 3, "tags": []}]}
    shadow = {"items": [primary["items"][0], primary["items"][2], primary["items"][1]]}
    assert places(differences(primary, shadow)) == [("$.items", "order")]
    shadow["items"][0] = {"id": 1, "tags": ["b", "a"]}
    assert ("$.items[].tags", "order") in places(differences(primary, shadow))


def test_the_order_is_told_though_ignored_fields_differ() -> None:
    primary = [{"id": 1, "at": 10}, {"id": 2, "at": 11}]
    shadow = [{"id": 2, "at": 20}, {"id": 1, "at": 21}]
    assert places(differences(primary, shadow, ignoring("$[].at"))) == [("$", "order")]


def test_the_order_is_told_though_ignored_items_within_differ() -> None:
    primary = [{"id": 1, "x": [10]}, {"id": 2, "x": [11, 12]}]
    shadow = [{"id": 2, "x": [20]}, {"id": 1, "x": []}]
    assert places(differences(primary, shadow, ignoring("$[].x[]"))) == [("$", "order")]


def test_one_item_twice_is_not_another_twice() -> None:
    assert places(differences(["a", "a", "b"], ["a", "b", "b"])) == [("$[]", "value")]


def test_arrays_without_order_are_the_same_in_any() -> None:
    primary, shadow = {"a": [1, {"b": [2, 3]}, 4]}, {"a": [{"b": [3, 2]}, 4, 1.0]}
    assert differences(primary, shadow, unordered("$.a", "$.a[].b")) == ()
    assert differences(primary, shadow, unordered("$.a")) != ()


def test_of_arrays_without_order_what_is_in_both_is_not_told() -> None:
    primary = [{"n": 1, "price": 5}, {"n": 2, "price": 6}, {"n": 3, "price": 7}]
    shadow = [{"n": 3, "price": 7}, {"n": 2, "price": 8}, {"n": 1, "price": 5}]
    assert differences(primary, shadow, unordered("$")) == (Difference("$[].price", "value", "6", "8"),)
    assert places(differences(primary, shadow[1:], unordered("$"))) == [("$", "size"), ("$[].price", "value")]


def test_numbers_in_arrays_without_order_may_be_near_enough() -> None:
    rules = Compare(unordered=("$",), tolerances=(Tolerance("", 0.01),))
    assert differences([1.0, 20.0, 3.0], [20.001, 3.001, 1.001], rules) == ()


def test_numbers_are_the_same_within_either_tolerance() -> None:
    assert differences(100, 101, within(absolute=1)) == ()
    assert differences(100, 102, within(absolute=1)) != ()
    assert differences(100, 101, within(relative=0.01)) == ()
    assert differences(-100, -102, within(relative=0.01)) != ()
    assert differences(100, 101, within(absolute=0.5, relative=0.01)) == ()


def test_a_tolerance_is_for_its_place_and_what_is_below() -> None:
    rules = within(absolute=1, path="$.near")
    assert differences({"near": {"x": [1]}}, {"near": {"x": [2]}}, rules) == ()
    assert differences({"far": 1}, {"far": 2}, rules) != ()
    assert differences({"near": "1"}, {"near": "2"}, rules) != ()
    assert differences({"near": 1}, {"near": True}, rules) != ()


@pytest.mark.parametrize(
    "path", ["$", "$.a", "$.a[]", "$.a[].b", "$.*[].b", "$.a[].*", "$['a'][].b", "$.a[0].b", "$.a[*].b"]
)
@pytest.mark.parametrize("shadow", [{"a": [{"b": 2}]}, {"a": [{"b": "1"}]}, {"a": [{}]}, {"a": [{"b": [1]}]}])
def test_what_is_ignored_is_not_told_nor_is_what_is_below_it(path: str, shadow: object) -> None:
    assert differences({"a": [{"b": 1}]}, shadow, ignoring(path)) == ()
    assert differences(shadow, {"a": [{"b": 1}]}, ignoring(path)) == ()


@pytest.mark.parametrize("path", ["$.a.b", "$.b", "$.*.*", "$[]", "$.a[].c", "$.a[].b.c", "$['*'][].b"])
def test_a_path_that_leads_elsewhere_ignores_nothing(path: str) -> None:
    assert places(differences({"a": [{"b": 1}]}, {"a": [{"b": 2}]}, ignoring(path))) == [("$.a[].b", "value")]


def test_what_a_regex_ignores_may_differ_within_texts_and_numbers() -> None:
    rules = Compare(ignore=(FieldRule(regex=r"id-\d+"), FieldRule(regex=r"17\d{8}")))
    assert differences({"a": "see id-1!", "t": 1700000001}, {"a": "see id-22!", "t": 1700000002}, rules) == ()
    assert places(differences({"a": "see id-1!"}, {"a": "saw id-1!"}, rules)) == [("$.a", "value")]


def test_a_rule_of_another_route_is_none() -> None:
    elsewhere = Compare(ignore=(FieldRule(path="$.a", route="other"),))
    here = Compare(ignore=(FieldRule(path="$.a", route="shop"),))
    assert differences({"a": 1}, {"a": 2}, elsewhere) != ()
    assert differences({"a": 1}, {"a": 2}, here) == ()


def test_long_texts_are_shown_where_they_part() -> None:
    [found] = differences("x" * 1_000 + "one", "x" * 1_000 + "two")
    assert found.primary == f'…{"x" * 195}one"'
    assert found.shadow == f'…{"x" * 195}two"'


def test_long_arrays_are_shown_where_they_part() -> None:
    primary = [{"n": n, "text": "same"} for n in range(50)]
    shadow = [*primary[:40], primary[41], primary[40], *primary[42:]]
    [found] = differences(primary, shadow)
    assert (found.kind, '"n": 40' in found.primary, '"n": 41' in found.shadow) == ("order", True, True)


def test_no_sample_is_longer_than_allowed_or_holds_what_is_not_printable() -> None:
    [found] = differences({"a": ["\x1b\u202e\ud800" * 500]}, {"a": 1})
    assert len(found.primary) == MAX_SAMPLE
    assert found.primary.isprintable()


def test_more_differences_than_are_kept_are_counted_as_many() -> None:
    primary = {f"n{number}": 1 for number in range(MAX_DIFFERENCES)}
    full = compared(sent(primary), sent({}))
    assert (len(full.differences), set(full.capped)) == (MAX_DIFFERENCES, set())
    over = compared(sent(primary | {"o": 1}), sent({}))
    assert (len(over.differences), set(over.capped)) == (MAX_DIFFERENCES, {"many"})


@pytest.mark.parametrize("rules", [Compare(), unordered("$")])
def test_no_more_values_are_looked_at_than_allowed(rules: Compare, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_differ, "MAX_VALUES", 50)
    monkeypatch.setattr(json_differ, "MAX_FINGERPRINTS", 50)
    primary, shadow = [[0, 1]] * 100 + [[2, 3]], [[0, 1]] * 100 + [[3, 4]]
    found = compared(sent(primary), sent(shadow), rules)
    assert found.capped == {"many"}


@pytest.mark.parametrize(
    ("primary", "shadow", "found"),
    [
        ([[number] for number in range(100)], [[number] for number in range(1, 100)], [("$", "size")]),
        (list(range(100)), list(range(1, 100)), [("$", "size")]),
        ({str(number): 1 for number in range(100)}, {}, [("$['0']", "missing"), ("$['1']", "missing")]),
    ],
)
def test_beyond_what_is_looked_at_nothing_is_guessed(
    primary: object, shadow: object, found: list[tuple[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(json_differ, "MAX_VALUES", 3)
    monkeypatch.setattr(json_differ, "MAX_FINGERPRINTS", 50)
    told = compared(sent(primary), sent(shadow))
    assert places(told.differences) == found
    assert told.capped == {"many"}


def deep(depth: int, inner: bytes) -> bytes:
    return b'{"a":[' * (depth // 2) + inner + b"]}" * (depth // 2)


@pytest.mark.parametrize(("depth", "inner"), [(62, b"1"), (64, b"1"), (200, b"1"), (600, b'{"b":[1,{}]}')])
def test_deep_nesting_is_followed_to_its_bound_and_then_compared_as_a_whole(depth: int, inner: bytes) -> None:
    primary, shadow = (answer(deep(depth, some), JSON) for some in (inner, inner.replace(b"1", b"2")))
    found = compared(primary, shadow)
    assert [one.kind for one in found.differences] == ["value"]
    assert len(found.differences[0].path) <= len("$" + ".a[]" * 32)
    assert found.capped == ({"nesting"} if depth > 64 else set())
    spaced = answer(deep(depth, inner).replace(b":", b": ").replace(b"1", b"1.0"), JSON)
    assert compared(primary, spaced).differences == ()


@pytest.mark.parametrize("sign", [b"[", b'{"a":'])
def test_nesting_that_no_parser_follows_is_compared_as_text(sign: bytes) -> None:
    found = compared(answer(sign * 100_000, JSON), answer(sign * 99_999 + b"1", JSON))
    assert places(found.differences) == [("text", "value")]
    assert found.capped == {"nesting"}


@pytest.mark.parametrize(
    ("primary", "shadow"),
    [(b"1" * 65, b"1" * 64 + b"2"), (b"1" * 65, b"1"), (b"1e999", b"1e998"), (b"9" * 1_000_000, b"1")],
)
def test_numbers_that_are_too_long_are_compared_as_they_are_written(primary: bytes, shadow: bytes) -> None:
    found = compared(answer(primary, JSON), answer(shadow, JSON))
    assert places(found.differences) == [("$", "value")]
    assert found.capped == {"number"}


def test_a_cut_body_is_compared_as_far_as_it_goes() -> None:
    items = [{"id": number, "name": f"item {number}"} for number in range(1_000)]
    other = [*items[:3], items[3] | {"name": "ITEM"}, *items[4:]]
    found = compared(cut(items, 500), cut(other, 490))
    assert found.differences == (Difference("$[].name", "value", '"item 3"', '"ITEM"'),)
    assert found.capped == {"truncated"}


@given(at=st.integers(1, 400), other=st.integers(1, 400))
def test_wherever_the_same_body_is_cut_nothing_differs(at: int, other: int) -> None:
    value = {"a": [{"b": 'x, ]}\\"', "c": [1, [2, 3], {}]}] * 20, "z": {"d": "e", "f": [[]]}, "y": 'a"'}
    found = compared(cut(value, at), cut(value, other))
    assert found.differences == ()


def test_a_cut_array_with_more_items_than_a_whole_one_is_larger() -> None:
    found = compared(cut(list(range(1_000)), 100), answer(b"[0, 1]", JSON))
    assert found.differences == (Difference("$", "size", "27 items or more", "2 items"),)
    fewer = compared(cut(list(range(1_000)), 100), sent(list(range(50))))
    assert fewer.differences == ()


def test_a_member_that_a_cut_body_has_and_the_other_lacks_is_missing() -> None:
    found = compared(cut({"a": 1, "b": 2, "c": "x" * 100}, 40), answer(b'{"a": 1}', JSON))
    assert places(found.differences) == [("$.b", "missing")]


@given(value=VALUES)
def test_a_value_written_in_another_way_does_not_differ(value: object) -> None:
    plain, other = json.dumps(value), json.dumps(value, ensure_ascii=False, indent=1)
    primary, shadow = (answer(text.encode(), JSON) for text in (plain, other))
    assert compared(primary, shadow).differences == ()


@given(primary=VALUES, shadow=VALUES)
def test_the_other_way_round_what_was_missing_is_extra(primary: object, shadow: object) -> None:
    turned = {"missing": "extra", "extra": "missing"}
    there = {(one.path, turned.get(one.kind, one.kind)) for one in differences(primary, shadow)}
    assert there == set(places(differences(shadow, primary)))


@given(primary=VALUES, shadow=VALUES)
def test_different_values_differ_and_equal_ones_do_not(primary: object, shadow: object) -> None:
    assert (differences(primary, shadow) == ()) == (plain(primary) == plain(shadow))


def plain(value: Any) -> object:
    """Give a value that is equal to another's when JSON says so: true is not 1."""
    if isinstance(value, dict):
        return {name: plain(member) for name, member in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    return (type(value).__name__ if isinstance(value, bool) else "", value)


@given(value=VALUES, other=VALUES, data=st.data())
def test_arrays_without_order_that_are_shuffled_are_the_same(
    value: object, other: object, data: st.DataObject
) -> None:
    items = [value, other, [value], {"a": other}, value]
    shuffled = data.draw(st.permutations(items))
    assert differences({"in": items}, {"in": shuffled}, unordered("$.in")) == ()


@given(primary=VALUES, shadow=VALUES)
def test_ignored_paths_never_appear(primary: object, shadow: object) -> None:
    found = differences({"a": primary, "b": 1}, {"a": shadow, "b": 2}, ignoring("$.a"))
    assert places(found) == [("$.b", "value")]


def test_ids_and_times_near_the_request_are_kinds_of_their_own() -> None:
    primary = {"id": "7d44b4b2-9c7c-4a4f-8f5e-0a1b2c3d4e5f", "at": "2023-11-14T22:13:21Z", "n": 1}
    shadow = {"id": "0a44b4b2-1c7c-4b4f-9f5e-1a1b2c3d4e5e", "at": "2023-11-14T22:13:22Z", "n": 2}
    assert places(differences(primary, shadow)) == [("$.n", "value"), ("$.id", "id"), ("$.at", "time")]


def test_texts_whose_name_is_that_of_an_identifier_are_ids() -> None:
    assert places(differences({"ETag": "a", "requestId": "b"}, {"ETag": "c", "requestId": "d"})) == [
        ("$.ETag", "id"),
        ("$.requestId", "id"),
    ]


def test_two_values_of_a_secret_are_no_difference() -> None:
    assert (
        differences({"password": "a", "sub": {"apiKey": [1]}}, {"password": "b", "sub": {"apiKey": [2]}})
        == ()
    )


def test_a_secret_that_is_missing_or_of_another_type_is_a_difference() -> None:
    assert differences({"password": "a"}, {}) == (Difference("$.password", "missing", "(redacted)", ""),)
    assert differences({"password": "a"}, {"password": None}) == (
        Difference("$.password", "type", "text (redacted)", "null (redacted)"),
    )


def test_values_that_a_rule_redacts_are_compared_and_not_shown() -> None:
    rules = Compare(redact=(FieldRule(path="$.street"),))
    assert differences({"street": "a"}, {"street": "b"}, rules) == (
        Difference("$.street", "value", "(redacted)", "(redacted, another)"),
    )
