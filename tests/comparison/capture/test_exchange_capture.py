"""Requests that are captured: what the comparer is given of both answers, and what the client gets all the same."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

from mirror_proxy import control
from mirror_proxy.comparison.capture import capture
from mirror_proxy.comparison.diff.pair import Pair
from mirror_proxy.config.model import (
    Compare,
    Config,
    Destination,
    HeaderOps,
    Mirroring,
    RetryPolicy,
    Rewrite,
    Share,
)
from tests.conftest import Connect, MakeOrigin, MakePlane
from tests.support.client import chunked, get, post
from tests.support.origin import OK, Visit, answering
from tests.support.pair_pipe import ALL, PairPipe, compared, lost
from tests.support.plane import Plane, free_port, make_config, until
from tests.support.routes import clusters_of, config_of, route


async def pairs_of(served: Plane, pipe: PairPipe, request: bytes, connect: Connect) -> Pair:
    await (await connect(served)).ask(request)
    return await pipe.pair()


async def test_the_comparer_is_given_both_answers_and_the_request(
    origin: MakeOrigin, plane: MakePlane, connect: Connect, pipe: PairPipe
) -> None:
    v1 = await origin(b"HTTP/1.1 201 Created\r\nX-Version: 1\r\ncontent-length: 3\r\n\r\none")
    v2 = await origin(b"HTTP/1.1 500 Oh\r\nx-version: 2\r\ncontent-length: 5\r\n\r\nthree")
    served = await plane(compared(v1, v2), pairs=pipe.pairs)
    before = time.time()
    pair = await pairs_of(served, pipe, get(b"/items?a=b", b"X-Request-Id: 17", b"Cookie: c"), connect)
    assert (pair.kind, pair.route, pair.mirror, pair.destination) == ("mirror", "r", "mirror", "v1")
    assert (pair.method, pair.target, pair.request_id) == ("GET", "/items?a=b", "17")
    assert before <= pair.time <= time.time()
    assert pair.fields.split(b"\r\n") == [*v1.requests[0].lines, b""]
    first, second = pair.primary, pair.shadow
    assert (first.status, first.fields) == (201, b"X-Version: 1\r\ncontent-length: 3\r\n")
    assert (second.status, second.fields) == (500, b"x-version: 2\r\ncontent-length: 5\r\n")
    assert (first.body, first.size, second.body, second.size) == (b"one", 3, b"three", 5)
    assert first.is_whole
    assert 0 < first.first_byte_s <= first.duration_s
    assert 0 < second.first_byte_s <= second.duration_s
    await served.ended("completed")
    assert not lost(served)


async def test_an_answer_is_as_its_upstream_sent_it_and_the_request_as_the_primary_got_it(
    origin: MakeOrigin, plane: MakePlane, connect: Connect, pipe: PairPipe
) -> None:
    v1, v2 = await origin(), await origin()
    config = compared(
        v1,
        v2,
        rewrite=Rewrite(path="/new"),
        request_headers=HeaderOps(set=(("x-in", "1"),)),
        response_headers=HeaderOps(set=(("x-out", "1"),)),
    )
    served = await plane(config, pairs=pipe.pairs)
    client = await connect(served)
    answer = await client.ask(get(b"/old"))
    pair = await pipe.pair()
    assert answer.get(b"x-out") == b"1"
    assert pair.primary.fields == pair.shadow.fields == b"content-length: 2\r\n"
    assert pair.target.encode() == v1.requests[0].target != b"/old"
    assert b"x-in: 1\r\n" in pair.fields


LENGTH = b"HTTP/1.1 200 OK\r\ncontent-length: 11\r\n\r\nhello world"
FORMS = {
    "length": (LENGTH, b"hello world"),
    "empty": (b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", b""),
    "no content": (b"HTTP/1.1 204 No Content\r\n\r\n", b""),
    "not modified": (b"HTTP/1.1 304 Not Modified\r\netag: x\r\ncontent-length: 11\r\n\r\n", b""),
    "interim": (b"HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n" + LENGTH, b"hello world"),
    "chunked": (
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
        + chunked(b"hello", b" ", b"world", trailers=b"x-end: 1\r\n"),
        b"hello world",
    ),
    "chunk extension": (
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n6\r\n world\r\n0\r\n\r\n",
        b"hello world",
    ),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("minor", "is_split"), [(1, False), (1, True), (0, False), (0, True)])
async def test_answers_of_every_form_are_captured_and_reach_the_client_as_without_it(  # noqa: PLR0917
    origin: MakeOrigin,
    plane: MakePlane,
    connect: Connect,
    pipe: PairPipe,
    form: str,
    minor: int,
    is_split: bool,
) -> None:
    answer, body = FORMS[form]

    async def serve(visit: Visit) -> None:
        while True:
            await visit.request()
            cut = len(answer) // 2 if is_split else len(answer)
            await visit.send(answer[:cut])
            if is_split:
                await visit.send(answer[cut:])

    request = b"GET / HTTP/1.%d\r\nhost: a\r\nx-request-id: 1\r\n\r\n" % minor
    seen = []
    for compare in (ALL, Compare()):
        v1, v2 = await origin(serve), await origin(serve)
        served = await plane(compared(v1, v2, compare), pairs=pipe.pairs if compare is ALL else None)
        client = await connect(served)
        await client.send(request[:-2] + b"connection: close\r\n\r\n")
        seen.append(await client.rest())
        await served.ended("completed")
    pair = await pipe.pair()
    assert seen[0] == seen[1]
    assert pair.primary.body == pair.shadow.body == body
    assert pair.primary.size == pair.shadow.size == len(body)
    assert not pipe.all()


async def test_a_body_that_ends_with_the_connection_is_captured(
    origin: MakeOrigin, plane: MakePlane, connect: Connect, pipe: PairPipe
) -> None:
    async def serve(visit: Visit) -> None:
        await visit.request()
        await visit.send(b"HTTP/1.1 200 OK\r\n\r\nfirst ")
        await visit.send(b"second")

    served = await plane(compared(await origin(serve), await origin(serve)), pairs=pipe.pairs)
    answer = await (await connect(served)).ask(get())
    assert answer.body == b"first second"
    pair = await pipe.pair()
    assert pair.primary.body == pair.shadow.body == b"first second"
    assert pair.primary.is_whole
    assert pair.shadow.is_whole


async def test_an_answer_to_head_has_no_body(
    origin: MakeOrigin, plane: MakePlane, connect: Connect, pipe: PairPipe
) -> None:
    answer = b"HTTP/1.1 200 OK\r\ncontent-length: 900\r\n\r\n"
    served = await plane(compared(await origin(answer), await origin(answer)), pairs=pipe.pairs)
    pair = await pairs_of(served, pipe, b"HEAD / HTTP/1.1\r\nhost: a\r\n\r\n", connect)
    assert pair.method == "HEAD"
    assert (pair.primary.body, pair.primary.size, pair.primary.is_whole) == (b"", 0, True)


async def test_of_a_large_body_the_beginning_is_kept_and_the_size_said(
    origin: MakeOrigin, plane: MakePlane, connect: Connect, pipe: PairPipe
) -> None:
    body = bytes(range(256)) * 4000
    plain = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body)
    in_chunks = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n" + chunked(body[:9999], body[9999:])
    compare = Compare(share=Share(100), max_body_bytes=1000)
    served = await plane(compared(await origin(plain), await origin(in_chunks), compare), pairs=pipe.pairs)
    assert (await (await connect(served)).ask(get())).body == body
    pair = await pipe.pair()
    assert pair.primary.body == pair.shadow.body == body[:1000]
    assert pair.primary.size == pair.shadow.size == len(body)
    assert not pair.primary.is_whole


@pytest.mark.parametrize("size", [0, 3, 16 * 1024, 100_000])
@pytest.mark.parametrize("is_chunked", [False, True])
async def test_of_the_request_s_body_too_the_beginning_is_kept_and_its_size(
    origin: MakeOrigin, plane: MakePlane, connect: Connect, pipe: PairPipe, is_chunked: bool, size: int
) -> None:
    body = (bytes(range(256)) * 400)[:size]
    request = post(body)
    if is_chunked:
        halves = [half for half in (body[: size // 2], body[size // 2 :]) if half]
        request = b"POST / HTTP/1.1\r\nhost: shop\r\ntransfer-encoding: chunked\r\n\r\n" + chunked(*halves)
    v1, nobody = await origin(), free_port()
    mirrors = (nobody, (await origin()).port, (await origin()).port)
    served = await plane(make_config(v1.port, *mirrors, settings={"compare": ALL}), pairs=pipe.pairs)
    await (await connect(served)).ask(request)
    for pair in (await pipe.pair(), await pipe.pair()):
        assert (pair.body, pair.size) == (body[: 16 * 1024], size)
    assert v1.requests[0].body == body
    await served.ended("completed", mirror="mirror#2")
    await served.ended("completed", mirror="mirror#3")
    assert served.inner.captured_bytes == 0


@pytest.mark.parametrize("is_chunked", [False, True])
async def test_a_mirror_s_answer_that_is_not_read_to_its_end_says_so(
    origin: MakeOrigin, plane: MakePlane, connect: Connect, pipe: PairPipe, is_chunked: bool
) -> None:
    body = bytes(3 << 20)
    answer = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body)
    if is_chunked:
        answer = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n" + chunked(body)
    served = await plane(compared(await origin(), await origin(answer)), pairs=pipe.pairs)
    pair = await pairs_of(served, pipe, get(), connect)
    assert len(pair.shadow.body) == ALL.max_body_bytes
    assert not pair.shadow.is_whole
    assert pair.shadow.size == len(body) if not is_chunked else 1 << 20 <= pair.shadow.size <= len(body)


async def test_each_mirror_gets_a_pair_and_a_slow_one_gets_it_late(
    origin: MakeOrigin, plane: MakePlane, connect: Connect, pipe: PairPipe
) -> None:
    first, second = await origin(), await origin(b"HTTP/1.1 404 No\r\ncontent-length: 0\r\n\r\n")
    v1 = await origin()
    config = make_config(v1.port, first.port, second.port, settings={"compare": ALL})
    served = await plane(config, pairs=pipe.pairs)
    await (await connect(served)).ask(post(b"body"))
    pairs = {pair.mirror: pair for pair in (await pipe.pair(), await pipe.pair())}
    assert pairs["mirror"].shadow.status == 200
    assert pairs["mirror#2"].shadow.status == 404
    assert pairs["mirror"].primary == pairs["mirror#2"].primary


async def test_of_several_attempts_the_answer_that_the_client_got_counts(
    origin: MakeOrigin, plane: MakePlane, connect: Connect, pipe: PairPipe
) -> None:
    answers = iter([b"HTTP/1.1 503 No\r\ncontent-length: 4\r\n\r\nlate", OK])
    v1, v2 = await origin(answering(lambda _request: next(answers))), await origin()
    retries = RetryPolicy(on=frozenset({"5xx"}))
    served = await plane(compared(v1, v2, retries=retries), pairs=pipe.pairs)
    pair = await pairs_of(served, pipe, get(), connect)
    assert (pair.primary.status, pair.primary.body) == (200, b"ok")
    assert len(v1.requests) == 2


async def test_an_answer_of_the_proxy_s_own_makes_no_pair(
    origin: MakeOrigin, plane: MakePlane, connect: Connect, pipe: PairPipe
) -> None:
    async def refuse(visit: Visit) -> None:
        await visit.request()
        visit.reset()

    served = await plane(compared(await origin(refuse), await origin()), pairs=pipe.pairs)
    assert (await (await connect(served)).ask(post(b"x"))).status == 503
    await served.ended("completed")
    assert lost(served) == {"no_answer": 1}
    assert not pipe.all()


async def test_a_request_that_is_not_mirrored_makes_no_pair(
    origin: MakeOrigin, plane: MakePlane, connect: Connect, pipe: PairPipe
) -> None:
    mirroring = Mirroring(methods=frozenset({"POST"}))
    served = await plane(compared(await origin(), await origin(), mirroring=mirroring), pairs=pipe.pairs)
    client = await connect(served)
    await client.ask(get())
    await client.ask(get(b"/", b"connection: upgrade", b"upgrade: websocket"))
    assert served.outcomes() == {"method": 1, "upgrade": 1}
    assert not pipe.all()
    assert not lost(served)


async def test_a_throw_of_its_own_decides_for_each_request(
    origin: MakeOrigin,
    plane: MakePlane,
    connect: Connect,
    pipe: PairPipe,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    throws = iter([9, 10, 109, 55])
    monkeypatch.setattr(capture, "_getrandbits", lambda _bits: next(throws))
    served = await plane(compared(await origin(), await origin(), Compare(share=Share(10))), pairs=pipe.pairs)
    client = await connect(served)
    for number in range(4):
        await client.ask(get(b"/%d" % number))
    await served.ended("completed", 4)
    assert [pair.target for pair in pipe.all()] == ["/0", "/2"]


async def test_one_throw_serves_all_mirrors_of_a_request(
    origin: MakeOrigin,
    plane: MakePlane,
    connect: Connect,
    pipe: PairPipe,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    throws = iter([99, 0])
    monkeypatch.setattr(capture, "_getrandbits", lambda _bits: next(throws))
    v1, v2 = await origin(), await origin()
    settings = {"compare": Compare(share=Share(10))}
    served = await plane(make_config(v1.port, v2.port, v2.port, settings=settings), pairs=pipe.pairs)
    client = await connect(served)
    for number in range(2):
        await client.ask(get(b"/%d" % number))
    for name in ("mirror", "mirror#2"):
        await served.ended("completed", 2, name)
    assert sorted((pair.target, pair.mirror) for pair in pipe.all()) == [("/1", "mirror"), ("/1", "mirror#2")]


async def test_routes_have_shares_of_their_own_and_a_reload_changes_them(
    origin: MakeOrigin, plane: MakePlane, connect: Connect, pipe: PairPipe
) -> None:
    v1, v2 = await origin(), await origin()

    def configured(compare: Compare) -> Config:
        return compared(v1, v2, compare)

    served = await plane(configured(Compare(shares=(("other", Share(100)),))), pairs=pipe.pairs)
    client = await connect(served)
    for number, compare in enumerate(
        (
            Compare(shares=(("r", Share(100)),), max_body_bytes=1),
            Compare(share=Share(100), shares=(("r", Share(0)),)),
            ALL,
        )
    ):
        await client.ask(get(b"/%d" % number))
        changed = configured(compare)
        parts = map(control.part_from, control.parts_of(changed))
        await served.inner.prepare(number + 2, changed.settings, parts)
        await served.inner.commit(())
    await client.ask(get(b"/3"))
    await served.ended("completed", 4)
    assert [(pair.target, pair.primary.body) for pair in pipe.all()] == [("/1", b"o"), ("/3", b"ok")]


async def test_without_a_comparer_nothing_is_captured(
    origin: MakeOrigin, plane: MakePlane, connect: Connect
) -> None:
    served = await plane(compared(await origin(), await origin()))
    await (await connect(served)).ask(get())
    await served.ended("completed")
    assert not lost(served)


async def test_the_answers_of_several_destinations_are_told_apart(
    origin: MakeOrigin, plane: MakePlane, connect: Connect, pipe: PairPipe
) -> None:
    v1, canary, v2 = await origin(), await origin(), await origin()
    made = replace(
        route("r", "v1"),
        destinations=(Destination("v1", "v1", 0), Destination("canary", "canary", 1)),
        mirrors=make_config(1, 2).virtual_hosts[0].routes[0].mirrors,
    )
    config = config_of(made, clusters=clusters_of(v1=v1, canary=canary, mirror=v2), settings={"compare": ALL})
    served = await plane(config, pairs=pipe.pairs)
    pair = await pairs_of(served, pipe, get(), connect)
    assert pair.destination == "canary"
    await until(lambda: canary.requests, "the request")
