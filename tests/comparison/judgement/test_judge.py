"""Judge: few samples decide a large effect, many samples without an effect decide none, each endpoint has its noise."""

from __future__ import annotations

import sys
from math import log

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mirror_proxy.comparison.judgement.judge import ERROR, evidence_needed, judge
from mirror_proxy.comparison.judgement.place import Judgement, Place
from mirror_proxy.config.model import Thresholds

DEFAULT = Thresholds()


def place(  # noqa: PLR0917  the counts of a place, then its name
    raw: int, compared: int, noise: int, noise_compared: int,
    endpoint: str = "GET /", path: str = "$.a", kind: str = "value", route: str = "r",
) -> Place:  # fmt: skip
    return Place(route, endpoint, path, kind, raw, compared, noise, noise_compared)


def judged(
    raw: int, compared: int, noise: int, noise_compared: int, thresholds: Thresholds = DEFAULT
) -> Judgement:
    [found] = judge([place(raw, compared, noise, noise_compared)], thresholds)
    return found


def verdicts(*places: Place) -> list[str]:
    return [one.verdict for one in judge(places, DEFAULT)]


@pytest.mark.parametrize(
    ("counts", "verdict"),
    [
        ((12, 12, 0, 12), "reported"),
        ((16, 16, 0, 16), "reported"),
        ((34, 46, 0, 46), "reported"),
        ((12, 400, 0, 400), "reported"),
        ((50, 10_000, 0, 10_000), "reported"),
        ((400, 400, 240, 400), "reported"),
        ((10, 10, 10, 10), "noise"),
        ((1_000, 1_000, 200, 200), "noise"),
        ((100, 1_000, 500, 1_000), "noise"),
        ((5, 1_000, 5, 1_000), "noise"),
        ((5, 1_000, 0, 200), "unsure"),
        ((3, 400, 0, 400), "unsure"),
        ((16, 16, 0, 1), "unsure"),
        ((2, 2, 0, 2), "unsure"),
    ],
)
def test_counts_of_one_place_decide_what_it_is(counts: tuple[int, int, int, int], verdict: str) -> None:
    assert judged(*counts).verdict == verdict


def test_the_reason_of_a_reported_place_has_both_rates() -> None:
    assert judged(12, 400, 0, 400).why == "3 % against 0 % of noise"


def test_the_reason_of_noise_names_noise() -> None:
    assert judged(10, 10, 10, 10).why == "100 % against 100 % of noise: it differs within one version too"


def test_the_reason_of_an_unsure_place_has_the_requests_that_decide() -> None:
    found = judged(5, 400, 0, 400)
    assert found.why == "1.25 % against 0 % of noise: decided in about 342 more requests"
    assert judged(10, 800, 0, 800).verdict == "reported"


def test_a_header_that_is_missing_at_each_of_many_endpoints_is_reported_though_each_has_two_pairs() -> None:
    places = [place(2, 2, 0, 2, f"GET /{n}", "header x") for n in range(8)]
    found = judge(places, DEFAULT)
    assert {one.verdict for one in found} == {"reported"}
    assert found[0].why == "100 % against 0 % of noise; sure at 8 endpoints together"


def test_a_place_that_is_reported_at_some_endpoints_is_noise_where_it_differs_by_itself() -> None:
    places = [place(2, 2, 0, 2, f"GET /{n}") for n in range(9)]
    assert verdicts(*places, place(10, 10, 10, 10, "GET /x"))[-1] == "noise"


def test_a_hundred_places_that_differed_once_do_not_hide_one_that_always_differs() -> None:
    once = [place(1, 400, 0, 400, path=f"$.{n}") for n in range(100)]
    found = verdicts(*once, place(12, 12, 0, 12, "GET /x"))
    assert found == ["unsure"] * 100 + ["reported"]


def test_more_places_that_could_be_decided_ask_for_more_evidence() -> None:
    noisy = [place(200, 400, 200, 400, path=f"$.{n}") for n in range(1_000)]
    assert verdicts(place(12, 400, 0, 400, path="x"), *noisy)[0] == "unsure"
    assert verdicts(place(18, 400, 0, 400, path="x"), *noisy)[0] == "reported"


def test_evidence_that_is_needed_is_that_of_all_places_and_mirrors() -> None:
    assert evidence_needed([(0.0, 99.0)] * 30) == pytest.approx(log(40 / ERROR))
    assert evidence_needed([(0.0, 99.0)] * 30, mirrors=2) == pytest.approx(log(80 / ERROR))
    assert evidence_needed([(0.0, 1.0)] * 30) == evidence_needed([])
    assert evidence_needed([(99.0, 99.0)] * 29 + [(0.0, 99.0)]) == evidence_needed([(0.0, 99.0)])


# --- without a baseline ---


def test_without_a_baseline_a_frequent_difference_is_reported_and_may_be_noise() -> None:
    found = judged(3, 3, 0, 0)
    assert (found.verdict, found.noise_rate) == ("reported", None)
    assert found.why == "100 %; this endpoint has no baseline: it may be noise"


@pytest.mark.parametrize(("raw", "compared"), [(1, 1), (3, 400)])
def test_without_a_baseline_what_may_be_a_fluke_is_unsure(raw: int, compared: int) -> None:
    found = judged(raw, compared, 0, 0)
    assert (found.verdict, found.why) == ("unsure", f"{raw} of {compared}, too few without a baseline")


@pytest.mark.parametrize("kind", ["id", "time"])
def test_new_ids_and_times_are_noise_unless_a_baseline_has_them_always_the_same(kind: str) -> None:
    assert verdicts(place(50, 50, 0, 0, kind=kind)) == ["noise"]
    assert verdicts(place(50, 50, 1, 50, kind=kind)) == ["noise"]
    assert verdicts(place(50, 50, 0, 50, kind=kind)) == ["reported"]


def test_without_a_baseline_noise_of_other_endpoints_of_the_method_counts() -> None:
    noisy = place(90, 100, 90, 100, "POST /a")
    assert verdicts(noisy, place(90, 100, 0, 0, "POST /b"))[1] == "noise"
    assert verdicts(noisy, place(90, 100, 0, 0, "GET /b"))[1] == "reported"
    assert verdicts(noisy, place(90, 100, 0, 0, "POST /b", route="other"))[1] == "reported"
    assert verdicts(place(5, 100, 5, 100, "POST /a"), place(90, 100, 0, 0, "POST /b"))[1] == "reported"


# --- what is worth reporting ---


def test_many_endpoints_with_and_without_a_baseline_take_a_number_of_calls_that_grows_with_their_number() -> (
    None
):
    few, many = (_calls(size) for size in (50, 200))
    assert many < 5 * few


def _calls(endpoints: int) -> int:
    """Return the number of calls that judging one place takes, with `endpoints` of each kind."""
    places = [
        *(place(10, 20, 5, 20, endpoint=f"GET /{at}") for at in range(endpoints)),
        *(place(10, 20, 0, 0, endpoint=f"POST /{at}") for at in range(endpoints)),
    ]
    count = 0

    def on_call(*_: object) -> None:
        nonlocal count
        count += 1

    sys.setprofile(on_call)
    try:
        judge(places, DEFAULT)
    finally:
        sys.setprofile(None)
    return count


def test_a_rate_that_is_higher_by_less_than_the_relative_threshold_is_noise() -> None:
    counts = 600_000, 1_000_000, 500_000, 1_000_000  # relative: 0.09
    assert judged(*counts).verdict == "noise"
    assert judged(*counts, Thresholds(relative=0.09)).verdict == "reported"


def test_a_rate_that_is_higher_by_less_than_the_absolute_threshold_is_noise() -> None:
    counts = 20_000, 1_000_000, 10_000, 1_000_000
    assert judged(*counts, Thresholds(absolute=0.009)).verdict == "reported"
    assert judged(*counts, Thresholds(absolute=0.011)).verdict == "noise"
    assert judged(10, 100_000, 0, 100_000).why == "0.01 % against 0 % of noise: too rare to be reported"


def test_with_the_strictest_relative_threshold_only_what_has_no_noise_is_reported() -> None:
    strict = Thresholds(relative=1.0)
    assert judged(500, 1_000, 0, 1_000, strict).verdict == "reported"
    assert judged(500, 1_000, 1, 1_000, strict).verdict == "noise"


COUNTS = st.integers(0, 10**9)


@given(st.lists(st.tuples(COUNTS, COUNTS, COUNTS, COUNTS, st.sampled_from(["$.a", "$.b"])), max_size=8))
def test_every_count_is_judged_with_rates_in_order(rows: list[tuple[int, int, int, int, str]]) -> None:
    places = [place(*row[:4], f"GET /{number}", row[4]) for number, row in enumerate(rows)]
    found = judge(places, DEFAULT)
    assert len(found) == len(places)
    for one in found:
        assert 0 <= one.raw_low <= one.raw_rate <= one.raw_high <= 1
        assert 0 <= one.noise_low <= (one.noise_rate or 0) <= one.noise_high <= 1
        assert one.why


@given(compared=st.integers(1, 10**6), noise_compared=st.integers(1, 10**6), share=st.floats(0, 1))
def test_a_field_that_differs_no_more_often_than_noise_is_not_reported(
    compared: int, noise_compared: int, share: float
) -> None:
    noise = -int(-share * noise_compared // 1)
    raw = int(compared * noise / noise_compared)
    assert judged(raw, compared, noise, noise_compared).verdict != "reported"
