"""Clients that leave, half-close, dawdle or are too many."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from mirror_proxy.config.model import RetryPolicy
from tests.conftest import Connect, MakeOrigin, MakePlane
from tests.support.client import Client, get, post
from tests.support.origin import OK, Visit, stall
from tests.support.plane import free_port, until


def _reset(client: Client) -> None:
    client.reset()


def _close(client: Client) -> None:
    client.writer.close()


def _half_close(client: Client) -> None:
    client.half_close()


UNFINISHED_CHUNKS = b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n5\r\nfirst\r\n"

Leave = Callable[[Client], None]
LEAVE = pytest.mark.parametrize("leave", [_reset, _close, _half_close])


@LEAVE
async def test_a_client_that_leaves_inside_a_head_reaches_nobody(
    origin: MakeOrigin, plane: MakePlane, connect: Connect, leave: Leave
) -> None:
    v1 = await origin()
    served = await plane(v1)
    client = await connect(served)
    await client.send(get()[:-2])
    await until(lambda: served.count("downstream_connections_active"), "the client")
    leave(client)
    await until(lambda: not served.count("downstream_connections_active"), "the client to be gone")
    assert not v1.visits


@LEAVE
@pytest.mark.parametrize(
    "unfinished", [post(b"x" * 100)[:-1], UNFINISHED_CHUNKS, UNFINISHED_CHUNKS + b"0\r\n"]
)
async def test_a_client_that_leaves_inside_a_body_leaves_no_complete_request(
    origin: MakeOrigin, plane: MakePlane, connect: Connect, leave: Leave, unfinished: bytes
) -> None:
    v1, v2 = await origin(), await origin()
    served = await plane(v1, v2)
    client = await connect(served)
    await client.send(unfinished)
    await until(lambda: v1.requests and v2.requests, "both copies to begin")
    leave(client)
    await until(lambda: not v1.open and not v2.open, "both copies to break off")
    assert [request.is_complete for request in v1.requests + v2.requests] == [False, False]
    await served.ended("client_aborted")
    assert served.count("requests_total", "r", "v1", "0") == 1


@LEAVE
async def test_a_client_that_leaves_before_its_answer_ends_the_primary_s_work_but_not_the_shadow(
    origin: MakeOrigin, plane: MakePlane, connect: Connect, leave: Leave
) -> None:
    answering = asyncio.Event()

    async def answer_late(visit: Visit) -> None:
        await visit.request()
        await answering.wait()
        await visit.send(OK)

    v1, v2 = await origin(_serve_nothing), await origin(answer_late)
    served = await plane(v1, v2)
    client = await connect(served)
    await client.send(get())
    await until(lambda: v1.requests and v2.requests, "both copies")
    leave(client)
    await until(lambda: not v1.open, "the primary to be told")
    assert served.outcomes() == {"in flight": 1}
    answering.set()
    await served.ended("completed")


async def _serve_nothing(visit: Visit) -> None:
    await visit.request()
    await visit.gone()


@LEAVE
async def test_a_client_that_leaves_inside_its_answer_ends_the_primary_s_work(
    origin: MakeOrigin, plane: MakePlane, connect: Connect, leave: Leave
) -> None:

    async def answer_half(visit: Visit) -> None:
        await visit.request()
        await visit.send(OK[:-1])
        await visit.gone()

    v1 = await origin(answer_half)
    served = await plane(v1)
    client = await connect(served)
    await client.send(get())
    await client.head()
    leave(client)
    await until(lambda: not v1.open, "the primary to be told")
    assert served.count("requests_total", "r", "v1", "200") == 1


async def test_a_client_that_leaves_while_a_connection_is_made_is_forgotten(
    origin: MakeOrigin, plane: MakePlane, connect: Connect
) -> None:
    v1 = await origin(stall)
    served = await plane(v1, cluster={"max_connections": 1})
    first, second = await connect(served), await connect(served)
    await first.send(get(b"/first"))
    await until(lambda: v1.requests, "the only connection to be taken")
    await second.send(get(b"/second"))
    await until(lambda: served.count("downstream_requests_active") == 2, "the second to wait")
    second.reset()
    await until(lambda: served.count("downstream_requests_active") == 1, "the second to be forgotten")
    first.reset()
    await until(lambda: served.count("downstream_requests_active") == 0, "the first to be gone")
    assert [request.target for request in v1.requests] == [b"/first"]


async def test_a_client_that_leaves_between_attempts_is_forgotten(plane: MakePlane, connect: Connect) -> None:
    served = await plane(free_port(), retries=RetryPolicy(1000))
    client = await connect(served)
    await client.send(get())
    await until(lambda: served.count("upstream_retries_total", "v1", "connect_failure") > 2, "attempts")
    client.reset()
    await until(lambda: not served.count("downstream_requests_active"), "the request to be forgotten")


async def test_a_client_may_leave_between_requests(
    origin: MakeOrigin, plane: MakePlane, connect: Connect
) -> None:
    served = await plane(await origin())
    client = await connect(served)
    await client.ask(get())
    client.half_close()
    assert await client.is_closed()


async def test_a_slow_head_is_answered_408(origin: MakeOrigin, plane: MakePlane, connect: Connect) -> None:
    v1 = await origin()
    client = await connect(await plane(v1, limits={"head_timeout_s": 0.05}))
    await client.send(b"GET / HT")
    response = await client.response()
    assert (response.status, response.get(b"connection")) == (408, b"close")
    assert await client.is_closed()
    assert not v1.visits


async def test_bytes_now_and_then_do_not_make_a_head_last_longer(
    origin: MakeOrigin, plane: MakePlane, connect: Connect
) -> None:
    client = await connect(await plane(await origin(), limits={"head_timeout_s": 0.1}))
    answer = asyncio.ensure_future(client.response())
    while not answer.done():
        await client.send(b"G")
        await asyncio.sleep(0.02)
    assert (await answer).status == 408


async def test_a_second_pipelined_head_that_is_slow_is_answered_408(
    origin: MakeOrigin, plane: MakePlane, connect: Connect
) -> None:
    client = await connect(await plane(await origin(), limits={"head_timeout_s": 0.05}))
    await client.send(get() + b"GET / HT")
    assert (await client.response()).status == 200
    assert (await client.response()).status == 408


async def test_a_client_that_says_nothing_is_closed_after_the_head_timeout(
    origin: MakeOrigin, plane: MakePlane, connect: Connect
) -> None:
    client = await connect(await plane(await origin(), limits={"head_timeout_s": 0.05}))
    assert await client.is_closed()


async def test_an_idle_connection_is_closed_after_the_idle_timeout(
    origin: MakeOrigin, plane: MakePlane, connect: Connect
) -> None:
    client = await connect(await plane(await origin(), limits={"idle_timeout_s": 0.05}))
    await client.ask(get())
    assert await client.is_closed()


async def test_a_client_that_stops_sending_its_body_is_answered_408(
    origin: MakeOrigin, plane: MakePlane, connect: Connect
) -> None:
    v1, v2 = await origin(), await origin()
    served = await plane(v1, v2, limits={"idle_timeout_s": 0.05})
    client = await connect(served)
    response = await client.ask(post(b"xyz")[:-1])
    assert (response.status, response.get(b"connection")) == (408, b"close")
    assert await client.is_closed()
    await until(lambda: not v1.open and not v2.open, "both copies to break off")
    await served.ended("client_aborted")
