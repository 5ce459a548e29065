"""Who waits for a connection: each is served once, by an endpoint that it may have, whatever else happens."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from typing import Any

import pytest

from mirror_proxy.clock import DeadlineWheel
from mirror_proxy.config.model import Address, Balancer, HashKey
from mirror_proxy.errors import Failure
from mirror_proxy.flow import Backlog
from mirror_proxy.routing.sticky import hash_of
from mirror_proxy.upstream.cluster import UpstreamCluster
from mirror_proxy.upstream.connection import UpstreamConnection
from mirror_proxy.upstream.endpoint import UpstreamEndpoint
from tests.conftest import MakeOrigin
from tests.support.origin import Origin, Visit
from tests.support.plane import cluster_at, free_port, until

KEY = HashKey("header", "x-user")


async def listen(visit: Visit) -> None:
    await visit.gone()


class Waiting:
    """A stream that waits, and gives its connection back, or closes it, soon after it got one."""

    def __init__(self, cluster: UpstreamCluster, *, closes: bool = False, wants_fresh: bool = False) -> None:
        self.wants_fresh = wants_fresh
        self.endpoint: UpstreamEndpoint | None = None
        self.failure: Failure | None = None
        self.times = 0
        self._cluster = cluster
        self._closes = closes

    def on_connection(self, connection: UpstreamConnection) -> None:
        assert not (self.wants_fresh and connection.requests)
        self.times += 1
        self.endpoint = connection.endpoint
        connection.requests += 1
        loop = asyncio.get_running_loop()
        if self._closes:
            loop.call_soon(connection.transport.abort)
        else:
            loop.call_soon(self._cluster.put, connection)

    def on_connect_failure(self, failure: Failure, endpoint: UpstreamEndpoint | None) -> None:
        self.times += 1
        self.endpoint, self.failure = endpoint, failure


class Bench:
    """Clusters of live endpoints, closed with the test."""

    def __init__(self) -> None:
        self.wheel = DeadlineWheel()
        self.made: list[UpstreamCluster] = []

    def cluster(self, *ports: int, **changes: Any) -> UpstreamCluster:
        addresses = [Address("127.0.0.1", port) for port in ports]
        made = UpstreamCluster(
            cluster_at("v1", *addresses, connect_timeout_s=5.0, **changes), self.wheel, Backlog()
        )
        made.set_endpoints(made.config.endpoints)
        self.made.append(made)
        return made


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    bench = Bench()
    yield bench
    for cluster in bench.made:
        cluster.close()
    await until(lambda: not any(one.stats.connections_active for one in bench.made), "connections to close")


@pytest.fixture
async def ports(origin: MakeOrigin) -> list[int]:
    origins: list[Origin] = [await origin(listen) for _ in range(3)]
    return [one.port for one in origins]


@pytest.mark.parametrize("cap", [1, 2, 5, None])
async def test_each_hash_is_served_by_its_own_endpoint_whatever_the_cap(
    bench: Bench, ports: list[int], cap: int | None
) -> None:
    cluster = bench.cluster(*ports, max_connections=cap, balancer=Balancer("hash", KEY))
    hashes = [hash_of(b"%d" % number) for number in range(40)]
    assert cluster._balancer is not None
    homes = [cluster._balancer.choose((), hash_) for hash_ in hashes]
    waiting = [Waiting(cluster) for _ in hashes]
    for waiter, hash_ in zip(waiting, hashes, strict=True):
        assert cluster.wait(waiter, (), hash_) is None
    await until(lambda: all(waiter.times for waiter in waiting), "everybody to be served")
    assert [waiter.endpoint for waiter in waiting] == homes
    assert {waiter.times for waiter in waiting} == {1}
    assert len(set(homes)) == 3


async def test_a_retry_is_not_served_by_the_endpoint_that_failed_it(bench: Bench, ports: list[int]) -> None:
    cluster = bench.cluster(*ports, max_connections=2)
    failed = cluster.endpoints[0]
    retries, others = [Waiting(cluster) for _ in range(10)], [Waiting(cluster) for _ in range(10)]
    for retry, other in zip(retries, others, strict=True):
        assert cluster.wait(other) is None
        assert cluster.wait(retry, (failed,)) is None
    await until(lambda: all(waiter.times for waiter in (*retries, *others)), "everybody to be served")
    assert failed not in [retry.endpoint for retry in retries]


@pytest.mark.parametrize("seed", range(8))
async def test_everybody_is_told_once_whatever_breaks(bench: Bench, ports: list[int], seed: int) -> None:
    dice = random.Random(seed)
    policy = dice.choice(["hash", "round_robin", "least_request"])
    cap = dice.choice([1, 3, None])
    cluster = bench.cluster(*ports, free_port(), max_connections=cap, balancer=Balancer(policy, KEY))
    endpoints, waiting = list(cluster.config.endpoints), []
    for _ in range(60):
        waiter = Waiting(cluster, closes=dice.random() < 0.3, wants_fresh=dice.random() < 0.2)
        avoid = tuple(dice.sample(cluster.endpoints, dice.choice([0, 0, 1, 2])))
        assert cluster.wait(waiter, avoid, dice.choice([None, dice.getrandbits(64)])) is None
        waiting.append(waiter)
        if dice.random() < 0.2:
            cluster.set_endpoints(dice.sample(endpoints, 3))
        if dice.random() < 0.2:
            await asyncio.sleep(0)
    await until(lambda: all(waiter.times for waiter in waiting), "everybody to be told")
    await until(lambda: not cluster.is_in_use, "connects to end")
    assert {waiter.times for waiter in waiting} == {1}


async def test_who_leaves_is_not_called(bench: Bench, ports: list[int]) -> None:
    cluster = bench.cluster(ports[0])
    gone, stays = Waiting(cluster), Waiting(cluster)
    cluster.wait(gone)
    cluster.wait(stays)
    cluster.leave(gone)
    cluster.leave(gone)
    await until(lambda: stays.times, "who stays to be served")
    await until(lambda: not cluster.is_in_use, "the other connect to end")
    assert gone.times == 0


@pytest.mark.parametrize("hash_", [None, 1])
async def test_an_idle_connection_that_is_of_no_use_makes_room_at_the_cap(
    bench: Bench, ports: list[int], hash_: int | None
) -> None:
    cluster = bench.cluster(*ports, max_connections=1, balancer=Balancer("hash", KEY))
    failed, *others = cluster.endpoints
    first, second = Waiting(cluster), Waiting(cluster)
    assert cluster.wait(first, tuple(others), hash_) is None
    await until(lambda: failed.idle, "a connection to the one endpoint")
    assert cluster.take((failed,), hash_) is None
    assert cluster.wait(second, (failed,), hash_) is None
    await until(lambda: second.times, "the retry to be served by another")
    assert first.endpoint is failed
    assert second.endpoint in others


async def test_connections_of_a_cluster_that_leaves_do_not_fill_the_cap_of_its_heir(
    bench: Bench, ports: list[int]
) -> None:
    leaving = bench.cluster(ports[0], max_connections=1)
    first = Waiting(leaving)
    leaving.wait(first)
    await until(lambda: first.times, "the connection")
    heir = bench.cluster(ports[1], max_connections=1)
    heir.stats = leaving.stats
    second = Waiting(heir)
    assert heir.wait(second) is None
    await until(lambda: second.times, "the heir's connection")
