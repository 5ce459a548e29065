from __future__ import annotations

from mirror_proxy.comparison.diff.difference import Comparison, Difference
from mirror_proxy.comparison.diff.totals import OTHER
from mirror_proxy.comparison.process.book import Book
from mirror_proxy.comparison.process.fields import MAX_FIELDS
from tests.support.comparer import field, noise, pair

PAIR, NOISE = pair(), noise(b"1", b"2")


def differing(*paths: str, capped: frozenset[str] = frozenset()) -> Comparison:
    return Comparison(tuple(Difference(path, "value", "1", "2") for path in paths), capped)


def test_each_field_of_a_pair_is_counted_and_the_most_telling_one_leads() -> None:
    assert Book().enter(PAIR, differing("status", "$.a", "header etag"), 0.0) == [
        ("compared", "shop", "v2"),
        ("differing", "shop", "v2"),
        ("leading", "shop", "v2", "status", "value"),
        field("status"),
        field("$.a"),
        field("header etag"),
    ]


def test_what_differs_within_one_version_leads_no_pair_that_has_a_fault() -> None:
    book = Book()
    book.enter(NOISE, differing("$.at"), 0.0)
    keys = book.enter(PAIR, differing("$.at", "$.price"), 0.0)
    assert [key for key in keys if key[0] == "leading"] == [("leading", "shop", "v2", "$.price", "value")]


def test_a_pair_without_differences_is_only_compared() -> None:
    assert Book().enter(PAIR, Comparison(), 0.0) == [("compared", "shop", "v2")]


def test_what_could_not_be_compared_is_counted_by_its_reason() -> None:
    book = Book()
    keys = book.enter(PAIR, differing(capped=frozenset({"many", "bomb"})), 0.0)
    assert keys[1:] == [("capped", "shop", "v2", "bomb"), ("capped", "shop", "v2", "many")]
    assert book.report()["compare_capped_total"] == {("bomb",): 1, ("many",): 1}


def test_noise_is_counted_by_route_and_never_as_a_mirrors() -> None:
    book = Book()
    assert book.enter(NOISE, differing("$.a"), 0.0) == [
        ("noise_compared", "shop"),
        ("noise_field", "shop", "$.a", "value"),
    ]
    report = book.report()
    assert report["compare_noise_pairs_total"] == {("shop",): 1}
    assert report["compare_pairs_total"] == {}


def test_fields_without_a_name_of_their_own_are_one_field_of_a_pair() -> None:
    book = Book()
    for number in range(MAX_FIELDS):
        book.enter(PAIR, differing(f"$.k{number}"), 0.0)
    keys = book.enter(PAIR, differing("$.more", "$.and.more"), 0.0)
    assert keys[2:] == [("leading", "shop", "v2", OTHER, "value"), field(OTHER)]


def test_noise_does_not_fill_the_table_of_a_mirror() -> None:
    book = Book()
    for number in range(MAX_FIELDS):
        book.enter(NOISE, differing(f"$.k{number}"), 0.0)
    assert field("$.more") in book.enter(PAIR, differing("$.more"), 0.0)


def test_metrics_tell_pairs_by_their_result_and_what_was_dropped() -> None:
    book = Book()
    for found in (differing("$.a"), differing(), differing()):
        book.enter(PAIR, found, 0.0)
    assert book.drop("failed") == ("dropped", "failed")
    report = book.report()
    assert report["compare_pairs_total"] == {("v2", "different"): 1, ("v2", "same"): 2}
    assert report["compare_dropped_total"] == {("failed",): 1}
