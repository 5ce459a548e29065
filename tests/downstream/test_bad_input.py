"""Malformed and ambiguous requests: a 4xx with one line, a closed connection, and nothing for anyone behind."""

from __future__ import annotations

import asyncio

import pytest

from tests.conftest import Connect, MakeOrigin, MakePlane
from tests.support.client import get
from tests.support.origin import OK, Visit
from tests.support.plane import until

HOST = b"host: shop\r\n"
POST = b"POST / HTTP/1.1\r\n" + HOST
GET = b"GET / HTTP/1.1\r\n" + HOST
CHUNKED = b"transfer-encoding: chunked\r\n"
REFUSED = {
    "length with chunked": (400, POST + b"content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n"),
    "chunked with length": (400, POST + CHUNKED + b"content-length: 5\r\n\r\n0\r\n\r\n"),
    "two lengths": (400, POST + b"content-length: 1\r\ncontent-length: 2\r\n\r\nab"),
    "the same length twice": (400, POST + b"content-length: 1\r\ncontent-length: 1\r\n\r\na"),
    "lengths in a list": (400, POST + b"content-length: 1, 1\r\n\r\na"),
    "negative length": (400, POST + b"content-length: -1\r\n\r\n"),
    "signed length": (400, POST + b"content-length: +1\r\n\r\na"),
    "hexadecimal length": (400, POST + b"content-length: 0x1\r\n\r\na"),
    "empty length": (400, POST + b"content-length: \r\n\r\n"),
    "endless length": (400, POST + b"content-length: 99999999999999999999\r\n\r\n"),
    "chunked not final": (400, POST + b"transfer-encoding: chunked, gzip\r\n\r\n0\r\n\r\n"),
    "coding before chunked": (400, POST + b"transfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n"),
    "chunked twice": (400, POST + CHUNKED + b"transfer-encoding: chunked\r\n\r\n0\r\n\r\n"),
    "identity": (400, POST + b"transfer-encoding: identity\r\n\r\n"),
    "chunked hidden by a control": (400, POST + b"transfer-encoding: \x0bchunked\r\n\r\n0\r\n\r\n"),
    "chunked in HTTP/1.0": (400, b"POST / HTTP/1.0\r\n" + HOST + b"transfer-encoding: chunked\r\n\r\n0\r\n\r\n"),
    "folded line": (400, GET + b"x: a\r\n b\r\n\r\n"),
    "folded first line": (400, b"GET / HTTP/1.1\r\n host: shop\r\n\r\n"),
    "space before colon": (400, b"GET / HTTP/1.1\r\nhost : shop\r\n\r\n"),
    "empty name": (400, GET + b": x\r\n\r\n"),
    "no colon": (400, GET + b"nothing\r\n\r\n"),
    "bare LF": (400, b"GET / HTTP/1.1\nhost: shop\n\n"),
    "bare LF inside": (400, GET + b"a: b\nc: d\r\n\r\n"),
    "bare CR": (400, GET + b"a: b\rc: d\r\n\r\n"),
    "NUL in a value": (400, GET + b"a: b\0c\r\n\r\n"),
    "NUL in the target": (400, b"GET /\0 HTTP/1.1\r\n" + HOST + b"\r\n"),
    "target with a space": (400, b"GET /a b HTTP/1.1\r\n" + HOST + b"\r\n"),
    "target with a fragment": (400, b"GET /a#b HTTP/1.1\r\n" + HOST + b"\r\n"),
    "target with raw bytes": (400, b"GET /\xff HTTP/1.1\r\n" + HOST + b"\r\n"),
    "no path": (400, b"GET shop HTTP/1.1\r\n" + HOST + b"\r\n"),
    "asterisk with GET": (400, b"GET * HTTP/1.1\r\n" + HOST + b"\r\n"),
    "other scheme": (400, b"GET ftp://shop/ HTTP/1.1\r\n" + HOST + b"\r\n"),
    "CONNECT": (405, b"CONNECT shop:443 HTTP/1.1\r\n" + HOST + b"\r\n"),
    "CONNECT with a path": (405, b"CONNECT / HTTP/1.1\r\n" + HOST + b"\r\n"),
    "no Host": (400, b"GET / HTTP/1.1\r\n\r\n"),
    "two Hosts": (400, GET + HOST + b"\r\n"),
    "two Hosts in HTTP/1.0": (400, b"GET / HTTP/1.0\r\n" + HOST + b"host: other\r\n\r\n"),
    "Host with a user": (400, b"GET / HTTP/1.1\r\nhost: me@shop\r\n\r\n"),
    "Host with a path": (400, b"GET / HTTP/1.1\r\nhost: shop/x\r\n\r\n"),
    "two users in the target": (400, b"GET http://me@you@shop/ HTTP/1.1\r\n" + HOST + b"\r\n"),
    "HTTP/2 preface": (400, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    "HTTP/2.0": (400, b"GET / HTTP/2.0\r\n" + HOST + b"\r\n"),
    "HTTP/0.9": (400, b"GET /\r\n\r\n"),
    "another protocol": (400, b"GET / RTSP/1.0\r\n" + HOST + b"\r\n"),
    "PRI": (400, b"PRI / HTTP/1.1\r\n" + HOST + b"\r\n"),
    "malformed method": (400, b"FR(B / HTTP/1.1\r\n" + HOST + b"\r\n"),
    "TLS to a plain port": (400, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n"),
    "unknown expectation": (417, POST + b"expect: 200-ok\r\ncontent-length: 1\r\n\r\na"),
    "too many lines": (431, GET + b"a: b\r\n" * 100 + b"\r\n"),
    "head too large": (431, GET + b"a: " + b"b" * 70_000 + b"\r\n\r\n"),
    "endless head": (431, b"GET /" + b"a" * 70_000),
    "bad chunk size": (400, POST + CHUNKED + b"\r\nxyz\r\n"),
    "empty chunk size": (400, POST + CHUNKED + b"\r\n\r\n"),
    "negative chunk size": (400, POST + CHUNKED + b"\r\n-1\r\n"),
    "huge chunk size": (400, POST + CHUNKED + b"\r\n" + b"f" * 17 + b"\r\n"),
    "chunk size and bare LF": (400, POST + CHUNKED + b"\r\n1\na\r\n0\r\n\r\n"),
}  # fmt: skip


@pytest.mark.parametrize(("status", "data"), REFUSED.values(), ids=REFUSED.keys())
async def test_what_is_malformed_is_refused_and_reaches_nobody(
    origin: MakeOrigin, plane: MakePlane, connect: Connect, status: int, data: bytes
) -> None:
    v1, v2 = await origin(), await origin()
    served = await plane(v1, v2)
    client = await connect(served)
    await client.send(data + get(b"/smuggled"))
    response = await client.response()
    assert response.status == status
    assert response.get(b"connection") == b"close"
    assert response.body.endswith(b"\n")
    assert response.body.count(b"\n") == 1
    assert len(response.body) > 5
    assert await client.is_closed()
    assert served.count("downstream_bad_requests_total", str(status)) == 1
    assert v1.requests == v2.requests == []
    assert v1.visits == v2.visits == []


@pytest.mark.parametrize("name", ["two Hosts", "length with chunked", "bare LF inside", "bad chunk size"])
async def test_what_is_malformed_is_refused_byte_by_byte_too(
    origin: MakeOrigin, plane: MakePlane, connect: Connect, name: str
) -> None:
    v1, v2 = await origin(), await origin()
    client = await connect(await plane(v1, v2))
    status, data = REFUSED[name]
    for byte in data.removesuffix(b"0\r\n\r\n"):
        client.writer.write(bytes([byte]))
        await asyncio.sleep(0)
    assert (await client.response()).status == status
    assert not any(request.is_complete for request in v1.requests + v2.requests)


BAD_CHUNKS = {
    "longer than its size": b"3\r\nabcd\r\n0\r\n\r\n",
    "no line end": b"3\r\nabc0\r\n\r\n",
    "bare LF": b"3\nabc\r\n0\r\n\r\n",
    "size with a sign": b"+3\r\nabc\r\n0\r\n\r\n",
    "space before the size": b" 3\r\nabc\r\n0\r\n\r\n",
    "bare CR in an extension": b"3;a\rb\r\nabc\r\n0\r\n\r\n",
    "bad trailer": b"0\r\nbad trailer\r\n\r\n",
    "folded trailer": b"0\r\na: b\r\n c\r\n\r\n",
}


@pytest.mark.parametrize("bad", BAD_CHUNKS.values(), ids=BAD_CHUNKS.keys())
async def test_a_malformed_chunk_breaks_both_copies_and_the_request_behind_it_is_not_served(
    origin: MakeOrigin, plane: MakePlane, connect: Connect, bad: bytes
) -> None:
    v1, v2 = await origin(), await origin()
    served = await plane(v1, v2)
    client = await connect(served)
    await client.send(b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n")
    await until(lambda: v1.requests and v2.requests and v2.requests[0].body == b"ab", "the first chunk")
    await client.send(bad + get(b"/behind"))
    response = await client.response()
    assert (response.status, response.get(b"connection")) == (400, b"close")
    assert await client.is_closed()
    await until(lambda: not v1.open and not v2.open, "both copies to break off")
    for upstream in (v1, v2):
        assert [(bytes(request.body), request.is_complete) for request in upstream.requests] == [
            (b"ab", False)
        ]
    await served.ended("client_aborted")


async def test_malformed_chunk_after_the_response_began_leaves_the_response_short(
    origin: MakeOrigin, plane: MakePlane, connect: Connect
) -> None:
    async def answer_half(visit: Visit) -> None:
        await visit.head()
        await visit.send(OK[:-1])
        await visit.gone()

    client = await connect(await plane(await origin(answer_half)))
    await client.send(b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n")
    await client.head()
    await client.send(b"xyz\r\n\r\n")
    assert await client.rest() == OK[-2:-1]


async def test_valid_requests_before_a_bad_one_are_answered_first(
    origin: MakeOrigin, plane: MakePlane, connect: Connect
) -> None:
    v1 = await origin()
    client = await connect(await plane(v1))
    await client.send(get(b"/1") + get(b"/2") + b"bad\r\n\r\n")
    assert [(await client.response()).status for _ in range(3)] == [200, 200, 400]
    assert await client.is_closed()
    assert len(v1.requests) == 2


async def test_empty_lines_before_a_request_are_ignored(
    origin: MakeOrigin, plane: MakePlane, connect: Connect
) -> None:
    client = await connect(await plane(await origin()))
    for _ in range(2):
        assert (await client.ask(b"\r\n\r\n" + get())).status == 200
