"""Mirrors steered while requests come: each request counts as what held when it began."""

from __future__ import annotations

from dataclasses import replace

from mirror_proxy.config.model import Config, MirrorPolicy
from mirror_proxy.overrides import ALL_MIRRORS, Override, Pause, Percent
from tests.conftest import Connect, MakeOrigin, MakePlane
from tests.support.client import Client, get
from tests.support.origin import Origin
from tests.support.plane import Plane, local_cluster, make_config


def config_of(v1: Origin, v2: Origin, *mirrors: MirrorPolicy) -> Config:
    config = make_config(v1.port, *mirrors)
    return replace(config, clusters=(*config.clusters, local_cluster("v2", v2.port)))


async def ask(client: Client, count: int) -> None:
    for _ in range(count):
        assert (await client.ask(get())).status == 200


async def put(served: Plane, config: Config, *overrides: Override) -> None:
    """Put another configuration into force, as a reload does."""
    parts = [(config.clusters, config.virtual_hosts)]
    await served.inner.prepare(served.inner.snapshot.generation + 1, config.settings, parts)
    await served.inner.commit(overrides)


async def test_a_percent_takes_the_place_of_the_file_s_until_it_is_taken_back(
    origin: MakeOrigin, plane: MakePlane, connect: Connect
) -> None:
    v1, v2 = await origin(), await origin()
    served = await plane(config_of(v1, v2, MirrorPolicy("m", "v2", numerator=0)))
    client = await connect(served)
    await ask(client, 2)
    served.inner.steer((Percent("m", 100),))
    assert served.count("mirror_percent", "m") == 100
    await ask(client, 3)
    served.inner.steer(())
    assert served.count("mirror_percent", "m") == 0
    await ask(client, 4)
    await served.ended_as("m", completed=3, disabled=6)


async def test_a_mirror_of_0_percent_counts_as_disabled(
    origin: MakeOrigin, plane: MakePlane, connect: Connect
) -> None:
    v1, v2 = await origin(), await origin()
    served = await plane(config_of(v1, v2, MirrorPolicy("m", "v2")))
    served.inner.steer((Percent("m", 0),))
    await ask(await connect(served), 3)
    await served.ended_as("m", disabled=3)


async def test_a_mirror_that_is_paused_gets_nothing_and_the_others_do(
    origin: MakeOrigin, plane: MakePlane, connect: Connect
) -> None:
    v1, v2 = await origin(), await origin()
    served = await plane(config_of(v1, v2, MirrorPolicy("one", "v2"), MirrorPolicy("other", "v2")))
    client = await connect(served)
    served.inner.steer((Pause("one"),))
    await ask(client, 3)
    assert [served.count("mirror_paused", name) for name in ("one", "other")] == [1, 0]
    served.inner.steer(())
    await ask(client, 2)
    await served.ended_as("one", paused=3, completed=2)
    await served.ended_as("other", completed=5)


async def test_the_kill_switch_stops_every_mirror_those_that_make_noise_and_those_a_reload_adds(
    origin: MakeOrigin, plane: MakePlane, connect: Connect
) -> None:
    v1, v2 = await origin(), await origin()
    mirrors = (MirrorPolicy("one", "v2"), MirrorPolicy("r/secondary", "v2", role="secondary"))
    served = await plane(config_of(v1, v2, *mirrors))
    client = await connect(served)
    served.inner.steer((Pause(ALL_MIRRORS),))
    await ask(client, 2)
    more = config_of(v1, v2, *mirrors, MirrorPolicy("new", "v2"))
    await put(served, more, Pause(ALL_MIRRORS))
    await ask(client, 3)
    assert [served.count("mirror_paused", name) for name in ("one", "r/secondary", "new")] == [1, 1, 1]
    assert [served.outcomes(name) for name in ("one", "r/secondary", "new")] == [
        {"paused": 5},
        {"paused": 5},
        {"paused": 3},
    ]
    assert not v2.visits


async def test_a_reload_leaves_a_mirror_as_it_is_steered_whether_it_stays_or_is_made_anew(
    origin: MakeOrigin, plane: MakePlane, connect: Connect
) -> None:
    v1, v2 = await origin(), await origin()
    served = await plane(config_of(v1, v2, MirrorPolicy("m", "v2", numerator=0)))
    client = await connect(served)
    served.inner.steer((Percent("m", 100),))
    for share in (0, 1):
        await put(served, config_of(v1, v2, MirrorPolicy("m", "v2", numerator=share)), Percent("m", 100))
        await ask(client, 5)
    await served.ended_as("m", completed=10)
    await put(served, config_of(v1, v2, MirrorPolicy("m", "v2", numerator=0)))
    await ask(client, 2)
    await served.ended_as("m", completed=10, disabled=2)


async def test_a_mirror_that_is_configured_no_more_has_no_percent(
    origin: MakeOrigin, plane: MakePlane
) -> None:
    v1, v2 = await origin(), await origin()
    repeat = MirrorPolicy("r/repeat", "v2", role="repeat")
    served = await plane(config_of(v1, v2, MirrorPolicy("m", "v2", 5, 1000), repeat))
    report = served.inner.report()
    assert report["mirror_percent"] == {("m",): 0.5}
    assert report["mirror_paused"] == {("m",): 0, ("r/repeat",): 0}
    await put(served, config_of(v1, v2))
    report = served.inner.report()
    assert (report.get("mirror_percent", {}), report.get("mirror_paused", {})) == ({}, {})
    assert served.inner.mirrors() == []
