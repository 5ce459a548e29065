"""What a ramp moves, and gives back; over real overrides, without workers."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from mirror_proxy.config.model import Config, Destination, MirrorPolicy, Route, Settings, VirtualHost
from mirror_proxy.errors import RefusedError
from mirror_proxy.overrides import ALL_MIRRORS, Runtime
from mirror_proxy.ramp.override import OverrideSetter
from mirror_proxy.ramp.plan import read
from mirror_proxy.supervisor.steering import Steering

DESTINATIONS = (
    Destination("shop/v1", "c", 3),
    Destination("shop/v2", "c", 0),
    Destination("shop/v3", "c", 1),
)
ROUTE = Route("shop", DESTINATIONS, (MirrorPolicy("m", "c", 0),))


def config(*routes: Route) -> Config:
    return Config(Settings(), (), (VirtualHost("v", ("*",), routes),))


class SteeredTarget:
    """A setter for a mirror or for a canary of one route, and the overrides it moves."""

    def __init__(self, *routes: Route, **target: Any) -> None:
        self.runtime = Runtime()
        self.reload(*(routes or (ROUTE,)))
        self.steering = Steering(self.runtime, lambda: self.config, self.apply)
        self._target = target

    async def apply(self) -> None:
        """Return at once: there are no workers."""

    def reload(self, *routes: Route) -> None:
        self.config = config(*routes)

    def setter(self) -> OverrideSetter:
        return OverrideSetter(read(self._target), self.steering, lambda: self.config)


def canary(*routes: Route) -> SteeredTarget:
    return SteeredTarget(*routes, route="shop", destination="shop/v2")


async def test_a_mirror_s_percent_is_moved_and_given_back() -> None:
    target = SteeredTarget(mirror="m")
    setter = target.setter()
    for percent in (1, 5):
        await setter.move(percent)
        assert target.runtime.percent_of("m") == percent
        assert setter.lost() == ""
    await setter.restore()
    assert target.runtime.percent_of("m") is None


async def test_what_was_set_before_is_given_back_with_its_end() -> None:
    target = SteeredTarget(mirror="m", steps=[10, 50])
    await target.steering.set_mirror("m", 7, None, 100.0)
    until = target.runtime.ends_at(("percent", "m"))
    setter = target.setter()
    await setter.move(50)
    assert target.runtime.ends_at(("percent", "m")) is None
    await setter.restore()
    assert target.runtime.percent_of("m") == 7
    assert target.runtime.ends_at(("percent", "m")) == until


async def test_what_was_set_before_is_not_given_back_when_its_time_is_over() -> None:
    target = SteeredTarget(mirror="m", steps=[10, 50])
    await target.steering.set_mirror("m", 7, None, -1.0)
    setter = target.setter()
    await setter.move(50)
    await setter.restore()
    assert target.runtime.percent_of("m") is None


@pytest.mark.parametrize("ttl_s", [100.0, -1.0])
async def test_going_back_never_gives_more_than_there_was(ttl_s: float) -> None:
    target = SteeredTarget(replace(ROUTE, mirrors=(MirrorPolicy("m", "c", 100),)), mirror="m", steps=[10, 50])
    await target.steering.set_mirror("m", 7, None, ttl_s)
    setter = target.setter()
    await setter.move(50)
    told = await setter.restore()
    assert target.runtime.percent_of("m") == 7
    is_over = ttl_s < 0
    assert told == (
        "stays at 7 % until the proxy is restarted: the files would give it 100 %" if is_over else ""
    )
    assert (target.runtime.ends_at(("percent", "m")) is None) == is_over


async def test_a_reload_that_raises_the_file_s_share_does_not_raise_what_going_back_gives() -> None:
    mirror, split = SteeredTarget(mirror="m"), canary()
    for target in (mirror, split):
        setter = target.setter()
        await setter.move(5)
        raised = (*DESTINATIONS[:1], replace(DESTINATIONS[1], weight=9), *DESTINATIONS[2:])
        target.reload(replace(ROUTE, destinations=raised, mirrors=(MirrorPolicy("m", "c", 25),)))
        assert setter.lost() == ""
        assert (await setter.restore()).startswith(
            "stays at 0 % until the proxy is restarted: the files would"
        )
    assert mirror.runtime.percent_of("m") == 0
    assert split.runtime.weights_of("shop") == {"shop/v1": 3, "shop/v2": 0, "shop/v3": 1}


async def test_a_lever_that_has_not_moved_gives_nothing_back() -> None:
    target = SteeredTarget(mirror="m")
    setter = target.setter()
    assert setter.lost() == ""
    await target.steering.set_mirror("m", 7, None, None)
    assert setter.lost() == "the percent of m changed before the first step"
    await setter.restore()
    assert target.runtime.percent_of("m") == 7


async def test_a_canary_s_weights_leave_the_others_their_proportion_of_the_file_s() -> None:
    target = canary()
    setter = target.setter()
    await setter.move(20)
    assert target.runtime.weights_of("shop") == {"shop/v1": 60, "shop/v2": 20, "shop/v3": 20}
    target.reload(replace(ROUTE, destinations=(*DESTINATIONS[:2], replace(DESTINATIONS[2], weight=3))))
    assert setter.lost() == ""
    await setter.move(50)
    assert target.runtime.weights_of("shop") == {"shop/v1": 25, "shop/v2": 50, "shop/v3": 25}
    await setter.restore()
    assert target.runtime.weights_of("shop") == {}


async def test_the_same_value_set_by_hand_is_not_the_ramp_s_any_more() -> None:
    target = SteeredTarget(mirror="m")
    setter = target.setter()
    await setter.move(5)
    await target.steering.set_mirror("m", 5, None, None)
    assert setter.lost() == "the percent of m changed by hand"


async def test_all_mirrors_paused_is_a_pause_and_one_paused_by_name_is_a_loss() -> None:
    target = SteeredTarget(mirror="m")
    setter = target.setter()
    await setter.move(5)
    await target.steering.set_mirror(ALL_MIRRORS, None, True, None)
    assert (setter.lost(), setter.paused()) == ("", "all mirrors are paused")
    await target.steering.set_mirror(ALL_MIRRORS, None, False, None)
    await target.steering.set_mirror("m", None, True, None)
    assert (setter.lost(), setter.paused()) == ("m is paused by hand", "")
    with pytest.raises(RefusedError, match="m is paused; resume it first"):
        target.setter()


async def test_a_canary_does_not_care_about_paused_mirrors() -> None:
    target = canary()
    setter = target.setter()
    await target.steering.set_mirror(ALL_MIRRORS, None, True, None)
    assert (setter.lost(), setter.paused()) == ("", "")


@pytest.mark.parametrize(
    ("routes", "reason"),
    [
        ((), "shop shop/v2 is configured no more"),
        ((replace(ROUTE, destinations=DESTINATIONS[:1]),), "shop shop/v2 is configured no more"),
        ((replace(ROUTE, destinations=DESTINATIONS[:2]),), "the route shop has other destinations now"),
    ],
)
async def test_a_reload_that_changes_what_a_canary_is_part_of_is_a_loss(
    routes: tuple[Route, ...], reason: str
) -> None:
    target = canary()
    setter = target.setter()
    await setter.move(5)
    target.reload(*routes)
    assert setter.lost() == reason


@pytest.mark.parametrize(
    ("routes", "reason"),
    [
        ((Route("other"),), 'there is no route "shop"'),
        ((replace(ROUTE, destinations=DESTINATIONS[:1]),), 'has no destination "shop/v2"; did you mean'),
        ((replace(ROUTE, destinations=DESTINATIONS[1:2]),), "no destination but shop/v2 has a weight"),
        ((replace(ROUTE, destinations=DESTINATIONS[:2] * 2),), "has a destination with more than one weight"),
        ((ROUTE, replace(ROUTE, destinations=(Destination("shop/v2", "c", 9),))), "more than one weight"),
    ],
)
async def test_a_canary_that_cannot_be_is_refused(routes: tuple[Route, ...], reason: str) -> None:
    with pytest.raises(RefusedError, match=reason):
        canary(*routes).setter()


async def test_routes_of_one_name_that_are_alike_are_one() -> None:
    target = canary(ROUTE, ROUTE)
    await target.setter().move(100)
    assert target.runtime.weights_of("shop") == {"shop/v1": 0, "shop/v2": 100, "shop/v3": 0}


async def test_one_that_has_more_than_the_first_step_is_refused_for_going_back_would_send_it_more() -> None:
    target = SteeredTarget(mirror="m", steps=[7, 50])
    await target.steering.set_mirror("m", 7, None, None)
    target.setter()
    await target.steering.set_mirror("m", 7.5, None, None)
    with pytest.raises(RefusedError, match=r"m has 7\.5 % already, .* first: mirror-proxy ctl percent m 7$"):
        target.setter()
    full = SteeredTarget(replace(ROUTE, mirrors=(MirrorPolicy("m", "c", 100),)), mirror="m")
    with pytest.raises(RefusedError, match="m has 100 % already"):
        full.setter()


async def test_a_canary_s_share_is_of_the_weights_that_are_in_force() -> None:
    target = canary()
    await target.steering.set_weights("shop", {"shop/v2": 4}, None)
    with pytest.raises(RefusedError, match=r"shop shop/v2 has 50 % already, .* weights shop shop/v2=0$"):
        target.setter()
    await target.steering.set_weights("shop", {"shop/v1": 0, "shop/v2": 0}, None)
    target.setter()
