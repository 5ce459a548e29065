"""The plan of a ramp, as it is read."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mirror_proxy.ramp.plan import key_of, read, shares
from mirror_proxy.ramp.target import CanaryTarget, MirrorTarget

MIRROR = {"mirror": "m"}
CANARY = {"route": "shop", "destination": "shop/v2"}


def test_a_mirror_alone_gets_the_usual_steps_guards_and_patience() -> None:
    plan = read(MIRROR)
    assert plan.target == MirrorTarget("m")
    assert plan.steps == (1, 5, 25, 100)
    assert plan.every_s == 600
    assert [guard.limit.text for guard in plan.guards] == ["mirror_error_rate>5%", "loop_lag>250ms"]
    assert plan.min_samples == 100
    assert plan.on_fail == "rollback"


def test_a_canary_is_guarded_by_what_clients_get_from_it() -> None:
    plan = read(CANARY)
    assert plan.target == CanaryTarget("shop", "shop/v2")
    assert [guard.limit.text for guard in plan.guards] == ["primary_error_rate>5%", "loop_lag>250ms"]


def test_what_is_said_is_taken() -> None:
    said = {
        "steps": [0.5, 50],
        "every": "1m30s",
        "guards": ["diff_rate>1%"],
        "min_samples": 7,
        "on_fail": "hold",
    }
    plan = read({**MIRROR, **said})
    assert plan.steps == (0.5, 50)
    assert plan.every_s == 90
    assert plan.min_samples == 7
    assert plan.on_fail == "hold"


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({}, "a ramp is of a mirror, or of a route and its destination, each by name"),
        ({"mirror": 1}, "a ramp is of a mirror"),
        ({"route": "shop"}, "a ramp is of a mirror"),
        ({**MIRROR, **CANARY}, "a ramp is of a mirror"),
        ({**MIRROR, "steps": []}, "steps must be a list of 1 to 100 percents"),
        ({**MIRROR, "steps": 5}, "steps must be a list of 1 to 100 percents"),
        ({**MIRROR, "steps": [1] * 101}, "steps must be a list of 1 to 100 percents"),
        ({**MIRROR, "steps": ["5"]}, "each step must be a number above 0 and up to 100"),
        ({**MIRROR, "steps": [True]}, "each step must be a number above 0 and up to 100"),
        ({**MIRROR, "steps": [0, 5]}, "each step must be a number above 0 and up to 100"),
        ({**MIRROR, "steps": [101]}, "each step must be a number above 0 and up to 100"),
        ({**MIRROR, "steps": [float("nan")]}, "each step must be a number above 0 and up to 100"),
        ({**MIRROR, "steps": [5, 5]}, "each step must be more than the one before it"),
        ({**MIRROR, "steps": [25, 5]}, "each step must be more than the one before it"),
        ({**MIRROR, "steps": [0.00001]}, "1e-05 is no multiple of 0.0001, the finest step there is"),
        ({**CANARY, "steps": [0.5]}, "0.5 is no multiple of 1, the finest step there is"),
        ({**MIRROR, "every": 5}, "every must be a duration of more than 0, such as 10m"),
        ({**MIRROR, "every": "0s"}, "every must be a duration of more than 0, such as 10m"),
        ({**MIRROR, "every": "5"}, 'every: "5" is not a duration; write 5s'),
        ({**MIRROR, "guards": "diff_rate>1%"}, "guards must be a list of limits"),
        ({**MIRROR, "guards": [1]}, "guards must be a list of limits"),
        ({**MIRROR, "guards": ["nonsense"]}, '"nonsense" is not a limit'),
        ({**MIRROR, "min_samples": 0}, "min_samples must be a whole number from 1"),
        ({**MIRROR, "min_samples": True}, "min_samples must be a whole number from 1"),
        ({**MIRROR, "min_samples": 1.5}, "min_samples must be a whole number from 1"),
        ({**MIRROR, "on_fail": "abort"}, "on_fail must be one of rollback, hold"),
        ({**MIRROR, "on_fail": []}, "on_fail must be one of rollback, hold"),
    ],
)
def test_nonsense_is_refused_with_a_reason(body: dict[str, object], reason: str) -> None:
    with pytest.raises(ValueError, match=re.escape(reason)):
        read(body)


def test_a_ramp_is_known_by_its_mirror_or_by_its_route() -> None:
    assert key_of("m", None) == MirrorTarget("m").key
    assert key_of(None, "shop") == CanaryTarget("shop", "shop/v2").key
    for neither in ((None, None), ("m", "shop"), (1, None)):
        with pytest.raises(ValueError, match="say whose ramp"):
            key_of(*neither)


@pytest.mark.parametrize(
    ("weights", "percent", "expected"),
    [
        ({"v1": 100, "v2": 0}, 5, {"v1": 95, "v2": 5}),
        ({"v1": 100, "v2": 0}, 100, {"v1": 0, "v2": 100}),
        ({"v1": 3, "v3": 1, "v2": 7}, 20, {"v1": 60, "v3": 20, "v2": 20}),
        ({"v1": 1, "v3": 1, "v4": 1, "v2": 0}, 1, {"v1": 33, "v3": 33, "v4": 33, "v2": 1}),
        ({"v1": 1, "v3": 1, "v2": 0}, 1, {"v1": 50, "v3": 49, "v2": 1}),
        ({"v1": 2, "v3": 1, "v2": 0}, 50, {"v1": 33, "v3": 17, "v2": 50}),
        ({"v1": 1, "v3": 0, "v2": 0}, 25, {"v1": 75, "v3": 0, "v2": 25}),
        ({"v2": 1}, 100, {"v2": 100}),
        ({"v1": 0, "v2": 1}, 100, {"v1": 0, "v2": 100}),
    ],
)
def test_the_others_share_the_rest_in_proportion_to_their_weights(
    weights: dict[str, int], percent: int, expected: dict[str, int]
) -> None:
    assert shares(weights, "v2", percent) == expected


@pytest.mark.parametrize("weights", [{"v2": 1}, {"v1": 0, "v2": 1}])
def test_a_rest_that_nobody_could_have_is_refused(weights: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="no destination but v2 has a weight"):
        shares(weights, "v2", 25)


@given(st.dictionaries(st.sampled_from("abcdef"), st.integers(0, 10**6), min_size=1), st.integers(1, 100))
def test_shares_are_whole_add_up_to_100_and_are_at_most_one_off(others: dict[str, int], percent: int) -> None:
    others["a"] = others.get("a", 0) + 1
    made = shares({**others, "v2": 3}, "v2", percent)
    assert sum(made.values()) == 100
    assert made["v2"] == percent
    for name, weight in others.items():
        exact = weight * (100 - percent) / sum(others.values())
        assert abs(made[name] - exact) < 1
