"""Names: asked in the background of a real name server, kept when it fails, and no name delays another."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from typing import Any

import pytest

from mirror_proxy.config.model import Address, Cluster, Endpoint, RetryPolicy
from mirror_proxy.upstream import lookup, resolver
from tests.conftest import Connect, MakeOrigin, MakePlane
from tests.support.client import get
from tests.support.nameserver import AAAA, A, NameServer
from tests.support.plane import Plane, cluster_at, free_port, make_config, until


@pytest.fixture
async def names(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[NameServer]:
    """Have the resolver ask a name server of the test's own, and often."""
    server = await NameServer().start()
    server.serve(monkeypatch)
    monkeypatch.setattr(lookup, "CHANNEL_S", 0.01)
    monkeypatch.setattr(resolver, "REFRESH_S", 0.02)
    monkeypatch.setattr(resolver, "_RETRY_S", 0.02)
    yield server
    server.close()


def named(name: str, port: int) -> Cluster:
    return cluster_at(name, Address(f"{name}.test", port), connect_timeout_s=2.0)


async def test_a_name_that_resolves_later_is_served_then(
    origin: MakeOrigin,
    plane: MakePlane,
    connect: Connect,
    names: NameServer,
    caplog: pytest.LogCaptureFixture,
) -> None:
    v1, v2 = await origin(), await origin()
    names.names["v1.test"] = ["127.0.0.1"]
    with caplog.at_level(logging.INFO):
        served = await plane(make_config(named("v1", v1.port), named("mirror", v2.port)))
        client = await connect(served)
        assert (await client.ask(get())).status == 200
        assert served.outcomes() == {"no_endpoint": 1}
        names.names["mirror.test"] = ["127.0.0.1"]
        await until(lambda: served.count("upstream_endpoints", "mirror") == 1, "the name to resolve")
        await client.ask(get())
        await until(lambda: served.outcomes() == {"no_endpoint": 1, "completed": 1}, "the copy")
    assert served.count("upstream_resolve_failures_total", "mirror") >= 1
    said = [record.getMessage() for record in caplog.records if "mirror.test" in record.getMessage()]
    assert len(said) == 2  # that it does not, and that it does
    assert said[1] == "host resolves now host=mirror.test"


async def test_the_last_good_addresses_stay_when_a_name_is_lost(
    origin: MakeOrigin, plane: MakePlane, connect: Connect, names: NameServer
) -> None:
    v1 = await origin()
    names.names["v1.test"] = ["127.0.0.1"]
    served = await plane(make_config(named("v1", v1.port)))
    names.names.clear()
    await until(lambda: served.count("upstream_resolve_failures_total", "v1"), "the loss")
    assert (await (await connect(served)).ask(get())).status == 200


async def test_a_name_that_moves_takes_its_requests_along(
    origin: MakeOrigin, plane: MakePlane, connect: Connect, names: NameServer
) -> None:
    before = await origin(host="127.0.0.2")
    after = await origin(host="127.0.0.3", port=before.port)
    names.names["v1.test"] = ["127.0.0.2"]
    served = await plane(make_config(named("v1", before.port)))
    client = await connect(served)
    await client.ask(get())
    names.names["v1.test"] = ["127.0.0.3"]
    await until(lambda: not before.open, "the idle connection to the old address to be closed")
    await client.ask(get())
    assert (len(before.requests), len(after.requests)) == (1, 1)


async def test_several_addresses_share_the_work_and_a_dead_one_is_avoided(
    origin: MakeOrigin, plane: MakePlane, connect: Connect, names: NameServer
) -> None:
    alive = await origin(host="127.0.0.2")
    also = await origin(host="127.0.0.3", port=alive.port)
    names.names["v1.test"] = ["127.0.0.2", "127.0.0.3"]
    served = await plane(make_config(named("v1", alive.port)))
    for _ in range(40):
        client = await connect(served)
        assert (await client.ask(get())).status == 200
    assert alive.requests
    assert also.requests
    await also.close()
    for _ in range(20):
        assert (await (await connect(served)).ask(get())).status == 200


async def test_a_silent_name_delays_neither_the_start_for_long_nor_another_name(
    origin: MakeOrigin, plane: MakePlane, connect: Connect, names: NameServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resolver, "_FIRST_ANSWER_S", 0.1)
    v1 = await origin()
    names.names["v1.test"] = ["127.0.0.1"]
    names.silent.add("mirror.test")
    served = await asyncio.wait_for(plane(make_config(named("v1", v1.port), named("mirror", 80))), 2.0)
    assert (await (await connect(served)).ask(get())).status == 200
    await served.ended("no_endpoint")
    asked = names.asked.count("v1.test")
    await until(lambda: names.asked.count("v1.test") > asked + 2, "the living name to be asked again")
    assert served.count("upstream_endpoints", "mirror") == 0


async def test_new_address_is_used_behind_a_ttl_of_a_minute_and_an_alias(
    origin: MakeOrigin, plane: MakePlane, connect: Connect, names: NameServer
) -> None:
    before = await origin(host="127.0.0.2")
    after = await origin(host="127.0.0.3", port=before.port)
    names.aliases["v1.test"] = "blue.test"
    names.names |= {"blue.test": ["127.0.0.2"], "green.test": ["127.0.0.3"]}
    served = await plane(make_config(named("v1", before.port)))
    client = await connect(served)
    await client.ask(get())
    names.aliases["v1.test"] = "green.test"
    await until(lambda: not before.open, "the idle connection to the old address to be closed")
    await client.ask(get())
    assert (len(before.requests), len(after.requests)) == (1, 1)


async def test_name_without_data_is_served_once_it_has_an_address(
    origin: MakeOrigin, plane: MakePlane, connect: Connect, names: NameServer
) -> None:
    v1 = await origin()
    names.names["v1.test"] = []
    served = await plane(make_config(named("v1", v1.port)))
    assert (await (await connect(served)).ask(get())).status == 503
    names.names["v1.test"] = ["127.0.0.1"]
    await until(lambda: served.count("upstream_endpoints", "v1") == 1, "the address")
    assert (await (await connect(served)).ask(get())).status == 200


async def test_last_good_addresses_stay_while_the_name_server_fails(
    plane: MakePlane, names: NameServer
) -> None:
    names.names["v1.test"] = ["127.0.0.2", "::1"]
    served = await plane(make_config(named("v1", 80)))
    names.failing["v1.test"] = {A}  # IPv6 alone is answered: no reason to move to it
    asked = len(names.asked)
    await until(lambda: len(names.asked) > asked + 8, "several rounds")
    assert addresses(served) == [("127.0.0.2:80", 1)]
    names.failing["v1.test"] = {A, AAAA}
    await until(lambda: served.count("upstream_resolve_failures_total", "v1"), "the failure")
    assert addresses(served) == [("127.0.0.2:80", 1)]
    names.failing.clear()
    names.names["v1.test"] = ["::1"]
    await until(lambda: addresses(served) == [("[::1]:80", 1)], "the loss of IPv4")


async def test_ipv6_serves_where_ipv4_refuses_and_ipv4_again_where_ipv6_does(
    origin: MakeOrigin, plane: MakePlane, connect: Connect, names: NameServer
) -> None:
    names.names["v1.test"] = ["127.0.0.1", "::1"]
    sixth = await origin(host="::1")
    served = await plane(make_config(named("v1", sixth.port)))
    assert (await (await connect(served)).ask(get())).status == 200
    assert addresses(served) == [(f"[::1]:{sixth.port}", 1)]  # what the access log and `/clusters` show
    assert served.count("upstream_connect_failures_total", "v1") == 0
    await sixth.close()
    await origin(host="127.0.0.1", port=sixth.port)
    assert (await (await connect(served)).ask(get())).status == 200
    assert addresses(served) == [(f"127.0.0.1:{sixth.port}", 1)]


async def test_request_fails_once_where_both_families_refuse(
    plane: MakePlane, connect: Connect, names: NameServer
) -> None:
    names.names["v1.test"] = ["127.0.0.1", "::1"]
    served = await plane(make_config(named("v1", free_port()), retries=RetryPolicy(attempts=0)))
    assert (await (await connect(served)).ask(get())).status == 503
    assert served.count("upstream_connect_failures_total", "v1") == 1


def of(*endpoints: Endpoint, name: str = "v1", **changes: Any) -> Cluster:
    return Cluster(name, endpoints[0].address.host, endpoints, **{"connect_timeout_s": 2.0, **changes})


def addresses(served: Plane, name: str = "v1") -> list[tuple[str, int]]:
    """Give the addresses and weights of a cluster's endpoints."""
    return [(one.label, one.weight) for one in served.inner._state.clusters[name].endpoints]


async def test_addresses_and_names_stand_beside_each_other_each_with_its_weight(
    plane: MakePlane, names: NameServer
) -> None:
    names.names["many.test"] = ["127.0.0.3", "127.0.0.2"]
    names.names["one.test"] = ["127.0.0.4"]
    endpoints = (
        Endpoint(Address("many.test", 81), 2),
        Endpoint(Address("127.0.0.9", 80), 5),
        Endpoint(Address("one.test", 82)),
        Endpoint(Address("dead.test", 83)),
        Endpoint(Address("::1", 84)),
    )
    served = await plane(make_config(of(*endpoints)))
    assert addresses(served) == [
        ("127.0.0.2:81", 2),
        ("127.0.0.3:81", 2),
        ("127.0.0.9:80", 5),
        ("127.0.0.4:82", 1),
        ("[::1]:84", 1),
    ]


async def test_a_name_that_several_endpoints_share_is_asked_for_once(
    plane: MakePlane, names: NameServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resolver, "REFRESH_S", 60.0)
    monkeypatch.setattr(resolver, "_RETRY_S", 60.0)
    names.names["v1.test"] = ["127.0.0.2"]
    served = await plane(
        make_config(
            of(Endpoint(Address("v1.test", 80)), Endpoint(Address("v1.test", 81))),
            of(Endpoint(Address("v1.test", 80)), name="mirror"),
        )
    )
    assert addresses(served) == [("127.0.0.2:80", 1), ("127.0.0.2:81", 1)]
    assert addresses(served, "mirror") == [("127.0.0.2:80", 1)]
    assert len(names.asked) <= 2  # A and AAAA


async def test_at_a_reload_known_names_are_not_asked_anew_and_unwanted_ones_never_more(
    plane: MakePlane, names: NameServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resolver, "REFRESH_S", 60.0)
    for name in ("old.test", "kept.test", "new.test"):
        names.names[name] = ["127.0.0.2"]
    kept = Endpoint(Address("kept.test", 80))
    served = await plane(make_config(of(Endpoint(Address("old.test", 80)), kept)))
    cluster, resolving = served.inner._state.clusters["v1"], served.inner._resolver
    del names.asked[:], names.names["kept.test"]

    config = of(kept, Endpoint(Address("new.test", 81)))
    await resolving.learn([config])
    assert addresses(served) == [("127.0.0.2:80", 2)]  # nothing is in force yet
    cluster.update(config)
    resolving.follow([cluster])
    assert addresses(served) == [("127.0.0.2:80", 1), ("127.0.0.2:81", 1)]
    assert set(names.asked) == {"new.test"}
    assert resolving._names.keys() == {"kept.test", "new.test"}


async def test_learning_a_silent_name_takes_no_longer_than_its_time(
    plane: MakePlane, names: NameServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resolver, "_FIRST_ANSWER_S", 0.05)
    names.silent.add("silent.test")
    served = await plane(make_config(named("v1", 80)))
    config = of(Endpoint(Address("silent.test", 80)))
    await asyncio.wait_for(served.inner._resolver.learn([config]), 2.0)
    served.inner._resolver.follow(served.inner._state.clusters.values())
    assert served.inner._resolver._names.keys() == {"v1.test"}


@pytest.mark.parametrize(
    ("due", "now", "expected"),
    [
        (1005.37, 1000.4, 1005.0),  # a name's first round
        (1010.002, 1005.01, 1010.0),
        (1001.7, 1000.8, 1002.0),  # 1001 would be within the life of its channel
        (1001.0, 1006.2, 1007.0),  # the query ran for 6 s
    ],
)
def test_names_are_asked_for_on_common_seconds_and_never_twice_on_one_channel(
    due: float, now: float, expected: float
) -> None:
    assert resolver._next_query(due, now) == expected
