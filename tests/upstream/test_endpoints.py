"""Several endpoints of one cluster: who gets what, when one dies, and what stays when the list changes."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from time import monotonic
from typing import Any

import pytest

from mirror_proxy.config.model import Address, Balancer, Cluster, Endpoint, Mirroring, OutlierDetection
from mirror_proxy.exchange.exchange import Exchange
from mirror_proxy.routing.sticky import hash_of
from mirror_proxy.upstream import cluster as upstream
from mirror_proxy.upstream import outlier
from tests.conftest import Connect, MakeOrigin, MakePlane
from tests.support.client import get
from tests.support.origin import Origin, Visit, answering_after, stall
from tests.support.plane import Plane, cluster_at, free_port, make_config, until

FAULT = b"HTTP/1.1 503 Busy\r\ncontent-length: 0\r\n\r\n"


def config_of(*upstreams: Origin | int, **changes: Any) -> Cluster:
    ports = [one if isinstance(one, int) else one.port for one in upstreams]
    addresses = [Address("127.0.0.1", port) for port in ports]
    return cluster_at("v1", *addresses, **{"connect_timeout_s": 2.0, **changes})


def live(served: Plane) -> upstream.UpstreamCluster:
    return served.inner._state.clusters["v1"]


async def ask_each(served: Plane, connect: Connect, count: int) -> list[int]:
    """Ask so many times, each time over a connection of a client's own; give the statuses."""
    return [(await (await connect(served)).ask(get())).status for _ in range(count)]


@pytest.mark.parametrize("policy", ["least_request", "round_robin", "random", "hash"])
async def test_every_endpoint_gets_its_share(
    origin: MakeOrigin, plane: MakePlane, connect: Connect, policy: str
) -> None:
    first, second = await origin(), await origin()
    served = await plane(make_config(config_of(first, second, balancer=Balancer(policy))))
    client = await connect(served)
    for _ in range(60):
        assert (await client.ask(get())).status == 200
    assert min(len(first.requests), len(second.requests)) > 10
    assert len(first.visits) == len(second.visits) == 1


async def test_turns_alternate_even_while_connections_are_made(
    origin: MakeOrigin, plane: MakePlane, connect: Connect
) -> None:
    first, second = await origin(stall), await origin(stall)
    served = await plane(
        make_config(config_of(first, second, balancer=Balancer("round_robin")), timeout_s=30.0)
    )
    for client in [await connect(served) for _ in range(6)]:
        await client.send(get())
    await until(lambda: len(first.requests) == len(second.requests) == 3, "three requests for each")


async def test_a_request_whose_endpoint_is_dead_goes_to_another(
    origin: MakeOrigin, plane: MakePlane, connect: Connect
) -> None:
    alive = await origin()
    served = await plane(make_config(config_of(free_port(), alive, balancer=Balancer("round_robin"))))
    assert await ask_each(served, connect, 8) == [200] * 8
    failures = served.count("upstream_connect_failures_total", "v1")
    assert failures == served.count("upstream_retries_total", "v1", "connect_failure") >= 3


async def test_a_dead_endpoint_is_ejected_and_comes_back_when_it_lives(
    origin: MakeOrigin, plane: MakePlane, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    rules = OutlierDetection(consecutive_5xx=3, max_ejection_percent=50, base_ejection_s=1000.0)
    port, alive = free_port(), await origin()
    served = await plane(make_config(config_of(port, alive, balancer=Balancer("round_robin"), outlier=rules)))
    assert await ask_each(served, connect, 20) == [200] * 20
    assert served.count("upstream_connect_failures_total", "v1") == 3
    assert served.count("upstream_ejections_total", "v1", "consecutive_5xx") == 1
    assert served.count("upstream_endpoints_ejected", "v1") == 1
    [row] = served.inner.clusters()
    assert [endpoint["ejected"] for endpoint in row["endpoints"]] == [True, False]  # type: ignore[attr-defined]

    returned = await origin(port=port)
    now = monotonic() + 1001.0
    monkeypatch.setattr(outlier, "monotonic", lambda: now)
    served.inner._wheel.advance(now)
    assert served.count("upstream_endpoints_ejected", "v1") == 0
    assert await ask_each(served, connect, 8) == [200] * 8
    assert len(returned.requests) == 4


async def test_an_endpoint_that_answers_5xx_is_ejected_and_its_answers_are_forwarded_till_then(
    origin: MakeOrigin, plane: MakePlane, connect: Connect
) -> None:
    rules = OutlierDetection(consecutive_gateway=2, max_ejection_percent=50)
    bad, good = await origin(FAULT), await origin()
    served = await plane(make_config(config_of(bad, good, outlier=rules)))
    statuses = await ask_each(served, connect, 40)
    assert sorted(statuses) == [200] * 38 + [503] * 2
    assert served.count("upstream_ejections_total", "v1", "consecutive_gateway_failure") == 1


async def test_resets_and_broken_responses_eject_too(
    origin: MakeOrigin, plane: MakePlane, connect: Connect
) -> None:
    async def misbehave(visit: Visit) -> None:
        await visit.head()
        if visit.number % 2:
            visit.reset()
        else:
            await visit.send(b"nonsense\r\n\r\n")

    rules = OutlierDetection(splits_local_origin=True, consecutive_local_origin=4, max_ejection_percent=50)
    bad, good = await origin(misbehave), await origin()
    served = await plane(make_config(config_of(bad, good, outlier=rules)))
    await ask_each(served, connect, 40)
    assert len(bad.requests) == 4
    assert served.count("upstream_ejections_total", "v1", "consecutive_local_origin_failure") == 1


async def test_with_every_endpoint_ejected_the_client_hears_of_no_healthy_upstream(
    origin: MakeOrigin, plane: MakePlane, connect: Connect
) -> None:
    rules = OutlierDetection(consecutive_5xx=1, max_ejection_percent=100)
    served = await plane(make_config(config_of(await origin(FAULT), outlier=rules)))
    client = await connect(served)
    assert (await client.ask(get())).body == b""
    response = await client.ask(get())
    assert (response.status, response.body) == (503, b"no healthy upstream")


async def test_a_request_timed_out_before_its_response_counts_and_is_given_up(
    origin: MakeOrigin, plane: MakePlane, connect: Connect
) -> None:
    rules = OutlierDetection(consecutive_gateway=1, max_ejection_percent=100)
    v1 = await origin(stall)
    served = await plane(make_config(config_of(v1, outlier=rules)))
    client = await connect(served)
    await client.send(get())
    await until(lambda: v1.requests, "the request")
    [downstream] = served.inner._downstream.connections
    assert isinstance(downstream._stream, Exchange)
    assert downstream._stream._upstream is not None
    downstream._stream._upstream.time_out()
    assert served.count("upstream_ejections_total", "v1", "consecutive_gateway_failure") == 1
    assert served.count("upstream_requests_active", "v1") == 0
    await client.close()


# --- hash ---


async def test_a_hash_waits_for_its_own_endpoint_though_another_is_free(
    origin: MakeOrigin, plane: MakePlane, connect: Connect
) -> None:
    first, second = await origin(), await origin()
    served = await plane(make_config(config_of(first, second, balancer=Balancer("hash"))))
    await ask_each(served, connect, 20)
    cluster = live(served)
    for number in range(40):
        hash_ = hash_of(b"%d" % number)
        seen = set()
        for _ in range(3):
            connection = cluster.take((), hash_)
            assert connection is not None
            seen.add(connection.endpoint)
            cluster.put(connection)
        assert len(seen) == 1


# --- another list ---


async def test_endpoints_that_stay_keep_their_connections(
    origin: MakeOrigin, plane: MakePlane, connect: Connect
) -> None:
    first, second, third = [await origin() for _ in range(3)]
    served = await plane(make_config(config_of(first, second, balancer=Balancer("round_robin"))))
    await ask_each(served, connect, 4)
    cluster = live(served)
    cluster.update(replace(cluster.config, endpoints=config_of(second, third).endpoints))
    served.inner._resolver.follow([cluster])
    await until(lambda: not first.open, "the idle connection of who left to be closed")
    assert await ask_each(served, connect, 4) == [200] * 4
    assert (len(first.visits), len(second.visits), len(third.visits)) == (1, 1, 1)
    assert served.count("upstream_endpoints", "v1") == 2


async def test_a_request_on_its_way_to_an_endpoint_that_leaves_is_answered_and_counted(
    origin: MakeOrigin, plane: MakePlane, connect: Connect
) -> None:
    go = asyncio.Event()
    leaving, staying = await origin(answering_after(go)), await origin()
    served = await plane(make_config(config_of(leaving)))
    client = await connect(served)
    await client.send(get())
    await until(lambda: leaving.requests, "the request")
    cluster = live(served)
    cluster.set_endpoints(config_of(staying).endpoints)
    assert served.count("upstream_requests_active", "v1") == 1
    go.set()
    assert (await client.response()).status == 200
    await until(lambda: not leaving.open, "its connection to be closed")
    assert await ask_each(served, connect, 1) == [200]


async def test_an_address_named_twice_is_one_endpoint_of_both_weights(
    origin: MakeOrigin, plane: MakePlane
) -> None:
    v1 = await origin()
    one, two = Endpoint(Address("127.0.0.1", v1.port), 2), Endpoint(Address("127.0.0.1", v1.port), 3)
    served = await plane(make_config(replace(config_of(v1), endpoints=(one, two))))
    assert [endpoint.weight for endpoint in live(served).endpoints] == [5]


async def test_who_waits_when_the_last_endpoint_goes_is_told(
    origin: MakeOrigin, plane: MakePlane, connect: Connect
) -> None:
    async def close_at_once(visit: Visit) -> None:
        await visit.request()
        await visit.gone()

    v1 = await origin(close_at_once)
    served = await plane(make_config(config_of(v1, max_connections=1)))
    first, second = await connect(served), await connect(served)
    await first.send(get())
    await until(lambda: v1.requests, "the first request")
    await second.send(get())
    await until(lambda: served.count("downstream_requests_active") == 2, "the second request")
    live(served).set_endpoints([])
    await first.close()
    response = await second.response()
    assert (response.status, response.body) == (503, b"no healthy upstream")


def test_the_identity_of_a_cluster_is_its_name_host_and_tls() -> None:
    config = config_of(1, 2)
    same = replace(
        config,
        endpoints=config_of(3).endpoints,
        max_requests=1,
        balancer=Balancer("random"),
        connect_timeout_s=9.0,
    )
    assert upstream.identity(same) == upstream.identity(config)
    for other in (replace(config, name="v2"), replace(config, host="other")):
        assert upstream.identity(other) != upstream.identity(config)


async def test_a_mirror_that_is_late_is_ejected_and_the_primary_never_knows(
    origin: MakeOrigin, plane: MakePlane, connect: Connect
) -> None:
    rules = OutlierDetection(consecutive_gateway=2, max_ejection_percent=100)
    v1, v2 = await origin(), await origin(stall)
    mirror = replace(config_of(v2, outlier=rules), name="mirror")
    served = await plane(make_config(v1.port, mirror, mirroring=Mirroring(timeout_s=0.05)))
    client = await connect(served)
    for count in (1, 2):
        assert (await client.ask(get())).status == 200
        await served.ended("timeout", count)
    assert served.count("upstream_ejections_total", "mirror", "consecutive_gateway_failure") == 1
    assert (await client.ask(get())).status == 200
    await until(lambda: served.outcomes() == {"timeout": 2, "no_endpoint": 1}, "the third copy")
