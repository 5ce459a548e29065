from __future__ import annotations

from mirror_proxy.comparison.diff.totals import OTHER
from mirror_proxy.comparison.process.fields import FORGET_S, LOOK_S, MAX_FIELDS, MAX_FIELDS_IN_ALL, Fields
from mirror_proxy.comparison.store import label

V2, V3 = ("shop", "v2"), ("shop", "v3")


def full(whose: tuple[str, str] = V2) -> Fields:
    """Return a table in which there is no room left."""
    made = Fields()
    for number in range(MAX_FIELDS):
        assert made.name(whose, f"$.k{number}", 0.0) == f"$.k{number}"
    return made


def test_a_field_beyond_the_tables_end_has_no_name_of_its_own() -> None:
    table = full()
    assert table.name(V2, "$.more", 1.0) == OTHER
    assert table.name(V2, "$.k7", 1.0) == "$.k7"


def test_each_mirror_has_a_table_of_its_own() -> None:
    assert full().name(V3, "$.more", 1.0) == "$.more"


def test_a_field_that_was_not_seen_for_long_makes_room_for_one_that_is() -> None:
    table = full()
    table.name(V2, "$.k7", FORGET_S)
    assert table.name(V2, "$.more", FORGET_S) == "$.more"
    assert table.name(V2, "$.k7", FORGET_S) == "$.k7"


def test_what_can_be_forgotten_is_looked_for_now_and_then_only() -> None:
    table = full()
    assert table.name(V2, "$.more", FORGET_S - 1) == OTHER
    assert table.name(V2, "$.more", FORGET_S + 1) == OTHER
    assert table.name(V2, "$.more", FORGET_S - 1 + LOOK_S) == "$.more"


def test_all_tables_together_are_no_longer_than_they_may_be() -> None:
    table = Fields()
    whole = MAX_FIELDS_IN_ALL // MAX_FIELDS
    for number in range(whole):
        for field in range(MAX_FIELDS):
            table.name(("shop", f"v{number}"), f"$.k{field}", 0.0)
    assert table.name(("shop", "another"), "$.more", 1.0) == OTHER
    assert table.name(("shop", "another"), "$.more", FORGET_S + LOOK_S) == "$.more"


def test_a_path_too_long_for_the_store_is_counted_as_the_store_has_it() -> None:
    table = Fields()
    name = table.name(V2, "$." + "k" * 10_000, 0.0)
    assert len(name) < 100
    assert table.name(V2, "$." + "k" * 10_001, 0.0) != name
    assert label(name) == name
