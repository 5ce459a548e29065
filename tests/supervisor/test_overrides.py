"""Overrides as configurations go by, of as many routes and mirrors as there may be."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from mirror_proxy.config.model import Config, Destination, MirrorPolicy, Route, Settings, VirtualHost
from mirror_proxy.overrides import ALL_MIRRORS, Override, Pause, Percent, Runtime, Weights
from mirror_proxy.supervisor.steering import Steering


class Walked(tuple[Route, ...]):
    """Routes that count how often they are walked through."""

    __slots__ = ()
    walks = 0

    def __iter__(self) -> Iterator[Route]:
        Walked.walks += 1
        return super().__iter__()


@pytest.mark.slow
async def test_a_reload_keeps_the_overrides_that_hold_and_walks_the_routes_once_for_all_of_them() -> None:
    routes = Walked(
        Route(f"r{n}", (Destination("v1", "c"), Destination("v2", "c")), (MirrorPolicy(f"m{n}", "c", 1, 1),))
        for n in range(500)
    )
    runtime = Runtime()
    config = Config(Settings(), (), (VirtualHost("v", ("*",), routes),))

    async def apply() -> None:
        """Return at once: there are no workers."""

    steering = Steering(runtime, lambda: config, apply)
    kept: list[Override] = [
        Pause(ALL_MIRRORS),
        *(Pause(f"m{n}") for n in range(500)),
        Percent("m3", 5),
        Weights("r1", (("v1", 0),)),
    ]
    lost: list[Override] = [
        Pause("gone"),
        Percent("gone", 5),
        Weights("r2", (("v3", 1),)),
        Weights("r3", (("v1", 0), ("v2", 0))),
    ]
    for override in (*kept, *lost):
        runtime.set(override, None)
    Walked.walks = 0
    await steering.drop_stale()
    assert list(runtime.overrides) == kept
    assert Walked.walks <= 3
