from __future__ import annotations

from mirror_proxy.comparison.diff.difference import Comparison, Difference
from mirror_proxy.comparison.diff.totals import OTHER
from mirror_proxy.comparison.process.counts import (
    EXPIRY_S,
    MAX_FIELDS,
    MAX_FIELDS_IN_ALL,
    SEARCH_S,
    Counts,
    FieldNames,
    Owner,
)
from mirror_proxy.comparison.store import label
from tests.support.comparer import field, noise, pair

PAIR, NOISE = pair(), noise(b"1", b"2")
V2, V3 = ("shop", "v2", "GET /items"), ("shop", "v3", "GET /items")


def differing(*paths: str, capped: frozenset[str] = frozenset()) -> Comparison:
    return Comparison(tuple(Difference(path, "value", "1", "2") for path in paths), capped)


def test_each_field_of_a_pair_is_counted_and_the_most_telling_one_leads() -> None:
    assert Counts().add(PAIR, differing("status", "$.a", "header etag"), 0.0) == [
        ("compared", "shop", "v2", "GET /items"),
        ("differing", "shop", "v2", "GET /items"),
        ("leading", "shop", "v2", "GET /items", "status", "value"),
        field("status"),
        field("$.a"),
        field("header etag"),
    ]


def test_what_differs_within_one_version_leads_no_pair_that_has_a_fault() -> None:
    counts = Counts()
    counts.add(NOISE, differing("$.at"), 0.0)
    keys = counts.add(PAIR, differing("$.at", "$.price"), 0.0)
    assert [key for key in keys if key[0] == "leading"] == [
        ("leading", "shop", "v2", "GET /items", "$.price", "value")
    ]


def test_a_pair_without_differences_is_only_compared() -> None:
    assert Counts().add(PAIR, Comparison(), 0.0) == [("compared", "shop", "v2", "GET /items")]


def test_what_could_not_be_compared_is_counted_by_its_reason() -> None:
    counts = Counts()
    keys = counts.add(PAIR, differing(capped=frozenset({"many", "bomb"})), 0.0)
    assert keys[1:] == [("capped", "shop", "v2", "bomb"), ("capped", "shop", "v2", "many")]
    assert counts.report()["compare_capped_total"] == {("bomb",): 1, ("many",): 1}


def test_noise_is_counted_by_route_and_never_as_a_mirrors() -> None:
    counts = Counts()
    assert counts.add(NOISE, differing("$.a"), 0.0) == [
        ("noise_compared", "shop", "GET /items"),
        ("noise_field", "shop", "GET /items", "$.a", "value"),
    ]
    report = counts.report()
    assert report["compare_noise_pairs_total"] == {("shop",): 1}
    assert report["compare_pairs_total"] == {}


def test_fields_without_a_name_of_their_own_are_one_field_of_a_pair() -> None:
    counts = Counts()
    for number in range(MAX_FIELDS):
        counts.add(PAIR, differing(f"$.k{number}"), 0.0)
    keys = counts.add(PAIR, differing("$.more", "$.and.more"), 0.0)
    assert keys[2:] == [("leading", "shop", "v2", "GET /items", OTHER, "value"), field(OTHER)]


def test_each_endpoint_is_counted_by_itself_and_noise_of_another_leads_no_pair() -> None:
    counts = Counts()
    counts.add(noise(b"1", b"2"), differing("$.at"), 0.0)
    keys = counts.add(pair(method="POST", target="/items/17"), differing("$.at", "$.price"), 0.0)
    assert keys[0] == ("compared", "shop", "v2", "POST /items/{}")
    assert keys[2] == ("leading", "shop", "v2", "POST /items/{}", "$.at", "value")


def test_noise_does_not_fill_the_table_of_a_mirror() -> None:
    counts = Counts()
    for number in range(MAX_FIELDS):
        counts.add(NOISE, differing(f"$.k{number}"), 0.0)
    assert field("$.more") in counts.add(PAIR, differing("$.more"), 0.0)


def test_metrics_tell_pairs_by_their_result_and_what_was_dropped() -> None:
    counts = Counts()
    for found in (differing("$.a"), differing(), differing()):
        counts.add(PAIR, found, 0.0)
    assert counts.drop("failed") == ("dropped", "failed")
    report = counts.report()
    assert report["compare_pairs_total"] == {("v2", "different"): 1, ("v2", "same"): 2}
    assert report["compare_dropped_total"] == {("failed",): 1}


def full(owner: Owner = V2) -> FieldNames:
    """Return a table in which there is no room left."""
    made = FieldNames()
    for number in range(MAX_FIELDS):
        assert made.name(owner, f"$.k{number}", 0.0) == f"$.k{number}"
    return made


def test_a_field_beyond_the_tables_end_has_no_name_of_its_own() -> None:
    table = full()
    assert table.name(V2, "$.more", 1.0) == OTHER
    assert table.name(V2, "$.k7", 1.0) == "$.k7"


def test_each_mirror_has_a_table_of_its_own() -> None:
    assert full().name(V3, "$.more", 1.0) == "$.more"


def test_a_field_that_was_not_seen_for_long_makes_room_for_one_that_is() -> None:
    table = full()
    table.name(V2, "$.k7", EXPIRY_S)
    assert table.name(V2, "$.more", EXPIRY_S) == "$.more"
    assert table.name(V2, "$.k7", EXPIRY_S) == "$.k7"


def test_what_can_be_forgotten_is_looked_for_now_and_then_only() -> None:
    table = full()
    assert table.name(V2, "$.more", EXPIRY_S - 1) == OTHER
    assert table.name(V2, "$.more", EXPIRY_S + 1) == OTHER
    assert table.name(V2, "$.more", EXPIRY_S - 1 + SEARCH_S) == "$.more"


def test_all_tables_together_are_no_longer_than_they_may_be() -> None:
    table = FieldNames()
    whole = MAX_FIELDS_IN_ALL // MAX_FIELDS
    for number in range(whole):
        for place in range(MAX_FIELDS):
            table.name(("shop", f"v{number}", "GET /"), f"$.k{place}", 0.0)
    assert table.name(("shop", "another", "GET /"), "$.more", 1.0) == OTHER
    assert table.name(("shop", "another", "GET /"), "$.more", EXPIRY_S + SEARCH_S) == "$.more"


def test_a_path_too_long_for_the_store_is_counted_as_the_store_has_it() -> None:
    table = FieldNames()
    name = table.name(V2, "$." + "k" * 10_000, 0.0)
    assert len(name) < 100
    assert table.name(V2, "$." + "k" * 10_001, 0.0) != name
    assert label(name) == name
