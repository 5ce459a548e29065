from __future__ import annotations

import pytest

from mirror_proxy.comparison.diff.totals import Key, Totals
from mirror_proxy.comparison.report import hints


def of(counts: dict[Key, int]) -> tuple[str, ...]:
    return hints.of_mirror(Totals({("compared", "shop", "v2", "GET /"): 100, **counts}), "v2")


def test_a_second_v1_with_other_data_yields_a_hint() -> None:
    [hint] = of(
        {
            ("noise_compared", "shop", "GET /"): 60,
            ("noise_compared", "shop", "GET /a"): 40,
            ("noise_field", "shop", "GET /", "status 200 -> 404", "value"): 55,
            ("noise_field", "shop", "GET /", "$.now", "value"): 60,
        }
    )
    assert hint.startswith("The baseline of route shop has another status than v1 in 55 % of 100 pairs")


def test_a_second_v1_whose_statuses_differ_now_and_then_is_none_with_other_data() -> None:
    counts: dict[Key, int] = {
        ("noise_compared", "shop", "GET /"): 100,
        ("noise_field", "shop", "GET /", "status 200 -> 404", "value"): 15,
    }
    assert of(counts) == ()
    few = dict.fromkeys(counts, 5)
    assert of(few) == ()


@pytest.mark.parametrize(
    ("status", "cause"),
    [("403", "AWS SigV4"), ("401", "credentials"), ("421", "a Host that it does not serve")],
)
def test_a_mirror_that_refuses_nearly_all_shadows_gets_a_hint_why(status: str, cause: str) -> None:
    [hint] = of({("status_pair", "v2", "200", status): 90, ("status_pair", "v2", "200", "200"): 10})
    assert hint.startswith(f"v2 refuses 90 % of the requests that v1 serves, mostly with {status}.")
    assert cause in hint


def test_refusals_that_v1_shares_or_that_are_few_are_no_hint() -> None:
    assert of({("status_pair", "v2", "403", "403"): 90, ("status_pair", "v2", "200", "200"): 10}) == ()
    assert of({("status_pair", "v2", "200", "403"): 50, ("status_pair", "v2", "200", "200"): 50}) == ()
    assert of({("status_pair", "v2", "200", "403"): 10}) == ()
    assert of({("status_pair", "v2", "200", "500"): 90}) == ()


def test_a_mirror_that_sends_no_response_to_some_shadows_gets_a_hint_with_the_outcomes() -> None:
    [hint] = of(
        {
            ("outcome", "shop", "v2", "completed"): 380,
            ("outcome", "shop", "v2", "reset"): 16,
            ("outcome", "pay", "v2", "timeout"): 4,
            ("outcome", "shop", "v2", "shed"): 63,
            ("outcome", "shop", "v3", "reset"): 900,
        }
    )
    assert hint.startswith("v2 sent no response to 5 % of 400 shadow requests (reset 16, timeout 4).")
    assert "not compared" in hint


@pytest.mark.parametrize(("completed", "reset"), [(10, 4), (9_900, 100), (400, 0)])
def test_few_shadows_without_a_response_are_no_hint(completed: int, reset: int) -> None:
    outcomes = {"completed": completed, "reset": reset, "over_in_flight": 500}
    assert of({("outcome", "shop", "v2", outcome): number for outcome, number in outcomes.items()}) == ()


def test_a_mirror_that_did_not_get_all_writes_gets_a_hint_that_its_data_may_differ() -> None:
    counts: dict[Key, int] = {
        ("outcome", "shop", "v2", "completed"): 300,
        ("outcome", "shop", "v2", "shed"): 80,
        ("outcome", "shop", "v2", "breaker_open"): 20,
        ("outcome", "shop", "v2", "not_sampled"): 600,
    }
    assert of(counts) == ()
    assert of({**counts, ("compared", "shop", "v3", "PUT /a"): 5}) == ()
    [hint] = of({**counts, ("compared", "shop", "v2", "PUT /a"): 5})
    assert hint.startswith("v2 did not get 25 % of 400 requests (shed 80, breaker_open 20).")
    few: dict[Key, int] = {
        **counts,
        ("outcome", "shop", "v2", "shed"): 2,
        ("outcome", "shop", "v2", "breaker_open"): 1,
    }
    assert of({**few, ("compared", "shop", "v2", "PUT /a"): 5}) == ()
