"""Names: asked in the background of a real name server, kept when it fails, and no name delays another."""

from __future__ import annotations

import asyncio
import functools
import logging
from collections.abc import AsyncIterator

import aiodns
import pytest

from proxy.config.model import Address, Cluster
from proxy.upstream import resolver
from tests.conftest import Connect, MakeOrigin, MakePlane
from tests.support.client import get
from tests.support.nameserver import NameServer
from tests.support.plane import cluster_at, make_config, until


@pytest.fixture
async def names(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[NameServer]:
    """Have the resolver ask a name server of the test's own, and often."""
    server = await NameServer().start()
    ask = functools.partial(
        aiodns.DNSResolver, nameservers=["127.0.0.1"], udp_port=server.port, tcp_port=server.port
    )
    monkeypatch.setattr(aiodns, "DNSResolver", ask)
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
    assert said[1] == "mirror.test resolves now"


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
