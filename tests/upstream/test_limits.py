"""Limits of a cluster (Envoy's circuit breaking) and of its connections, each with its named end."""

from __future__ import annotations

import asyncio
import socket

import pytest

from mirror_proxy.config.model import TcpKeepalive
from mirror_proxy.upstream.connection import UpstreamConnection
from tests.conftest import Connect, MakeOrigin, MakePlane
from tests.support.client import get
from tests.support.origin import answering_after
from tests.support.plane import Plane, local_cluster, make_config, until


def kept_connection(served: Plane) -> UpstreamConnection:
    """Give the primary's one idle connection."""
    [connection] = served.inner._state.clusters["v1"].endpoints[0].idle
    return connection


async def test_a_request_over_the_cap_is_answered_503_and_counted(
    origin: MakeOrigin, plane: MakePlane, connect: Connect
) -> None:
    go = asyncio.Event()
    v1 = await origin(answering_after(go))
    served = await plane(v1, cluster={"max_requests": 2})
    first, second, third = [await connect(served) for _ in range(3)]
    await first.send(get())
    await second.send(get())
    await until(lambda: len(v1.requests) == 2, "two requests")
    refused = await third.ask(get())
    assert (refused.status, refused.get(b"x-envoy-overloaded")) == (503, b"true")
    assert served.count("upstream_pending_overflow_total", "v1") == 1
    go.set()
    assert [(await client.response()).status for client in (first, second)] == [200, 200]
    assert (await third.ask(get())).status == 200


async def test_a_shadow_over_the_cap_is_lost_and_the_client_never_knows(
    origin: MakeOrigin, plane: MakePlane, connect: Connect
) -> None:
    go = asyncio.Event()
    v1, v2 = await origin(), await origin(answering_after(go))
    served = await plane(make_config(v1.port, local_cluster("mirror", v2.port, max_requests=1)))
    client = await connect(served)
    assert [(await client.ask(get())).status for _ in range(3)] == [200] * 3
    assert served.count("upstream_pending_overflow_total", "mirror") == 2
    go.set()
    await served.ended_as("mirror", over_in_flight=2, completed=1)


async def test_a_connection_carries_only_so_many_requests(
    origin: MakeOrigin, plane: MakePlane, connect: Connect
) -> None:
    v1 = await origin()
    served = await plane(v1, cluster={"max_requests_per_connection": 2})
    client = await connect(served)
    for _ in range(5):
        assert (await client.ask(get())).status == 200
    assert len(v1.visits) == 3
    assert served.count("upstream_retries_total", "v1", "stale_connection") == 0


async def test_a_spent_connection_makes_room_for_who_waits(
    origin: MakeOrigin, plane: MakePlane, connect: Connect
) -> None:
    v1 = await origin()
    served = await plane(v1, cluster={"max_connections": 1, "max_requests_per_connection": 1})
    clients = [await connect(served) for _ in range(5)]
    for client in clients:
        await client.send(get())
    assert [(await client.response()).status for client in clients] == [200] * 5
    assert len(v1.visits) == 5


async def test_pool_of_one_serves_two_clients_without_a_refusal(
    origin: MakeOrigin, plane: MakePlane, connect: Connect
) -> None:
    v1 = await origin()
    caps = {"max_connections": 1, "max_pending": 1, "max_requests_per_connection": 1}
    served = await plane(v1, cluster=caps)

    async def send(count: int) -> list[int]:
        client = await connect(served)
        return [(await client.ask(get())).status for _ in range(count)]

    statuses = await asyncio.gather(send(50), send(50))
    assert set(statuses[0] + statuses[1]) == {200}


async def test_an_idle_connection_is_closed_at_the_end_of_its_life(
    origin: MakeOrigin, plane: MakePlane, connect: Connect
) -> None:
    v1 = await origin()
    served = await plane(v1, cluster={"max_connection_duration_s": 0.2})
    assert (await (await connect(served)).ask(get())).status == 200
    await until(lambda: not v1.open, "the connection to be closed")


async def test_a_busy_connection_outlives_its_end_by_its_response(
    origin: MakeOrigin, plane: MakePlane, connect: Connect
) -> None:
    go = asyncio.Event()
    v1 = await origin(answering_after(go))
    served = await plane(v1, cluster={"max_connection_duration_s": 1e-6})
    client = await connect(served)
    await client.send(get())
    await until(lambda: v1.requests, "the request")
    go.set()
    assert (await client.response()).status == 200
    await until(lambda: not v1.open, "the connection to be closed")


async def test_without_an_idle_time_a_kept_connection_has_no_end(
    origin: MakeOrigin, plane: MakePlane, connect: Connect
) -> None:
    v1 = await origin()
    served = await plane(v1, cluster={"idle_timeout_s": 0.0})
    client = await connect(served)
    assert (await client.ask(get())).status == 200
    assert kept_connection(served).deadline == float("inf")
    assert (await client.ask(get())).status == 200
    assert len(v1.visits) == 1


@pytest.mark.parametrize(
    ("keepalive", "expected"),
    [
        (TcpKeepalive(probes=3, time_s=7.5, interval_s=2.0), (3, 8, 2)),
        (TcpKeepalive(time_s=0.1), (None, 1, None)),
        (TcpKeepalive(probes=500, time_s=86_400.0, interval_s=40_000.0), (127, 32767, 32767)),
        (TcpKeepalive(), (None, None, None)),
    ],
)
async def test_keepalive_is_set_as_configured_and_else_the_kernels_own(
    origin: MakeOrigin,
    plane: MakePlane,
    connect: Connect,
    keepalive: TcpKeepalive,
    expected: tuple[int | None, ...],
) -> None:
    served = await plane(await origin(), cluster={"keepalive": keepalive})
    await (await connect(served)).ask(get())
    sock = kept_connection(served).transport.get_extra_info("socket")
    options = (socket.TCP_KEEPCNT, socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL)
    with socket.socket() as fresh:
        kernel = [fresh.getsockopt(socket.IPPROTO_TCP, option) for option in options]
    found = [sock.getsockopt(socket.IPPROTO_TCP, option) for option in options]
    assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
    assert found == [given or own for given, own in zip(expected, kernel, strict=True)]


async def test_without_keepalive_none_is_set(origin: MakeOrigin, plane: MakePlane, connect: Connect) -> None:
    served = await plane(await origin())
    await (await connect(served)).ask(get())
    sock = kept_connection(served).transport.get_extra_info("socket")
    assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 0
