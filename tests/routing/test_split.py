"""Weights: intervals in the order of the document, exact for a fixed sequence of draws."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import pytest

from mirror_proxy.routing.split import Split


@dataclass
class One:
    name: str


def split(**weights: int) -> Split[One]:
    return Split([One(name) for name in weights], list(weights.values()))


def chosen(made: Split[One], draws: range) -> list[str]:
    return [made.choose(draw).name for draw in draws]


def test_intervals_follow_the_document() -> None:
    assert chosen(split(v1=2, v2=1, v3=3), range(7)) == ["v1", "v1", "v2", "v3", "v3", "v3", "v1"]


def test_shares_are_exact_over_every_remainder() -> None:
    made = split(v1=95, v2=5)
    assert Counter(chosen(made, range(10_000))) == {"v1": 9500, "v2": 500}
    assert made.choose((1 << 64) - 1).name == "v1"


def test_weights_need_not_add_up_to_100() -> None:
    assert Counter(chosen(split(v1=1, v2=2), range(300))) == {"v1": 100, "v2": 200}


def test_a_destination_of_weight_0_gets_nothing() -> None:
    made = split(v1=0, v2=3, v3=0)
    assert set(chosen(made, range(10))) == {"v2"}


@pytest.mark.parametrize("weight", [0, 1, 37])
def test_a_single_destination_gets_everything_whatever_its_weight(weight: int) -> None:
    assert set(chosen(split(v1=weight), range(10))) == {"v1"}


def test_weights_that_are_all_0_are_refused_and_change_nothing() -> None:
    with pytest.raises(ValueError, match="total destination weight = 0"):
        split(v1=0, v2=0)
    made = split(v1=1, v2=0)
    with pytest.raises(ValueError, match="total destination weight = 0"):
        made.set_weights({"v1": 0})
    assert (made.weights, made.choose(0).name) == ((1, 0), "v1")


def test_weights_change_at_once_and_a_name_that_is_left_out_has_its_first_again() -> None:
    made = split(v1=100, v2=0)
    made.set_weights({"v1": 100, "v2": 100})
    assert Counter(chosen(made, range(200))) == {"v1": 100, "v2": 100}
    made.set_weights({"v1": 0, "v2": 100})
    assert set(chosen(made, range(200))) == {"v2"}
    assert made.weights == (0, 100)
    made.set_weights({})
    assert set(chosen(made, range(200))) == {"v1"}
