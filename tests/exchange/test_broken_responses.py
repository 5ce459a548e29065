"""A response that its primary breaks off: what there is of it is delivered, and the client sees it broken."""

from __future__ import annotations

import asyncio

import pytest

from tests.conftest import Connect, MakeOrigin, MakePlane
from tests.support.client import get, post
from tests.support.origin import Script, Visit

SENT = 1_000_010
LENGTH = b"HTTP/1.1 200 OK\r\ncontent-length: 2000000\r\n\r\n"
CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n200000\r\n"
UNTIL_CLOSE = b"HTTP/1.1 200 OK\r\n\r\n"


def breaking_off(head: bytes) -> Script:
    async def serve(visit: Visit) -> None:
        await visit.head()
        await visit.send(head + b"x" * SENT)

    return serve


@pytest.mark.parametrize("head", [LENGTH, CHUNKED], ids=["length", "chunks"])
@pytest.mark.parametrize("receive_buffer", [None, 4096])
async def test_what_came_before_the_break_is_delivered_to_a_client_of_any_pace(
    origin: MakeOrigin, plane: MakePlane, connect: Connect, head: bytes, receive_buffer: int | None
) -> None:
    served = await plane(await origin(breaking_off(head)), send_buffer=32768)
    client = await connect(served, receive_buffer=receive_buffer)
    await client.send(get())
    assert (await client.head()).status == 200
    body = await client.rest()
    assert body.count(b"x") == SENT
    assert not body.endswith(b"0\r\n\r\n")
    assert served.count("requests_total", "r", "v1", "200") == 1


async def test_what_came_before_the_break_is_delivered_to_a_client_that_still_uploads(
    origin: MakeOrigin, plane: MakePlane, connect: Connect
) -> None:
    client = await connect(await plane(await origin(breaking_off(LENGTH)), send_buffer=32768))
    await client.send(post(b"x" * 100)[:-1])
    assert (await client.head()).status == 200
    await client.send(b"x")
    assert len(await client.rest()) == SENT


async def test_what_came_before_a_reset_during_an_upload_is_delivered(
    origin: MakeOrigin, plane: MakePlane, connect: Connect
) -> None:
    go = asyncio.Event()

    async def answer_and_reset(visit: Visit) -> None:
        await visit.head()
        await visit.send(LENGTH + b"x" * 300_000)
        await go.wait()
        visit.reset()

    client = await connect(await plane(await origin(answer_and_reset)))
    await client.send(post(b"x" * 1_000_000)[:-1])
    await client.head()
    body = await client.reader.readexactly(300_000)
    go.set()
    assert body + await client.rest() == b"x" * 300_000


async def test_only_a_reset_shows_a_client_of_http_1_0_that_a_response_without_a_length_is_broken(
    origin: MakeOrigin, plane: MakePlane, connect: Connect
) -> None:
    go = asyncio.Event()

    async def break_off(visit: Visit) -> None:
        await visit.head()
        await visit.send(CHUNKED + b"x" * 10)
        await go.wait()

    client = await connect(await plane(await origin(break_off)))
    await client.send(b"GET / HTTP/1.0\r\n\r\n")
    await client.head()
    await client.reader.readexactly(10)
    go.set()
    with pytest.raises(ConnectionResetError):
        await client.rest()


async def test_client_of_http_1_0_sees_a_length_that_is_not_reached(
    origin: MakeOrigin, plane: MakePlane, connect: Connect
) -> None:
    client = await connect(await plane(await origin(breaking_off(LENGTH))))
    await client.send(b"GET / HTTP/1.0\r\n\r\n")
    await client.head()
    assert len(await client.rest()) == SENT


async def test_body_without_a_length_that_ends_with_a_reset_lacks_its_last_chunk(
    origin: MakeOrigin, plane: MakePlane, connect: Connect
) -> None:
    go = asyncio.Event()

    async def reset_at_the_end(visit: Visit) -> None:
        await visit.head()
        await visit.send(UNTIL_CLOSE + b"x" * 10)
        await go.wait()
        visit.reset()

    client = await connect(await plane(await origin(reset_at_the_end)))
    await client.send(get())
    await client.head()
    assert await client.reader.readexactly(15) == b"a\r\nxxxxxxxxxx\r\n"
    go.set()
    assert await client.rest() == b""
