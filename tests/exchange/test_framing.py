"""Where messages end: every framing of a body, for clients of both versions."""

from __future__ import annotations

from asyncio import Event, IncompleteReadError, sleep

import pytest

from mirror_proxy.config.model import HeaderOps, Http1
from tests.conftest import Connect, MakeOrigin, MakePlane
from tests.support.client import chunked, get, post
from tests.support.message import read_body
from tests.support.origin import OK, Visit

POST_CHUNKED = b"POST /upload HTTP/1.1\r\nhost: shop\r\ntransfer-encoding: chunked\r\n\r\n"


async def test_a_body_with_content_length_arrives_whole(
    origin: MakeOrigin, plane: MakePlane, connect: Connect
) -> None:
    v1 = await origin()
    client = await connect(await plane(v1))
    body = bytes(range(256)) * 1000
    assert (await client.ask(post(body))).status == 200
    assert v1.requests[0].body == body
    assert v1.requests[0].get(b"content-length") == b"256000"


TRAILERS = {"http1": Http1(trailers=True)}


async def test_a_chunked_body_sent_byte_by_byte_arrives_whole(
    origin: MakeOrigin, plane: MakePlane, connect: Connect
) -> None:
    v1 = await origin()
    client = await connect(await plane(v1))
    await client.send(POST_CHUNKED)
    for byte in chunked(b"first", b"second", trailers=b"x-sum: 1\r\n"):
        await client.send(bytes([byte]))
    assert (await client.response()).status == 200
    request = v1.requests[0]
    assert (request.body, request.trailers) == (b"firstsecond", [])


async def test_trailers_of_a_request_are_dropped_unless_the_settings_forward_them(
    origin: MakeOrigin, plane: MakePlane, connect: Connect
) -> None:
    v1, v2 = await origin(), await origin()
    trailers = b"x-sum:1\r\nContent-Length: 5\r\nhost: evil\r\nx-last: 2\r\n"
    for settings, expected in (({}, []), (TRAILERS, [b"x-sum: 1", b"x-last: 2"])):
        served = await plane(v1, v2, settings=settings)
        await (await connect(served)).ask(POST_CHUNKED + chunked(b"a", trailers=trailers))
        await served.ended("completed")
        assert v1.requests[-1].trailers == expected
        assert v2.requests[-1].trailers == expected


async def test_trailers_of_a_response_are_dropped_unless_the_settings_forward_them(
    origin: MakeOrigin, plane: MakePlane, connect: Connect
) -> None:
    head = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
    v1 = await origin(head + chunked(b"one", b"two", trailers=b"x-sum: 3\r\ncontent-length: 1\r\n"))
    for settings, expected in (({}, []), (TRAILERS, [b"x-sum: 3"])):
        client = await connect(await plane(v1, settings=settings))
        for _ in range(2):
            response = await client.ask(get(b"/", b"te: trailers"))
            assert (response.body, response.trailers) == (b"onetwo", expected)


@pytest.mark.parametrize(
    "body",
    [
        b"3;name=value\r\nabc\r\n0;last\r\n\r\n",
        b"0003\r\nabc\r\n0\r\nG:T /smuggled HTTP/1.1\r\n\r\n",
        b"1\r\na\r\n1\r\nb\r\n1 \r\nc\r\n000\r\n\r\n",
    ],
)
async def test_no_framing_of_the_client_reaches_an_upstream(
    origin: MakeOrigin, plane: MakePlane, connect: Connect, body: bytes
) -> None:
    seen = []

    async def keep_bytes(visit: Visit) -> None:
        await visit.head()
        seen.append(await visit.reader.readuntil(b"0\r\n\r\n"))
        await visit.send(OK)
        await visit.gone()

    served = await plane(await origin(keep_bytes), await origin(keep_bytes))
    assert (await (await connect(served)).ask(POST_CHUNKED + body)).status == 200
    await served.ended("completed")
    assert seen == [b"3\r\nabc\r\n0\r\n\r\n"] * 2


async def test_no_framing_of_an_upstream_reaches_the_client(
    origin: MakeOrigin, plane: MakePlane, connect: Connect
) -> None:
    head = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
    v1 = await origin(head + b"003;x=y\r\nabc\r\n1\r\nd\r\n0\r\nG:T / HTTP/1.1\r\n\r\n")
    client = await connect(await plane(v1))
    await client.send(get())
    assert (await client.reader.readuntil(b"0\r\n\r\n")).endswith(b"\r\n\r\n4\r\nabcd\r\n0\r\n\r\n")


async def test_a_response_to_head_ends_with_its_head(
    origin: MakeOrigin, plane: MakePlane, connect: Connect
) -> None:
    v1 = await origin(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n")
    client = await connect(await plane(v1))
    for _ in range(2):
        response = await client.ask(b"HEAD / HTTP/1.1\r\nhost: a\r\n\r\n")
        assert response.get(b"content-length") == b"1000"
    assert len(v1.visits) == 1


@pytest.mark.parametrize("status", [b"204 No Content", b"304 Not Modified"])
async def test_responses_without_a_body_end_with_their_head(
    origin: MakeOrigin, plane: MakePlane, connect: Connect, status: bytes
) -> None:
    v1 = await origin(b"HTTP/1.1 " + status + b"\r\netag: x\r\n\r\n")
    client = await connect(await plane(v1))
    for _ in range(2):
        assert (await client.ask(get())).lines == [b"etag: x"]
    assert len(v1.visits) == 1


async def test_a_304_may_name_the_length_it_does_not_send(
    origin: MakeOrigin, plane: MakePlane, connect: Connect
) -> None:
    v1 = await origin(b"HTTP/1.1 304 Not Modified\r\ncontent-length: 99\r\n\r\n")
    client = await connect(await plane(v1))
    assert [(await client.ask(get())).get(b"content-length") for _ in range(2)] == [b"99", b"99"]


async def _until_close(visit: Visit) -> None:
    await visit.request()
    await visit.send(b"HTTP/1.0 200 OK\r\nserver: old\r\n\r\nall of")
    await visit.send(b" it")


async def test_a_response_until_close_is_chunked_for_an_http_1_1_client(
    origin: MakeOrigin, plane: MakePlane, connect: Connect
) -> None:
    client = await connect(await plane(await origin(_until_close)))
    for _ in range(2):
        response = await client.ask(get())
        assert response.start == b"HTTP/1.1 200 OK"
        assert response.get(b"transfer-encoding") == b"chunked"
        assert response.body == b"all of it"


async def test_a_response_until_close_stays_so_for_an_http_1_0_client(
    origin: MakeOrigin, plane: MakePlane, connect: Connect
) -> None:
    client = await connect(await plane(await origin(_until_close)))
    await client.send(b"GET / HTTP/1.0\r\nhost: a\r\nconnection: keep-alive\r\n\r\n")
    head, _, body = (await client.rest()).partition(b"\r\n\r\n")
    assert body == b"all of it"
    assert b"connection: close" in head
    assert b"transfer-encoding" not in head


async def test_an_http_1_0_client_gets_a_chunked_response_as_plain_bytes(
    origin: MakeOrigin, plane: MakePlane, connect: Connect
) -> None:
    answer = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n" + chunked(b"one", b"two")
    client = await connect(await plane(await origin(answer)))
    await client.send(b"GET / HTTP/1.0\r\nhost: a\r\n\r\n")
    head, _, body = (await client.rest()).partition(b"\r\n\r\n")
    assert body == b"onetwo"
    assert b"chunked" not in head


async def test_an_http_1_0_client_is_kept_alive_only_when_it_asks(
    origin: MakeOrigin, plane: MakePlane, connect: Connect
) -> None:
    v1 = await origin()
    served = await plane(v1)
    client = await connect(served)
    request = b"GET / HTTP/1.0\r\nhost: a\r\nconnection: keep-alive\r\n\r\n"
    for _ in range(2):
        assert (await client.ask(request)).get(b"connection") == b"keep-alive"
    plain = await connect(served)
    await plain.send(b"GET / HTTP/1.0\r\n\r\n")
    assert b"connection: close\r\n" in await plain.rest()
    assert all(request.start.endswith(b"HTTP/1.1") for request in v1.requests)
    assert v1.requests[2].get(b"host") == b"127.0.0.1:%d" % v1.port


async def test_connection_close_from_the_client_is_honoured_and_pipelined_bytes_are_not_served(
    origin: MakeOrigin, plane: MakePlane, connect: Connect
) -> None:
    v1 = await origin()
    client = await connect(await plane(v1))
    await client.send(get(b"/last", b"connection: close") + get(b"/never"))
    assert (await client.response()).get(b"connection") == b"close"
    assert await client.is_closed()
    assert [request.target for request in v1.requests] == [b"/last"]


async def test_connection_close_from_the_primary_costs_only_its_own_connection(
    origin: MakeOrigin, plane: MakePlane, connect: Connect
) -> None:
    v1 = await origin(OK.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
    client = await connect(await plane(v1))
    for _ in range(2):
        assert (await client.ask(get())).get(b"connection") is None
    assert len(v1.visits) == 2


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nshort",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nshort\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\na\r\nshort",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nshort\r\n0\r\n",
    ],
    ids=["content-length", "between chunks", "inside a chunk", "before the last line"],
)
@pytest.mark.parametrize("ending", ["close", "reset"])
async def test_a_response_cut_short_breaks_the_client_s_response(
    origin: MakeOrigin, plane: MakePlane, connect: Connect, answer: bytes, ending: str
) -> None:
    forwarded = Event()

    async def cut_short(visit: Visit) -> None:
        await visit.request()
        await visit.send(answer)
        await forwarded.wait()
        if ending == "reset":
            visit.reset()

    client = await connect(await plane(await origin(cut_short)))
    await client.send(get())
    head = await client.head()
    forwarded.set()
    with pytest.raises((IncompleteReadError, ConnectionResetError)):
        await read_body(client.reader, head)


@pytest.mark.parametrize("version", [b"1.1", b"1.0"])
async def test_a_response_until_close_that_is_reset_breaks_the_client_s_response(
    origin: MakeOrigin, plane: MakePlane, connect: Connect, version: bytes
) -> None:
    forwarded = Event()

    async def reset(visit: Visit) -> None:
        await visit.request()
        await visit.send(b"HTTP/1.0 200 OK\r\n\r\nsome of it")
        await forwarded.wait()
        visit.reset()

    client = await connect(await plane(await origin(reset)))
    await client.send(b"GET / HTTP/%b\r\nhost: a\r\n\r\n" % version)
    head = await client.head()
    forwarded.set()
    with pytest.raises((IncompleteReadError, ConnectionResetError)):
        await read_body(client.reader, head, until_close=True)


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 204 No Content\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n",
        b"HTTP/1.1 103 Early Hints\r\n\r\n" + OK,
    ],
)
async def test_heads_without_any_line_stay_whole(
    origin: MakeOrigin, plane: MakePlane, connect: Connect, head: bytes
) -> None:
    async def answer(visit: Visit) -> None:
        await visit.request()
        await visit.send(head)

    served = await plane(await origin(answer), response_headers=HeaderOps(add=(("x-by", "proxy"),)))
    client = await connect(served)
    response = await client.ask(get())
    if response.status == 103:
        response = await client.response()
    assert response.get(b"x-by") == b"proxy"
    assert response.body in (b"", b"ok")
    assert (await client.ask(get())).status in (200, 204, 103)


async def test_a_large_head_in_small_segments_ends_where_it_ends(
    origin: MakeOrigin, plane: MakePlane, connect: Connect
) -> None:
    v1 = await origin()
    client = await connect(await plane(v1))
    lines = [b"x-%d: " % number + b"v" * 1000 for number in range(60)]
    data = get(b"/", *lines)
    for cut in range(1, 5):
        end = len(data) - cut
        segments = [data[at : min(at + 997, end)] for at in range(0, end, 997)]
        for segment in [*segments, *(bytes([byte]) for byte in data[end:])]:
            await client.send(segment)
            await sleep(0)  # for the proxy to read it
        assert (await client.response()).status == 200
        sent = v1.requests[-1]
        assert [line for line in sent.lines if line.startswith(b"x-") and line in lines] == lines
