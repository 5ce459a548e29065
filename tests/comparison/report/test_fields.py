from __future__ import annotations

from mirror_proxy.comparison.diff.totals import Totals
from mirror_proxy.comparison.report.fields import fields
from mirror_proxy.config.model import Thresholds

T = Thresholds()


def test_a_field_has_its_counts_and_those_of_its_route_s_noise() -> None:
    totals = Totals(
        {
            ("compared", "shop", "v2", "GET /items"): 1000,
            ("field", "shop", "v2", "GET /items", "$.price", "value"): 50,
            ("leading", "shop", "v2", "GET /items", "$.price", "value"): 40,
            ("noise_compared", "shop", "GET /items"): 500,
            ("noise_field", "shop", "GET /items", "$.price", "value"): 5,
            ("noise_field", "other", "GET /items", "$.price", "value"): 100,
        }
    )
    [field] = fields(totals, T)
    assert (field.route, field.mirror, field.path, field.kind) == ("shop", "v2", "$.price", "value")
    assert (field.differed, field.leading, field.compared) == (50, 40, 1000)
    assert (field.noisy, field.noise_compared) == (5, 500)
    assert field.judgement.verdict == "reported"
    assert field.real == 0.8


def test_an_endpoint_is_judged_by_its_own_noise() -> None:
    counts = {
        ("compared", "r", "m", "GET /"): 1000,
        ("compared", "r", "m", "POST /"): 1000,
        ("noise_compared", "r", "GET /"): 1000,
        ("noise_field", "r", "GET /", "$.at", "value"): 900,
        ("field", "r", "m", "GET /", "$.at", "value"): 900,
        ("field", "r", "m", "POST /", "$.at", "value"): 900,
    }
    found = fields(Totals(counts), T)
    assert [(field.endpoint, field.judgement.verdict) for field in found] == [
        ("POST /", "reported"),
        ("GET /", "noise"),
    ]


def of_unlike_statuses(unlike: int) -> dict[str, tuple[int, int, str]]:
    """Return pairs, baseline and verdict of each field where `unlike` of 40 pairs of v1 have two statuses."""
    counts = {
        ("compared", "r", "m", "GET /"): 40,
        ("noise_compared", "r", "GET /"): 40,
        ("field", "r", "m", "GET /", "status 200 -> 500", "value"): 10,
        ("field", "r", "m", "GET /", "header x-version-id", "id"): 30,
        ("field", "r", "m", "GET /", "$.name", "value"): 30,
        ("noise_field", "r", "GET /", "status 200 -> 404", "value"): unlike,
        ("noise_field", "r", "GET /", "status 301 -> 302", "value"): 1,
    }
    return {
        field.path: (field.compared, field.noise_compared, field.judgement.verdict)
        for field in fields(Totals(counts), T)
    }


def test_pairs_with_statuses_of_two_classes_count_for_statuses_only() -> None:
    assert of_unlike_statuses(10) == {
        "status 200 -> 500": (40, 40, "reported"),
        "header x-version-id": (30, 30, "reported"),
        "$.name": (30, 30, "reported"),
    }


def test_baseline_that_mostly_has_another_status_shows_no_noise() -> None:
    """A second v1 with data of its own answers 404: that says nothing about what v1's 200s have in common."""
    assert of_unlike_statuses(38) == {
        "status 200 -> 500": (40, 40, "reported"),
        "header x-version-id": (30, 0, "noise"),
        "$.name": (30, 0, "reported"),
    }


def test_what_is_to_be_reported_comes_first_and_the_most_frequent_of_it() -> None:
    counts = {("compared", "r", "m", "GET /items"): 1000, ("noise_compared", "r", "GET /items"): 1000}
    for path, differed, noisy in (("a", 500, 500), ("b", 20, 0), ("c", 300, 290), ("d", 2, 0), ("e", 30, 0)):
        counts["field", "r", "m", "GET /items", path, "value"] = differed
        counts["noise_field", "r", "GET /items", path, "value"] = noisy
    found = fields(Totals(counts), T)
    assert [(field.path, field.judgement.verdict) for field in found] == [
        ("e", "reported"),
        ("b", "reported"),
        ("d", "unsure"),
        ("c", "noise"),
        ("a", "noise"),
    ]


def test_of_fields_that_differ_together_the_one_that_leads_comes_first() -> None:
    counts = {
        ("compared", "r", "m", "GET /items"): 1000,
        ("leading", "r", "m", "GET /items", "status", "value"): 50,
    }
    for path in ("$.error", "$.ok", "status"):
        counts["field", "r", "m", "GET /items", path, "value"] = 50
    assert [field.path for field in fields(Totals(counts), T)] == ["status", "$.error", "$.ok"]


def test_only_a_baseline_tells_which_part_of_the_differences_is_real() -> None:
    counts = {
        ("compared", "r", "m", "GET /items"): 1000,
        ("field", "r", "m", "GET /items", "$.a", "value"): 500,
    }
    small = {
        ("noise_compared", "r", "GET /items"): 10,
        ("noise_field", "r", "GET /items", "$.a", "value"): 10,
    }
    assert [(field.judgement.verdict, field.real) for field in fields(Totals(counts), T)] == [("reported", 1)]
    found = fields(Totals(counts | small), T)
    assert [(field.judgement.verdict, field.real) for field in found] == [("noise", 0)]


def test_one_mirror_s_fields_are_told_from_another_s() -> None:
    counts = {
        ("compared", "r", "a", "GET /items"): 1000,
        ("compared", "r", "b", "GET /items"): 1000,
        ("field", "r", "a", "GET /items", "$.x", "value"): 500,
        ("field", "r", "b", "GET /items", "$.y", "value"): 500,
    }
    assert [field.path for field in fields(Totals(counts), T, "b")] == ["$.y"]
    assert len(fields(Totals(counts), T)) == 2
