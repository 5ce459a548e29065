from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mirror_proxy.comparison.report.figures import LOOP_LAG, NAMES, RATES, TIMES, Figure
from mirror_proxy.comparison.report.limits import LimitResult, format_figure, judge, parse

RELATIONS = {">": float.__gt__, ">=": float.__ge__, "<": float.__lt__, "<=": float.__le__}
relations = st.sampled_from(sorted(RELATIONS))
hundredths = st.integers(0, 10_000)
shares = st.integers(0, 9_999)  # a 1 without a unit may be meant as 1%


def judged(
    text: str, value: float | None, samples: int = 100, at_most: float | None = None, *,
    low: float | None = None, high: float | None = None,
) -> LimitResult:  # fmt: skip
    limit = parse(text)
    return judge(limit, {limit.name: Figure(limit.name, value, samples, at_most, low, high)}, 100)


@given(st.sampled_from(RATES), relations, shares, st.sampled_from(["", " "]))
def test_a_rate_in_percent_is_the_same_as_a_share(name: str, relation: str, number: int, space: str) -> None:
    percent = parse(f"{name}{space}{relation}{space}{number / 100:f}%{space}")
    share = parse(f"{name}{relation}{number / 10_000:f}")
    assert (percent.name, percent.relation) == (share.name, share.relation) == (name, relation)
    assert percent.bound == pytest.approx(number / 10_000)
    assert share.bound == pytest.approx(percent.bound)


@given(st.sampled_from(TIMES), relations, st.integers(-100_000, 100_000))
def test_a_time_in_milliseconds_is_the_same_as_in_seconds(name: str, relation: str, number: int) -> None:
    assert parse(f"{name}{relation}{number}ms").bound == pytest.approx(number / 1000)
    assert parse(f"{name}{relation}{number / 1000:.3f}s").bound == pytest.approx(number / 1000)


@given(relations, shares, hundredths, st.integers(1, 1000), st.integers(0, 1000), hundredths)
def test_a_limit_is_broken_by_the_whole_interval_at_any_count_and_kept_with_enough_samples(
    relation: str, bound: int, value: int, samples: int, wanted: int, spread: int
) -> None:
    limit = parse(f"mirror_error_rate{relation}{bound / 10_000:f}")
    low, high = (value - spread) / 10_000, (value + spread) / 10_000
    figure = Figure("mirror_error_rate", value / 10_000, samples, low=low, high=high)
    found = judge(limit, {"mirror_error_rate": figure}, wanted)
    is_true = {end: RELATIONS[relation](end, bound / 10_000) for end in (low, value / 10_000, high)}
    if all(is_true.values()):
        assert found.outcome == "broken"
    elif is_true[value / 10_000] or samples < wanted:
        assert found.outcome == "undecided"
    else:
        assert found.outcome == "ok"


@given(st.text(max_size=30))
def test_nonsense_is_told_and_nothing_else_happens(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse(text)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", '"" is not a limit; write such as diff_rate>1% or p99_delta>50ms'),
        ("diff_rate", "is not a limit"),
        ("diff_rate=1%", "is not a limit"),
        ("diff_rate>1%,p99_delta>1s", "is not a limit"),
        ("diff_rate>nan", "is not a limit"),
        ("diff_rat>1%", 'there is no figure "diff_rat"; did you mean "diff_rate"?'),
        ("weather>1%", f'there is no figure "weather"; known are {", ".join(NAMES)}'),
        ("loop_lag>1s", 'there is no figure "loop_lag"'),
        ("diff_rate>1ms", "a rate has no ms; write such as 1% or 0.01"),
        ("diff_rate>1", "write 1% or 100%"),
        ("diff_rate>5", "a rate lies between 0% and 100%; write 5%"),
        ("diff_rate>101%", "a rate lies between 0% and 100%"),
        ("diff_rate>-1%", "a rate lies between 0% and 100%"),
        ("p99_delta>50", "a time needs a unit; write such as 50ms or 50s"),
        ("p99_delta>50%", "a time has no %; write such as 50ms or 50s"),
        ("p99_delta>50min", "a time has no min; write such as 50ms or 50s"),
    ],
)
def test_what_is_wrong_with_a_limit_is_said(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=r".") as error:
        parse(text)
    assert reason in str(error.value)


def test_who_knows_another_figure_may_limit_it() -> None:
    limit = parse("loop_lag >= 20 ms", (*NAMES, LOOP_LAG))
    assert (limit.text, limit.bound) == ("loop_lag >= 20 ms", 0.02)
    assert judge(limit, {LOOP_LAG: Figure(LOOP_LAG, 0.02, 1, low=0.02)}, 1).outcome == "broken"


def test_a_difference_may_be_below_zero_and_zero_needs_no_unit() -> None:
    assert parse("p50_delta<-5ms").bound == -0.005
    assert judged("p50_delta>0", 0.001, low=0.0001).outcome == "broken"


def test_what_no_sample_tells_is_undecided_however_few_are_wanted() -> None:
    limit = parse("diff_rate>1%")
    found = judge(limit, {"diff_rate": Figure("diff_rate", None, 0)}, 0)
    assert (found.outcome, found.why) == ("undecided", "0 samples, of at least 1")


def test_a_limit_that_more_samples_might_show_to_be_broken_is_undecided() -> None:
    assert judged("diff_rate>1%", 0.005, at_most=0.009).outcome == "ok"
    found = judged("diff_rate>1%", 0.005, at_most=0.02)
    assert found.outcome == "undecided"
    assert found.why == "0.5 % of 100 samples; up to 2 % with fields that are unsure yet"
    assert judged("diff_rate>1%", 0.015, at_most=0.02, low=0.011).outcome == "broken"


def test_a_limit_that_is_exceeded_but_not_surely_says_after_how_many_samples_it_is_decided() -> None:
    found = judged("diff_rate>1%", 0.02, 1_000, low=0.005)
    assert found.outcome == "undecided"
    assert found.why == "2 % of 1,000 samples, surely at least 0.5 %; decided in about 1,250 more"
    assert judged("diff_rate>1%", 0.010001, low=0.005).why.endswith("; too close to decide")
    assert judged("p99_delta>1s", 2.0).why == "+2 s of 100 samples; too few to be sure"


def test_a_limit_that_is_exceeded_for_sure_is_broken_by_few_samples() -> None:
    found = judged("diff_rate>1%", 0.74, 46, low=0.47)
    assert (found.outcome, found.why) == ("broken", "74 % of 46 samples, surely at least 47 %")
    assert (
        judged("p50_delta<-5ms", -0.02, 46, high=-0.01).why == "-20 ms of 46 samples, surely at most -10 ms"
    )


def test_a_limit_that_is_not_exceeded_is_undecided_until_there_are_samples_enough() -> None:
    found = judged("diff_rate>1%", 0.0, 46, low=0.0)
    assert (found.outcome, found.why) == ("undecided", "0 % of 46 samples, of at least 100")


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("diff_rate", None, "-"),
        ("diff_rate", 0.0, "0 %"),
        ("diff_rate", 0.012345, "1.23 %"),
        ("mirror_error_rate", 1.0, "100 %"),
        ("p99_delta", -0.0032, "-3.2 ms"),
        ("p99_delta", 0.0, "0 ms"),
        ("mirror_p99", 12.345, "12.3 s"),
    ],
)
def test_figures_are_written_for_people(name: str, value: float | None, said: str) -> None:
    assert format_figure(name, value) == said
