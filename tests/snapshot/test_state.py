"""What outlives a snapshot, and what does not: a data plane is given another configuration while it serves."""

from __future__ import annotations

import asyncio
import gc
import weakref
from dataclasses import replace

import pytest

from mirror_proxy import control
from mirror_proxy.config.model import (
    Breaker,
    Config,
    Destination,
    HealthCheck,
    Http1,
    Mirroring,
    MirrorPolicy,
    OutlierDetection,
    Route,
    Settings,
    UpstreamTls,
)
from mirror_proxy.overrides import Override, Weights
from mirror_proxy.snapshot import state
from mirror_proxy.worker.data_plane import DataPlane
from tests.conftest import Connect, MakeOrigin, MakePlane
from tests.support.client import Client, get
from tests.support.origin import answering_after
from tests.support.plane import Plane, make_config, until
from tests.support.routes import at, clusters_of, config_of, route


async def put(served: Plane, config: Config, *overrides: Override) -> None:
    """Have `config` in force, as a worker does."""
    plane: DataPlane = served.inner
    generation = plane.snapshot.generation + 1
    await plane.prepare(generation, config.settings, map(control.part_from, control.parts_of(config)))
    await plane.commit(overrides)


def renamed(config: Config) -> Config:
    """Call the route `other`."""
    [host] = config.virtual_hosts
    routes = (replace(host.routes[0], name="other"),)
    return replace(config, virtual_hosts=(replace(host, routes=routes),))


async def ask(client: Client) -> int:
    return (await client.ask(get())).status


async def test_the_same_configuration_keeps_clusters_mirrors_and_connections(
    origin: MakeOrigin, plane: MakePlane, connect: Connect
) -> None:
    v1, v2 = await origin(), await origin()
    served = await plane(v1, v2)
    client = await connect(served)
    assert await ask(client) == 200
    await served.ended("completed")
    before = served.inner.snapshot
    await put(served, make_config(v1.port, v2.port))
    after = served.inner.snapshot
    assert after is not before
    assert after.generation == 2
    assert after.components.clusters == before.components.clusters
    assert after.components.mirrors == before.components.mirrors
    assert await ask(client) == 200
    await served.ended("completed", 2)
    assert (len(v1.visits), len(v2.visits)) == (1, 1)


async def test_a_reload_changes_what_kept_clusters_and_clients_hold_messages_to(
    origin: MakeOrigin, plane: MakePlane
) -> None:
    v1, v2 = await origin(), await origin()
    served = await plane(v1, v2)
    kept = served.inner.snapshot.components.clusters
    limits = {"max_headers": 9, "max_response_head_bytes": 2048}
    config = make_config(v1.port, v2.port, limits=limits, settings={"http1": Http1(trailers=True)})
    for settings in (config.settings, Settings(shed=config.settings.shed)):
        await put(served, replace(config, settings=settings))
        assert served.inner.snapshot.components.clusters == kept
        wanted = (
            settings.limits.max_headers,
            settings.limits.max_response_head_bytes,
            settings.http1.trailers,
        )
        assert [(one.max_headers, one.max_response_head_bytes, one.trailers) for one in kept.values()] == [
            wanted
        ] * 2
        assert served.inner._downstream.trailers == settings.http1.trailers


async def test_a_request_ends_on_the_snapshot_it_began_with(
    origin: MakeOrigin, plane: MakePlane, connect: Connect
) -> None:
    go = asyncio.Event()
    v1, v2, other = await origin(answering_after(go)), await origin(answering_after(go)), await origin()
    served = await plane(v1, v2)
    slow, quick = await connect(served), await connect(served)
    await slow.send(get())
    await until(lambda: len(v2.requests) == 1, "the shadow")
    await put(served, renamed(make_config(other.port)))
    assert await ask(quick) == 200
    assert len(other.requests) == 1
    assert served.count("mirror_in_flight", "mirror") == 1
    go.set()
    assert (await slow.response()).status == 200
    await served.ended("completed")
    assert served.count("requests_total", "r", "v1", "200") == 1
    assert served.count("requests_total", "other", "v1", "200") == 1
    await until(lambda: served.count("upstream_connections_active", "mirror") == 0, "the mirror's connection")


async def test_a_mirror_that_moves_keeps_its_counts_and_its_shadows_count_against_its_cap(
    origin: MakeOrigin, plane: MakePlane, connect: Connect
) -> None:
    go = asyncio.Event()
    v1, v2, v3 = await origin(), await origin(answering_after(go)), await origin()
    mirroring = Mirroring(max_in_flight=1)
    served = await plane(v1, v2, mirroring=mirroring)
    client = await connect(served)
    assert await ask(client) == 200
    await put(served, make_config(v1.port, v3.port, mirroring=mirroring))
    assert await ask(client) == 200
    assert served.outcomes() == {"over_in_flight": 1, "in flight": 1}
    go.set()
    await until(lambda: served.outcomes() == {"over_in_flight": 1, "completed": 1}, "the shadow")
    assert await ask(client) == 200
    await until(lambda: served.outcomes() == {"over_in_flight": 1, "completed": 2}, "one at v3")
    assert len(v3.requests) == 1


@pytest.mark.parametrize(
    ("changes", "stays_open"),
    [({}, True), ({"timeout_s": 4.0}, True), ({"breaker": Breaker(2, 60.0)}, False)],
)
async def test_an_open_breaker_stays_open_unless_its_numbers_change(
    origin: MakeOrigin, plane: MakePlane, connect: Connect, changes: dict[str, object], stays_open: bool
) -> None:
    v1, broken = await origin(), await origin(b"nonsense\r\n\r\n")
    mirroring = Mirroring(breaker=Breaker(1, 60.0))
    served = await plane(v1, broken, mirroring=mirroring)
    client = await connect(served)
    assert await ask(client) == 200
    await served.ended("protocol_error")
    changed = replace(mirroring, **changes)  # type: ignore[arg-type]  # its own fields
    await put(served, make_config(v1.port, broken.port, mirroring=changed))
    assert bool(served.count("mirror_breaker_open", "mirror")) == stays_open
    await until(lambda: not served.count("mirror_in_flight", "mirror"), "the end")


async def test_a_breaker_is_closed_for_another_server(
    origin: MakeOrigin, plane: MakePlane, connect: Connect
) -> None:
    v1, broken = await origin(), await origin(b"nonsense\r\n\r\n")
    mirroring = Mirroring(breaker=Breaker(1, 60.0))
    served = await plane(v1, broken, mirroring=mirroring)
    assert await ask(await connect(served)) == 200
    await served.ended("protocol_error")
    config = make_config(v1.port, broken.port, mirroring=mirroring)
    [primary, mirror] = config.clusters
    await put(served, replace(config, clusters=(primary, replace(mirror, tls=UpstreamTls(verify=False)))))
    assert served.count("mirror_breaker_open", "mirror") == 0


async def test_a_route_that_goes_and_comes_back_counts_on(
    origin: MakeOrigin, plane: MakePlane, connect: Connect
) -> None:
    v1 = await origin()
    served = await plane(v1)
    client = await connect(served)
    assert await ask(client) == 200
    await put(served, renamed(make_config(v1.port)))
    assert await ask(client) == 200
    assert served.count("requests_total", "r", "v1", "200") == 1
    await put(served, make_config(v1.port))
    assert await ask(client) == 200
    assert served.count("requests_total", "r", "v1", "200") == 2
    assert served.count("requests_total", "other", "v1", "200") == 1
    assert served.count("upstream_connections_total", "v1") == 1


async def test_what_is_abandoned_leaves_no_trace(
    origin: MakeOrigin, plane: MakePlane, connect: Connect
) -> None:
    v1, v2 = await origin(), await origin()
    served = await plane(v1)
    config = renamed(make_config(v1.port, v2.port))
    parts = map(control.part_from, control.parts_of(config))
    await served.inner.prepare(2, config.settings, parts)
    served.inner.abandon()
    assert await ask(await connect(served)) == 200
    assert served.inner.snapshot.generation == 1
    families = served.inner.report()
    assert not [labels for samples in families.values() for labels in samples if "other" in labels]


async def test_a_thousand_routes_are_prepared_in_slices(origin: MakeOrigin, plane: MakePlane) -> None:
    v1 = await origin()
    served = await plane(v1)
    config = make_config(v1.port)
    [host] = config.virtual_hosts
    routes = tuple(replace(host.routes[0], name=f"r{number}") for number in range(1000))
    many = replace(config, virtual_hosts=(replace(host, routes=routes),))
    preparing = asyncio.ensure_future(put(served, many))
    turns = 0
    while not preparing.done():
        await asyncio.sleep(0)
        turns += 1
    await preparing
    assert turns > 10
    assert len(served.inner.snapshot.splits) == 1000


async def test_a_mirror_s_share_changes_and_its_counts_stay(
    origin: MakeOrigin, plane: MakePlane, connect: Connect
) -> None:
    v1, v2 = await origin(), await origin()
    served = await plane(v1, v2)
    client = await connect(served)
    assert await ask(client) == 200
    await served.ended("completed")
    config = make_config(v1.port, v2.port)
    [host] = config.virtual_hosts
    route = replace(host.routes[0], mirrors=(MirrorPolicy("mirror", "mirror", numerator=0),))
    await put(served, replace(config, virtual_hosts=(replace(host, routes=(route,)),)))
    assert await ask(client) == 200
    assert served.outcomes() == {"completed": 1, "disabled": 1}


async def test_a_route_of_several_virtual_hosts_has_one_mirror(
    origin: MakeOrigin, plane: MakePlane, connect: Connect
) -> None:
    v1, v2 = await origin(), await origin()
    config = make_config(v1.port, v2.port)
    [host] = config.virtual_hosts
    hosts = (
        replace(host, name="one", domains=("one.test",)),
        replace(host, name="two", domains=("two.test",)),
    )
    served = await plane(replace(config, virtual_hosts=hosts))
    client = await connect(served)
    for name in (b"one.test", b"two.test"):
        assert (await client.ask(get(host=name))).status == 200
    await served.ended("completed", 2)


async def test_weights_that_leave_nothing_of_a_new_configuration_leave_it_as_it_is_written(
    origin: MakeOrigin, plane: MakePlane, connect: Connect
) -> None:
    v1, v2 = await origin(), await origin()
    both = clusters_of(v1=v1, v2=v2)

    def split(**weights: int) -> Config:
        return config_of(
            route("r", *(Destination(name, name, weight) for name, weight in weights.items())), clusters=both
        )

    served = await plane(split(v1=50, v2=50))
    no_v1 = Weights("r", (("v1", 0),))
    served.inner.steer((no_v1,))
    await put(served, split(v1=100, v2=0), no_v1)
    assert await ask(await connect(served)) == 200
    assert (len(v1.requests), len(v2.requests)) == (1, 0)


async def test_snapshots_that_were_replaced_are_freed(origin: MakeOrigin, plane: MakePlane) -> None:
    v1 = await origin()
    routes = (route(f"r{number}", "v1", matches=at("prefix", f"/{number}")) for number in range(500))
    many = config_of(*routes, clusters=clusters_of(v1=v1))
    served = await plane(many)
    for _ in range(2):
        await put(served, many)
    before = gc.get_freeze_count()  # a worker freezes what it has at each reload, and never looks at it again
    for _ in range(4):
        await put(served, many)
    assert gc.get_freeze_count() < before + 500


async def test_a_cluster_that_was_replaced_is_freed(origin: MakeOrigin, plane: MakePlane) -> None:
    v1 = await origin()
    watched = {"outlier": OutlierDetection(), "health_check": HealthCheck()}
    served = await plane(v1, cluster=watched)
    replaced = weakref.ref(served.inner.snapshot.components.clusters["v1"])
    gc.freeze()
    for verify in (False, True, False):
        tls = UpstreamTls(verify=verify)
        await put(served, make_config(v1.port, cluster={**watched, "tls": tls}))
    assert replaced() is None


async def test_of_routes_that_are_gone_the_last_ones_keep_their_counts_and_so_does_one_with_a_shadow(
    origin: MakeOrigin, plane: MakePlane, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    go = asyncio.Event()
    monkeypatch.setattr(state, "MOST_GONE", 2)
    v1, v2 = await origin(), await origin(answering_after(go))

    def config(number: int) -> Config:
        mirror = MirrorPolicy(f"r{number}/m", "m")
        routes = Route(f"r{number}", (Destination("d", f"c{number}"),), (mirror,) if number == 1 else ())
        return config_of(routes, clusters=clusters_of(**{f"c{number}": v1, "m": v2}))

    served = await plane(config(0))
    client = await connect(served)
    assert await ask(client) == 200
    for number in range(1, 6):
        await put(served, config(number))
        assert await ask(client) == 200
    assert {route for route, _, _ in served.inner.report()["requests_total"]} == {"r1", "r3", "r4", "r5"}
    assert served.count("mirror_in_flight", "r1/m") == 1
    clusters = {name for (name,) in served.inner.report()["upstream_connections_total"]}
    assert clusters == {"c3", "c4", "c5", "m"}
    go.set()
    await served.ended("completed", mirror="r1/m")
    await put(served, config(6))
    assert {route for route, _, _ in served.inner.report()["requests_total"]} == {"r4", "r5"}
    assert served.outcomes("r1/m") == {}
