from __future__ import annotations

import pytest

from mirror_proxy.comparison.diff.record import Record
from mirror_proxy.comparison.report.finding import trait
from mirror_proxy.comparison.report.finding.record_index import RecordIndex
from mirror_proxy.comparison.report.finding.trait import Trait


def records(number: int, *traits: str) -> list[Record]:
    return [Record(0.0, "shop", "v2", "GET /", traits)] * number


def trait_of(differing: list[Record], others: list[Record]) -> Trait | None:
    index = RecordIndex([*differing, *others])
    here = (1 << len(differing)) - 1
    return trait.trait_of(index.traits, here, ((1 << len(others)) - 1) << len(differing))


def test_the_trait_of_all_and_only_the_requests_that_differ_is_found() -> None:
    assert trait_of(records(5, "?sql", "?page"), records(5, "?page")) == Trait("?sql", is_given=True)


def test_a_trait_that_only_others_have_is_found_as_absent() -> None:
    found = trait_of(records(8), records(8, "header accept=text/html"))
    assert found == Trait("header accept=text/html", is_given=False)


def test_no_trait_is_found_where_others_have_it_too_or_records_are_few() -> None:
    assert trait_of(records(20, "?a"), [*records(10, "?a"), *records(10)]) is None
    assert trait_of(records(4, "?a"), records(50)) is None
    assert trait_of(records(50, "?a"), []) is None


@pytest.mark.parametrize(
    ("name", "is_given", "words"),
    [
        ("?sql", True, "where ?sql is given"),
        ("?sql", False, "where ?sql is not given"),
        ("header x-tenant", True, "where the header x-tenant is sent"),
        ("header accept=text/html", False, "where the request's accept is not text/html"),
        ("cookie session", True, "where the cookie session is sent"),
        ("body", True, "where the request has a body"),
    ],
)
def test_the_words_of_a_trait_are_a_condition(name: str, is_given: bool, words: str) -> None:
    assert Trait(name, is_given).words == words
