from __future__ import annotations

from mirror_proxy.comparison.diff.totals import Key, Totals
from mirror_proxy.comparison.judgement.interval import rate_of
from mirror_proxy.comparison.report.coverage import Coverage, coverage
from mirror_proxy.comparison.report.fields import fields
from mirror_proxy.config.model import Thresholds


def found(counts: dict[Key, int]) -> Coverage:
    totals = Totals(counts)
    return coverage(totals, fields(totals, Thresholds(), "m"), "m", 100)


def compared(endpoint: str, pairs: int, mirror: str = "m") -> dict[Key, int]:
    return {("compared", "r", mirror, endpoint): pairs, ("noise_compared", "r", endpoint): pairs}


def test_the_bound_is_that_of_the_endpoint_of_which_least_is_known() -> None:
    counts = compared("GET /a", 20_000) | compared("GET /b", 150) | compared("GET /c", 150, "other")
    assert found(counts) == Coverage(2, rate_of(0, 150).high)


def test_endpoints_with_too_few_pairs_are_listed_the_most_first() -> None:
    counts = compared("GET /a", 100) | compared("GET /b", 3) | compared("GET /c", 99)
    assert found(counts).few == (("GET /c", 99), ("GET /b", 3))


def test_pairs_that_differ_in_a_field_that_is_unsure_are_not_excluded_and_noise_is() -> None:
    counts = compared("GET /a", 400) | {
        ("field", "r", "m", "GET /a", "$.x", "value"): 3,
        ("field", "r", "m", "GET /a", "$.at", "value"): 200,
        ("noise_field", "r", "GET /a", "$.at", "value"): 200,
    }
    assert found(counts).bound == rate_of(3, 400).high


def test_without_pairs_no_rate_is_excluded() -> None:
    assert found({}) == Coverage(0, 1.0)
