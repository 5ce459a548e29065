"""What comes first on a reused connection may belong to the request before: it is never the next one's response."""

from __future__ import annotations

import pytest

from tests.conftest import Connect, MakeOrigin, MakePlane
from tests.support.client import get, post
from tests.support.origin import OK, Script, Visit

GARBAGE = b"garbage\r\n\r\n"
TIMED_OUT = b"HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
LEFT_OVER = {"garbage": GARBAGE, "an idle timeout": TIMED_OUT, "half a head": b"HTTP/1.1 200 OK\r\ncont"}


def leaving_behind(left_over: bytes) -> Script:
    """Answer one request of the first connection, then send what answers no request; later connections are well."""

    async def serve(visit: Visit) -> None:
        while True:
            await visit.request()
            if visit.number == 0 and len(visit.origin.requests) > 1:
                await visit.send(left_over)
                return
            await visit.send(OK)

    return serve


@pytest.mark.parametrize("left_over", LEFT_OVER.values(), ids=LEFT_OVER.keys())
async def test_idempotent_request_is_sent_again_over_a_fresh_connection(
    origin: MakeOrigin, plane: MakePlane, connect: Connect, left_over: bytes
) -> None:
    v1 = await origin(leaving_behind(left_over))
    served = await plane(v1)
    client = await connect(served)
    for _ in range(3):
        assert (await client.ask(get())).status == 200
    assert served.count("upstream_retries_total", "v1", "stale_connection") == 1
    assert [visit.number for visit in v1.visits] == [0, 1]


@pytest.mark.parametrize("left_over", LEFT_OVER.values(), ids=LEFT_OVER.keys())
async def test_shadow_is_sent_again_over_a_fresh_connection(
    origin: MakeOrigin, plane: MakePlane, connect: Connect, left_over: bytes
) -> None:
    v2 = await origin(leaving_behind(left_over))
    served = await plane(await origin(), v2)
    client = await connect(served)
    for number in range(1, 4):
        await client.ask(get())
        await served.ended("completed", number)
    assert [visit.number for visit in v2.visits] == [0, 1]


@pytest.mark.parametrize(("left_over", "status"), [(GARBAGE, 502), (TIMED_OUT, 503)])
async def test_request_that_is_not_idempotent_fails_and_gets_no_left_over(
    origin: MakeOrigin, plane: MakePlane, connect: Connect, left_over: bytes, status: int
) -> None:
    v1 = await origin(leaving_behind(left_over))
    client = await connect(await plane(v1))
    assert (await client.ask(get())).status == 200
    assert (await client.ask(post(b"x"))).status == status
    assert len(v1.requests) == 2


async def test_garbage_on_a_fresh_connection_is_the_response(
    origin: MakeOrigin, plane: MakePlane, connect: Connect
) -> None:
    v1 = await origin(GARBAGE)
    client = await connect(await plane(v1))
    assert (await client.ask(get())).status == 502
    assert len(v1.requests) == 1


async def test_408_in_answer_to_a_request_passes(
    origin: MakeOrigin, plane: MakePlane, connect: Connect
) -> None:
    kept = TIMED_OUT.replace(b"connection: close\r\n", b"")

    async def answer(visit: Visit) -> None:
        while True:
            request = await visit.request()
            await visit.send(kept if request.target == b"/kept" else OK)

    client = await connect(await plane(await origin(TIMED_OUT)))
    assert (await client.ask(get())).status == 408, "on a fresh connection"
    client = await connect(await plane(await origin(answer)))
    assert (await client.ask(get())).status == 200
    assert (await client.ask(get(b"/kept"))).status == 408, "the connection stays open"


async def test_408_for_an_upload_that_has_not_ended_passes(
    origin: MakeOrigin, plane: MakePlane, connect: Connect
) -> None:
    async def lose_patience(visit: Visit) -> None:
        await visit.request()
        await visit.send(OK)
        await visit.head()
        await visit.send(TIMED_OUT)
        await visit.gone()

    client = await connect(await plane(await origin(lose_patience)))
    assert (await client.ask(get())).status == 200
    assert (await client.ask(post(b"abc")[:-1])).status == 408


POISON = {
    "length": b"HTTP/1.1 204 No Content\r\ncontent-length: 5\r\n\r\n",
    "length and body": b"HTTP/1.1 204 No Content\r\ncontent-length: 5\r\n\r\nhello",
    "chunks": b"HTTP/1.1 204 No Content\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
}


@pytest.mark.parametrize("poison", POISON.values(), ids=POISON.keys())
async def test_204_with_a_body_ends_its_connection(
    origin: MakeOrigin, plane: MakePlane, connect: Connect, poison: bytes
) -> None:
    async def answer(visit: Visit) -> None:
        while True:
            request = await visit.request()
            await visit.send(poison if request.method == b"DELETE" else OK)

    v1, v2 = await origin(answer), await origin(answer)
    served = await plane(v1, v2)
    client = await connect(served)
    for number in range(1, 5):
        assert (await client.ask(post(b"", method=b"DELETE"))).status == 204
        assert (await client.ask(get())).status == 200
        await served.ended("completed", 2 * number)
    assert len(v1.visits) == len(v2.visits) == 5
    assert served.count("upstream_retries_total", "v1", "stale_connection") == 0


@pytest.mark.parametrize("status", [b"200 OK", b"304 Not Modified"])
async def test_length_without_a_body_in_answer_to_head_or_as_304_keeps_the_connection(
    origin: MakeOrigin, plane: MakePlane, connect: Connect, status: bytes
) -> None:
    v1 = await origin(b"HTTP/1.1 %b\r\ncontent-length: 500\r\n\r\n" % status)
    client = await connect(await plane(v1))
    for _ in range(3):
        assert (await client.ask(get().replace(b"GET", b"HEAD"))).get(b"content-length") == b"500"
    assert len(v1.visits) == 1


async def test_bytes_after_a_response_to_head_end_its_connection(
    origin: MakeOrigin, plane: MakePlane, connect: Connect
) -> None:
    v1 = await origin(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello")
    client = await connect(await plane(v1))
    for _ in range(3):
        assert (await client.ask(get().replace(b"GET", b"HEAD"))).status == 200
    assert len(v1.visits) == 3
