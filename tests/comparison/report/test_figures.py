from __future__ import annotations

from collections import Counter

import pytest

from mirror_proxy.comparison.diff.totals import Key, Totals
from mirror_proxy.comparison.judgement.interval import rate_of
from mirror_proxy.comparison.report.figures import NAMES, Figure, figures, mirrors
from mirror_proxy.config.model import Thresholds
from mirror_proxy.telemetry.delta import bucket_of

T = Thresholds()


def figure(counts: dict[Key, int], name: str, mirror: str | None = None) -> Figure:
    return figures(Totals(counts), T, mirror)[name]


def values(figure: Figure) -> tuple[float | None, ...]:
    """Return what a figure says, without its interval."""
    found = (figure.value, figure.samples)
    return found if figure.at_most is None else (*found, figure.at_most)


def test_every_figure_is_there_and_of_nothing_each_is_unknown() -> None:
    found = figures(Totals(), T)
    assert tuple(found) == NAMES
    assert {(one.value, one.samples) for one in found.values()} == {(None, 0)}


# --- diff_rate ---

COMPARED: dict[Key, int] = {
    ("compared", "r", "m", "GET /items"): 1000,
    ("noise_compared", "r", "GET /items"): 1000,
}


def field(path: str, differed: int, leading: int, noisy: int = 0) -> dict[Key, int]:
    return {
        ("field", "r", "m", "GET /items", path, "value"): differed,
        ("leading", "r", "m", "GET /items", path, "value"): leading,
        ("noise_field", "r", "GET /items", path, "value"): noisy,
    }


def test_pairs_that_differ_in_a_reported_field_are_counted_under_their_leading_one() -> None:
    counts = COMPARED | field("$.a", 100, 100) | field("$.b", 60, 20)
    assert values(figure(counts, "diff_rate")) == (0.12, 1000, 0.12)


def test_noise_is_no_difference() -> None:
    assert figure(COMPARED | field("$.now", 990, 990, noisy=995), "diff_rate").value == 0


def test_a_field_that_never_leads_counts_all_the_same() -> None:
    counts = COMPARED | field("$.now", 1000, 1000, noisy=1000) | field("$.price", 50, 0)
    assert figure(counts, "diff_rate").value == 0.05


def test_of_a_field_that_differs_within_one_version_too_only_the_rest_counts() -> None:
    assert figure(COMPARED | field("$.a", 400, 400, noisy=100), "diff_rate").value == pytest.approx(0.3)


def test_fields_that_are_unsure_count_in_what_it_may_be_at_most() -> None:
    found = figure(COMPARED | field("$.a", 2, 2), "diff_rate")
    assert (found.value, found.at_most) == (0, 0.002)
    few: dict[Key, int] = {**COMPARED, ("noise_compared", "r", "GET /items"): 3} | field("$.a", 400, 400)
    found = figure(few, "diff_rate")
    assert (found.value, found.at_most) == (0, 0.4)


def test_without_a_baseline_all_that_is_no_fluke_counts() -> None:
    counts: dict[Key, int] = {
        ("compared", "r", "m", "GET /items"): 200,
        ("field", "r", "m", "GET /items", "$.a", "value"): 30,
    }
    assert values(figure(counts, "diff_rate")) == (0.15, 200, 0.15)


def test_rates_of_several_routes_add_up_by_their_pairs() -> None:
    counts = COMPARED | field("$.a", 100, 100)
    counts |= {("compared", "other", "m", "GET /items"): 3000, ("compared", "r", "else", "GET /items"): 6000}
    assert values(figure(counts, "diff_rate", "m")) == (0.025, 4000, 0.025)
    assert figure(counts, "diff_rate").value == 0.01


def test_only_fields_that_may_break_clients_count_in_the_breaking_rate() -> None:
    counts = COMPARED | field("$.a", 100, 100) | field("status 200 -> 500", 60, 60)
    assert values(figure(counts, "breaking_rate")) == (0.06, 1000, 0.06)
    assert values(figure(counts, "diff_rate")) == (0.16, 1000, 0.16)


def test_the_interval_of_a_rate_of_differences_reaches_to_all_that_may_differ() -> None:
    found = figure(COMPARED | field("$.a", 100, 100) | field("$.b", 4, 4), "diff_rate")
    assert (found.low, found.high) == (rate_of(100, 1000).low, rate_of(104, 1000).high)


# --- errors ---

OUTCOMES: dict[Key, int] = {
    ("outcome", "r", "m", "completed"): 80,
    ("outcome", "r", "m", "timeout"): 4,
    ("outcome", "r", "m", "connect_error"): 6,
    ("outcome", "r", "m", "reset"): 3,
    ("outcome", "r", "m", "protocol_error"): 2,
    ("outcome", "r", "m", "lagged"): 5,
    ("outcome", "r", "m", "not_sampled"): 900,
    ("outcome", "r", "m", "over_in_flight"): 50,
    ("outcome", "r", "r/secondary", "timeout"): 70,
    ("outcome", "r", "r/repeat", "completed"): 70,
    ("status_pair", "m", "200", "200"): 70,
    ("status_pair", "m", "200", "503"): 8,
    ("status_pair", "m", "500", "500"): 2,
}


def test_a_copy_is_an_error_when_it_failed_or_was_answered_5xx_of_all_that_were_sent() -> None:
    assert values(figure(OUTCOMES, "mirror_error_rate")) == (0.3, 100)
    assert values(figure(OUTCOMES, "mirror_error_rate", "m")) == (0.3, 100)
    assert values(figure(OUTCOMES, "mirror_error_rate", "else")) == (None, 0)


def test_a_request_is_an_error_when_it_was_answered_5xx_of_all_that_were_answered() -> None:
    counts: dict[Key, int] = {
        ("requests", "r", "v1", "200"): 90,
        ("requests", "r", "v2", "503"): 10,
        ("requests", "r", "v1", "0"): 50,
        ("requests", "other", "v1", "200"): 100,
        ("outcome", "r", "m", "completed"): 1,
    }
    assert values(figure(counts, "primary_error_rate")) == (0.05, 200)
    assert values(figure(counts, "primary_error_rate", "m")) == (0.1, 100)
    found = figures(Totals(counts), T, destination=("r", "v2"))
    assert values(found["primary_error_rate"]) == (1, 10)


def test_a_baseline_of_noise_is_no_mirror_unless_something_was_compared_with_it() -> None:
    assert mirrors(Totals(OUTCOMES)) == ["m"]
    of_two: dict[Key, int] = {
        ("outcome", "a/b", "a/b/repeat#2", "completed"): 1,
        ("outcome", "r", "x/secondary", "timeout"): 1,
    }
    assert mirrors(Totals(of_two)) == ["x/secondary"]
    assert values(figure(of_two, "mirror_error_rate")) == (1, 1)
    assert mirrors(Totals({**OUTCOMES, ("compared", "r", "r/repeat", "GET /items"): 1})) == ["m", "r/repeat"]


def test_an_error_rate_has_its_interval() -> None:
    found = figure(OUTCOMES, "mirror_error_rate")
    assert (found.low, found.high) == (rate_of(30, 100).low, rate_of(30, 100).high)


# --- times ---


def test_a_percentile_has_an_interval_as_far_as_the_samples_reach() -> None:
    counts: Counter[Key] = Counter(("delta", "m", str(bucket_of(n / 1000))) for n in range(1, 201))
    found = figures(Totals(counts), T, "m")
    median, highest = found["p50_delta"], found["p99_delta"]
    assert median.low is not None
    assert median.high is not None
    assert highest.low is not None
    assert 0.07 < median.low < 0.09
    assert 0.11 < median.high < 0.13
    assert 0.15 < highest.low < 0.198
    assert highest.high is None


def test_percentiles_of_the_difference_are_of_pairs_and_below_zero_too() -> None:
    counts: dict[Key, int] = {
        ("delta", "m", str(bucket_of(-0.010))): 50,
        ("delta", "m", str(bucket_of(0.020))): 45,
        ("delta", "m", str(bucket_of(0.500))): 5,
        ("delta", "else", str(bucket_of(9.0))): 500,
    }
    found = figures(Totals(counts), T, "m")
    assert found["p50_delta"].value == pytest.approx(-0.010, rel=0.03)
    assert found["p90_delta"].value == pytest.approx(0.020, rel=0.03)
    assert found["p99_delta"].value == pytest.approx(0.500, rel=0.03)
    assert {found[name].samples for name in ("p50_delta", "p90_delta", "p99_delta")} == {100}


def test_latencies_are_read_from_their_buckets_as_prometheus_does() -> None:
    counts: dict[Key, int] = {
        ("duration", "r", "v1", "3"): 100,
        ("duration", "other", "v1", "13"): 100,
        ("mirror_duration", "m", "4"): 50,
        ("mirror_duration", "m", "14"): 50,
        ("mirror_duration", "r/repeat", "0"): 900,
        ("outcome", "r", "m", "completed"): 100,
        ("outcome", "r", "r/repeat", "completed"): 900,
    }
    found = figures(Totals(counts), T, "m")
    assert values(found["primary_p50"]) == (0.00375, 100)
    assert values(found["mirror_p50"]) == (0.01, 100)
    assert values(found["mirror_p99"]) == (10.0, 100)
    of_all = figures(Totals(counts), T)
    assert (of_all["primary_p50"].samples, of_all["mirror_p50"].samples) == (200, 100)
