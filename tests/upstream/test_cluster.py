"""Pools: caps, queues, expiry, and which endpoint a request goes to."""

from __future__ import annotations

import asyncio

from mirror_proxy.config.model import Address
from tests.conftest import Connect, MakeOrigin, MakePlane
from tests.support.client import get
from tests.support.origin import OK, Visit, answering_after
from tests.support.plane import Plane, cluster_at, make_config, until


async def test_requests_at_once_get_a_connection_each_up_to_the_cap(
    origin: MakeOrigin, plane: MakePlane, connect: Connect
) -> None:
    go = asyncio.Event()
    v1 = await origin(answering_after(go))
    served = await plane(v1, cluster={"max_connections": 3})
    clients = [await connect(served) for _ in range(10)]
    for number, client in enumerate(clients):
        await client.send(get(b"/%d" % number))
        await until(lambda: served.count("downstream_requests_active") > number, "the request")  # noqa: B023 - awaited here
    await until(lambda: len(v1.requests) == 3, "three connections to be busy")
    assert served.count("upstream_connections_active", "v1") == 3
    assert served.count("upstream_requests_active", "v1") == 3
    go.set()
    assert [(await client.response()).status for client in clients] == [200] * 10
    assert len(v1.visits) == 3
    assert sorted(request.target for request in v1.requests) == [b"/%d" % number for number in range(10)]


async def test_those_who_wait_are_served_in_their_order(
    origin: MakeOrigin, plane: MakePlane, connect: Connect
) -> None:
    v1 = await origin()
    served = await plane(v1, cluster={"max_connections": 1})
    clients = [await connect(served) for _ in range(5)]
    for number, client in enumerate(clients):
        await client.send(get(b"/%d" % number))
        await until(lambda: _seen(served) > number, "the request")  # noqa: B023 - awaited here
    for client in clients:
        await client.response()
    assert [request.target for request in v1.requests] == [b"/%d" % number for number in range(5)]


def _seen(served: Plane) -> float:
    return served.count("downstream_requests_active") + served.count("requests_total", "r", "v1", "200")


async def test_a_connection_that_breaks_makes_room_for_those_who_wait(
    origin: MakeOrigin, plane: MakePlane, connect: Connect
) -> None:
    async def close_each_time(visit: Visit) -> None:
        await visit.request()
        await visit.send(OK)

    v1 = await origin(close_each_time)
    served = await plane(v1, cluster={"max_connections": 1})
    clients = [await connect(served) for _ in range(5)]
    for client in clients:
        await client.send(get())
    assert [(await client.response()).status for client in clients] == [200] * 5
    assert len(v1.visits) == 5


async def test_an_idle_connection_is_closed_when_its_time_is_over(
    origin: MakeOrigin, plane: MakePlane, connect: Connect
) -> None:
    v1 = await origin()
    served = await plane(v1, cluster={"idle_timeout_s": 0.05})
    client = await connect(served)
    await client.ask(get())
    await until(lambda: not v1.open, "the idle connection to be closed")
    assert (await client.ask(get())).status == 200
    assert len(v1.visits) == 2


async def test_a_connection_that_its_origin_closed_is_not_used_again(
    origin: MakeOrigin, plane: MakePlane, connect: Connect
) -> None:
    v1 = await origin()
    served = await plane(v1)
    client = await connect(served)
    await client.ask(get())
    v1.visits[0].writer.close()
    await until(lambda: not served.count("upstream_connections_active", "v1"), "the FIN to be seen")
    assert (await client.ask(get())).status == 200
    assert served.count("upstream_retries_total", "v1", "stale_connection") == 0


async def test_an_idle_connection_on_which_bytes_arrive_is_closed(
    origin: MakeOrigin, plane: MakePlane, connect: Connect
) -> None:
    v1 = await origin()
    served = await plane(v1)
    client = await connect(served)
    await client.ask(get())
    await v1.visits[0].send(b"HTTP/1.1 408 Too slow\r\ncontent-length: 0\r\n\r\n")
    await until(lambda: not v1.open, "the connection to be closed")
    assert (await client.ask(get())).status == 200


async def test_bytes_after_a_response_are_never_taken_for_the_next(
    origin: MakeOrigin, plane: MakePlane, connect: Connect
) -> None:
    v1 = await origin(OK + b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil")
    served = await plane(v1)
    client = await connect(served)
    for _ in range(3):
        assert (await client.ask(get())).body == b"ok"
    assert len(v1.visits) == 3


async def test_rows_for_the_admin_show_endpoints_and_idle_connections(
    origin: MakeOrigin, plane: MakePlane, connect: Connect
) -> None:
    v1, v2 = await origin(), await origin()
    served = await plane(v1, v2)
    await (await connect(served)).ask(get())
    await served.ended("completed")
    rows = {row["name"]: row for row in served.inner.clusters()}
    assert rows["v1"]["endpoints"] == [
        {
            "address": f"127.0.0.1:{v1.port}",
            "active": 0,
            "idle": 1,
            "ejected": False,
            "health_flags": "healthy",
        }
    ]
    [mirror] = served.inner.mirrors()
    assert (mirror["name"], mirror["in_flight"], mirror["breaker"]) == ("mirror", 0, "closed")


async def test_at_the_cap_an_idle_connection_of_any_endpoint_is_used(
    origin: MakeOrigin, plane: MakePlane, connect: Connect
) -> None:
    first, second = await origin(), await origin()
    addresses = [Address("127.0.0.1", one.port) for one in (first, second)]
    served = await plane(make_config(cluster_at("v1", *addresses, max_connections=1)))
    client = await connect(served)
    for _ in range(16):  # each chooses one of both anew
        response = await asyncio.wait_for(client.ask(get()), 5.0)
        assert response.status == 200
    assert sorted([len(first.requests), len(second.requests)]) == [0, 16]
    assert len(first.visits + second.visits) == 1
