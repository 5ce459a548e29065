from __future__ import annotations

from collections.abc import Sequence

from mirror_proxy.comparison.capture.pair_sender import PairSender
from mirror_proxy.comparison.diff.example import Example, Search
from mirror_proxy.comparison.diff.totals import Key, Totals
from mirror_proxy.comparison.report import notes
from mirror_proxy.comparison.report.finding.example_finder import MAX_SEARCHES
from mirror_proxy.comparison.report.limits import parse
from mirror_proxy.comparison.report.report import ReportData, ReportOptions, make_report
from mirror_proxy.comparison.report.tables import status_matrix
from mirror_proxy.config.model import Thresholds
from tests.comparison.report.reports import look, rich

NO_BASELINE = (
    "Route r has no baseline: differences between two responses of v1 are reported too,"
    " except new ids and times; set --secondary or compare.noise.repeat to leave noise out."
)


def reading(counts: dict[Key, int], *mirrors: str) -> ReportData:
    return ReportData("here", "1", 50.0, 100.0, Totals(counts), Thresholds(), mirrors)


def test_a_mirror_in_force_is_reported_though_nothing_was_counted_of_it() -> None:
    found = make_report(reading({("compared", "r", "gone", "GET /items"): 1}, "new"), ReportOptions(), look)
    assert [one.mirror for one in found.mirrors] == ["gone", "new"]
    only = make_report(
        reading({("compared", "r", "gone", "GET /items"): 1}, "new"), ReportOptions("new"), look
    )
    assert [one.mirror for one in only.mirrors] == ["new"]


def test_a_broken_limit_says_more_than_an_undecided_one() -> None:
    assert rich().outcome == "broken"
    few: dict[Key, int] = {("outcome", "r", "m", "timeout"): 1, ("outcome", "r", "m", "completed"): 20}
    limits = (parse("mirror_error_rate>1%"),)
    assert make_report(reading(few), ReportOptions(limits=limits), look).outcome == "undecided"
    assert (
        make_report(reading(few), ReportOptions(limits=limits, min_samples=20), look).outcome == "undecided"
    )
    many: dict[Key, int] = {("outcome", "r", "m", "timeout"): 5}
    assert make_report(reading(many), ReportOptions(limits=limits), look).outcome == "broken"


def test_where_nothing_was_mirrored_limits_are_undecided() -> None:
    assert (
        make_report(reading({}), ReportOptions(limits=(parse("diff_rate>1%"),)), look).outcome == "undecided"
    )
    assert make_report(reading({}), ReportOptions(), look).outcome == "ok"


def test_examples_are_searched_for_every_finding_up_to_a_bound_and_not_for_noise() -> None:
    counts: dict[Key, int] = {
        ("compared", "r", "m", "GET /items"): 1000,
        ("noise_compared", "r", "GET /items"): 1000,
    }
    for place in range(90):
        counts["field", "r", "m", "GET /items", f"$.a{place:02}", "value"] = 500 - place
    counts |= {
        ("field", "r", "m", "GET /items", "$.now", "value"): 900,
        ("noise_field", "r", "GET /items", "$.now", "value"): 900,
    }
    asked: list[Search] = []

    def find(search: Search) -> Sequence[Example]:
        asked.append(search)
        return ()

    make_report(reading(counts), ReportOptions(examples=2), find)
    assert [search.path for search in asked] == [f"$.a{place:02}" for place in range(MAX_SEARCHES)]
    assert asked[0] == Search(50.0, "r", "m", "$.a00", "value", limit=4)
    make_report(reading(counts), ReportOptions(examples=0), find)
    assert len(asked) == MAX_SEARCHES


def test_caps_drops_and_a_missing_baseline_are_named() -> None:
    counts: dict[Key, int] = {
        ("compared", "r", "m", "GET /items"): 1000,
        ("compared", "s", "m", "GET /items"): 39,
        ("noise_compared", "s", "GET /items"): 10,
        ("capped", "r", "m", "nesting"): 30,
        ("capped", "s", "m", "nesting"): 7,
        ("capped", "r", "m", "bomb"): 1,
        ("capped", "r", "else", "bomb"): 5,
        ("field", "r", "m", "GET /items", "(other)", "value"): 1,
        ("dropped", "too_large"): 1,
    }
    found = make_report(reading(counts), ReportOptions("m"), look)
    assert found.mirrors[0].notes == (
        "Of route s 39 pairs were compared; small differences show with 100 or more.",
        NO_BASELINE,
        "The baseline of route s has 10 pairs: rare noise may not have shown yet.",
        "1 pair had a response that decompresses to more than is read.",
        "37 pairs had a response nested deeper than is followed.",
        "More fields differ than are counted one by one; the rest is counted as (other).",
    )
    assert found.notes == ("1 pair was not compared due to a size above the limit of the comparer's pipe.",)


def test_endpoints_without_a_baseline_are_named_where_their_route_has_one() -> None:
    counts: dict[Key, int] = {("noise_compared", "r", "GET /"): 900, ("compared", "r", "m", "GET /"): 900}
    counts |= {("compared", "r", "m", f"POST /{name}"): 100 + place for place, name in enumerate("abcd")}
    counts["compared", "r", "other", "POST /e"] = 100
    [note] = make_report(reading(counts), ReportOptions("m"), look).mirrors[0].notes
    assert note == (
        "4 endpoints with 406 pairs have no baseline: POST /d, POST /c, POST /b and 1 more. Differences there"
        " may be noise; --repeat-safe sends requests that only read to the baseline."
    )


def test_pairs_without_an_endpoint_of_their_own_are_named() -> None:
    counts: dict[Key, int] = {("noise_compared", "r", "(other)"): 900, ("compared", "r", "m", "(other)"): 900}
    [note] = make_report(reading(counts), ReportOptions("m"), look).mirrors[0].notes
    assert note == "900 pairs had no room for an endpoint of their own, and count as (other)."


def test_endpoints_that_are_things_of_one_kind_are_one() -> None:
    counts: dict[Key, int] = {("compared", "r", "m", f"GET /shop/{'x' * size}"): 5 for size in range(1, 31)}
    counts |= {("field", "r", "m", f"GET /shop/{'x' * size}", "$.a", "value"): 5 for size in range(1, 31)}
    [found] = make_report(reading(counts), ReportOptions("m"), look).mirrors[0].fields
    assert (found.field.endpoint, found.field.differed, found.field.compared) == ("GET /shop/{}", 150, 150)


def test_every_reason_to_drop_a_pair_has_its_words() -> None:
    assert set(PairSender(None).dropped) <= set(notes.DROPPED)


def test_statuses_beyond_the_most_frequent_are_one() -> None:
    pairs = {("200", str(code)): 600 - code for code in range(400, 420)} | {
        ("410", "404"): 7,
        ("200", "200"): 9_000,
    }
    laid_out = status_matrix(pairs, 4)
    assert laid_out.across == ("200", "400", "401", "404", "(other)")
    assert [status for status, _ in laid_out.rows] == ["200", "410"]
    assert sum(sum(row) for _, row in laid_out.rows) == sum(pairs.values())
    assert laid_out.rows[1][1] == (0, 0, 0, 7, 0)
