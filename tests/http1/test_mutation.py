"""Header changes in Envoy's order: remove, set, add."""

from __future__ import annotations

import pytest

from mirror_proxy.http1.mutation import Mutation, field_name, find

FIELDS = b"\r\nHost: a\r\nX: 1\r\ny: 2\r\nx: 3\r\nxy: 4\r\n"


def changed(
    remove: list[str] | None = None,
    set_: list[tuple[str, str]] | None = None,
    add: list[tuple[str, str]] | None = None,
    fields: bytes = FIELDS,
) -> bytes:
    return Mutation(remove or [], set_ or [], add or []).apply(fields)


def test_every_field_of_a_name_is_removed_whatever_its_case() -> None:
    assert changed(remove=["x"]) == b"\r\nHost: a\r\ny: 2\r\nxy: 4\r\n"
    assert changed(remove=["X", "Y"]) == b"\r\nHost: a\r\nxy: 4\r\n"
    assert changed(remove=["missing"]) == FIELDS


def test_a_field_that_is_set_replaces_all_and_keeps_the_first_place() -> None:
    assert changed(set_=[("X", "9")]) == b"\r\nHost: a\r\nX: 9\r\ny: 2\r\nxy: 4\r\n"


def test_a_field_that_is_set_and_missing_is_put_last() -> None:
    assert changed(set_=[("New", "9")]) == FIELDS + b"New: 9\r\n"


def test_a_field_that_is_added_leaves_its_like_alone() -> None:
    assert changed(add=[("x", "9"), ("x", "9")]) == FIELDS + b"x: 9\r\nx: 9\r\n"


def test_removing_comes_before_setting_and_setting_before_adding() -> None:
    got = changed(remove=["x"], set_=[("x", "set")], add=[("x", "added")])
    assert got == b"\r\nHost: a\r\ny: 2\r\nxy: 4\r\nx: set\r\nx: added\r\n"


def test_the_last_of_two_that_are_set_stands() -> None:
    assert changed(set_=[("x", "1"), ("X", "2")], fields=b"\r\n") == b"\r\nX: 2\r\n"


@pytest.mark.parametrize("fields", [b"\r\n", b"\r\nx: 1\r\n"])
def test_a_block_stays_a_block(fields: bytes) -> None:
    assert changed(remove=["x"], fields=fields) == b"\r\n"
    assert changed(remove=["x"], add=[("a", "b")], fields=fields) == b"\r\na: b\r\n"


def test_values_may_hold_any_byte_of_latin_1() -> None:
    assert changed(add=[("x", "caf\xe9")], fields=b"\r\n") == b"\r\nx: caf\xe9\r\n"


def test_changes_of_nothing_are_false() -> None:
    assert not Mutation([], [], [])
    assert Mutation(["x"], [], [])
    assert Mutation([], [("x", "1")], [])
    assert Mutation([], [], [("x", "1")])


def test_the_first_field_of_a_name_is_found() -> None:
    assert find(FIELDS, b"x") == b"X: 1"
    assert find(FIELDS, b"host") == b"Host: a"
    assert find(FIELDS, b"z") == b""
    assert find(b"\r\n", b"x") == b""
    assert field_name(b"X-A: b:c") == b"x-a"
