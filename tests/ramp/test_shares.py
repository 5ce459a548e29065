"""The weights of one step of a canary."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mirror_proxy.ramp.shares import shares


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
