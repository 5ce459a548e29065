"""Overrides: one for each key, for as long as was asked."""

from __future__ import annotations

import pickle

from mirror_proxy.overrides import ALL_MIRRORS, Pause, Percent, Runtime, Weights

SHOP, CART = Weights("shop", (("v1", 0), ("v2", 1))), Weights("cart", (("v1", 5),))


def test_there_is_one_override_for_each_key() -> None:
    runtime = Runtime()
    for override in (Weights("shop", (("v1", 1),)), CART, SHOP):
        runtime.set(override, None)
    assert runtime.overrides == (SHOP, CART)
    assert runtime.weights_of("shop") == {"v1": 0, "v2": 1}
    assert runtime.weights_of("rest") == {}


def test_overrides_end_at_their_time_and_the_others_stay() -> None:
    runtime = Runtime()
    runtime.set(SHOP, 10.0)
    runtime.set(CART, None)
    ends = [runtime.next_end, runtime.ends_at(SHOP.key), runtime.ends_at(CART.key)]
    assert ends == [10.0, 10.0, None]
    assert runtime.ended(9.9) == []
    assert runtime.ended(10.0) == [SHOP]
    runtime.drop([SHOP])
    assert runtime.overrides == (CART,)
    assert runtime.next_end is None


def test_a_later_override_takes_the_time_of_the_earlier_too() -> None:
    runtime = Runtime()
    runtime.set(SHOP, 10.0)
    runtime.set(SHOP, None)
    assert runtime.next_end is None


def test_a_mirror_s_percent_and_its_pause_are_overrides_of_their_own() -> None:
    runtime = Runtime()
    made = (Percent("shop", 5), Percent("shop", 2.5), Pause("shop"), Pause(ALL_MIRRORS), SHOP)
    for override in made:
        runtime.set(override, None)
    assert runtime.overrides == made[1:]
    assert (runtime.percent_of("shop"), runtime.percent_of("cart")) == (2.5, None)
    runtime.drop([Pause("shop")])
    assert [runtime.has(pause) for pause in (Pause("shop"), Pause(ALL_MIRRORS))] == [False, True]
    assert runtime.percent_of("shop") == 2.5


def test_overrides_travel_to_workers() -> None:
    for override in (SHOP, Percent("shop", 0.5), Pause(ALL_MIRRORS)):
        assert pickle.loads(pickle.dumps(override)) == override
