"""Peers that make work: a turn of the loop is bounded, whoever sends what, and others are served meanwhile."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator

import pytest

from mirror_proxy import flow
from mirror_proxy.config.model import Breaker, Mirroring
from mirror_proxy.downstream.connection import DownstreamConnection
from mirror_proxy.http1.chunked import SLICE_LINES, ChunkedReader
from tests.conftest import Connect, MakeOrigin, MakePlane
from tests.support.client import Client, get
from tests.support.origin import OK, Script, Visit, answering
from tests.support.plane import Plane, until

POST_CHUNKED = b"POST /flood HTTP/1.1\r\nhost: shop\r\ntransfer-encoding: chunked\r\n\r\n"
CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
ROLES = ("client", "primary", "mirror")
#: 64 KiB of options, as many lines as a head may have.
HINTS = b"HTTP/1.1 103 Early Hints\r\n" + (b"connection: %b\r\n" % (b"x," * 300)) * 99 + b"\r\n"


def sending(head: bytes, body: bytes) -> Script:
    """Answer `/flood` with `body`, anything else at once."""

    async def serve(visit: Visit) -> None:
        while True:
            request = await visit.request()
            await visit.send(head + body if request.target == b"/flood" else OK)

    return serve


async def flooded(role: str, body: bytes, origin: MakeOrigin, plane: MakePlane, **changes: object) -> Plane:
    """Serve with one peer that sends `body` for `/flood`."""
    script = sending(CHUNKED, body)
    v1 = await origin(script if role == "primary" else answering(OK))
    v2 = await origin(script if role == "mirror" else answering(OK))
    return await plane(v1, v2, **changes)


async def begin_flood(role: str, body: bytes, served: Plane, client: Client) -> None:
    client.writer.write(POST_CHUNKED + body if role == "client" else get(b"/flood"))
    await until(lambda: served.count("downstream_requests_active") or served.outcomes(), "the flood")


@pytest.fixture
def chunks_per_turn(monkeypatch: pytest.MonkeyPatch) -> Iterator[Counter[int]]:
    """Count what is read of chunked bodies in each turn of the loop; the queue is served one slice per turn."""
    seen: Counter[int] = Counter()
    turn, now = 0, 0.0
    feed = ChunkedReader.feed

    def next_turn() -> None:
        nonlocal turn
        turn += 1
        if turn < 100_000:
            asyncio.get_running_loop().call_soon(next_turn)

    def counted(reader: ChunkedReader, data: bytes, at: int = 0) -> int:
        if not turn:
            next_turn()
        stop = feed(reader, data, at)
        seen[turn] += data.count(b"\n", at, stop)
        return stop

    def clock() -> float:
        nonlocal now
        now += flow.TURN_S
        return now

    monkeypatch.setattr(ChunkedReader, "feed", counted)
    monkeypatch.setattr(flow, "perf_counter", clock)
    yield seen
    turn = 100_000


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("size", [1, 16])
async def test_turn_of_the_loop_reads_a_slice_of_tiny_chunks(
    origin: MakeOrigin,
    plane: MakePlane,
    connect: Connect,
    chunks_per_turn: Counter[int],
    role: str,
    size: int,
) -> None:
    count = 5_000
    body = b"%x\r\n%b\r\n" % (size, b"x" * size) * count + b"0\r\n\r\n"
    served = await flooded(role, body, origin, plane)
    client = await connect(served)
    await client.send(POST_CHUNKED + body if role == "client" else get(b"/flood"))
    response = await client.response()
    assert response.status == 200
    await served.ended("completed")
    assert sum(chunks_per_turn.values()) >= 2 * count
    assert max(chunks_per_turn.values()) <= 2 * SLICE_LINES, "what one read brings, and one turn of the queue"


@pytest.mark.parametrize("role", ROLES)
async def test_other_clients_are_answered_while_a_flood_of_chunks_is_worked_off(
    origin: MakeOrigin, plane: MakePlane, connect: Connect, role: str
) -> None:
    body = b"1\r\nx\r\n" * 300_000 + b"0\r\n\r\n"
    served = await flooded(role, body, origin, plane)
    client, other = await connect(served), await connect(served)
    await begin_flood(role, body, served, client)
    for _ in range(5):
        assert (await other.ask(get())).status == 200
    assert served.count("mirror_in_flight", "mirror") or served.count("downstream_requests_active")
    assert (await client.response()).status == 200
    await served.ended("completed", 6)


async def test_pipelined_requests_take_turns_with_other_clients(
    origin: MakeOrigin, plane: MakePlane, connect: Connect
) -> None:
    count = 3_000
    v1 = await origin()
    served = await plane(v1)
    client, other = await connect(served), await connect(served)
    client.writer.write(get() * count)
    await until(lambda: v1.requests, "the first")
    assert (await other.ask(get(b"/other"))).status == 200
    assert [request.target for request in v1.requests].index(b"/other") < count / 2
    for _ in range(count):
        await client.response()


async def test_pipelined_bodies_are_taken_one_by_one(
    origin: MakeOrigin, plane: MakePlane, connect: Connect
) -> None:
    v1 = await origin()
    client = await connect(await plane(v1))
    requests = [
        POST_CHUNKED + b"2\r\n%02d\r\n0\r\n\r\n" % number
        if number % 2
        else b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\n%02d" % number
        for number in range(100)
    ]
    client.writer.write(b"\r\n".join(requests))  # with an empty line before each
    for _ in requests:
        assert (await client.response()).status == 200
    assert [bytes(request.body) for request in v1.requests] == [b"%02d" % number for number in range(100)]


async def test_empty_lines_before_a_request_are_limited(
    origin: MakeOrigin, plane: MakePlane, connect: Connect
) -> None:
    served = await plane(await origin(), limits={"max_head_bytes": 1000})
    client = await connect(served)
    assert (await client.ask(b"\r\n" * 500 + get())).status == 200
    client.writer.write(b"\r\n" * 500_000)
    response = await client.response()
    assert response.status == 400
    assert bytes(response.body) == b"too many empty lines before a request\n"


async def test_empty_lines_start_no_clock_anew(
    origin: MakeOrigin, plane: MakePlane, connect: Connect
) -> None:
    served = await plane(await origin())
    client = await connect(served)
    await client.ask(get())
    [connection] = served.inner._downstream.connections
    before = connection.deadline
    for count, data in enumerate((b"\r\n", b"\r", b"\n\r", b"\n\r\n"), 1):
        await client.send(data)
        await until(lambda at=count: connection._empty_bytes + len(connection._buffer) >= at + 1, "the line")  # type: ignore[misc]
        assert connection.deadline == before
    await client.send(b"\r\nGET ")
    await until(lambda: bytes(connection._buffer).endswith(b"GET "), "the head's begin")
    assert connection.deadline != before
    assert (await client.ask(b"/ HTTP/1.1\r\nhost: a\r\n\r\n")).status == 200


EXTENSIONS = (b"1;" + b"e" * 4000 + b"\r\nx\r\n") * 10
COSTLY = {
    "interims of many options": HINTS * 99,
    "many small interims": b"HTTP/1.1 103 Early Hints\r\n\r\n" * 101,
    "a head of too many lines": b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 101 + b"\r\n",
    "an endless line": b"HTTP/1.1 200 OK\r\na: " + b"b" * 70_000,
    "extensions that outweigh the payload": CHUNKED + EXTENSIONS,
    "endless trailers": CHUNKED + b"0\r\n" + b"a: b\r\n" * 5000,
}


@pytest.mark.parametrize("sent", COSTLY.values(), ids=COSTLY.keys())
async def test_costly_framing_of_a_mirror_is_a_protocol_error_that_its_breaker_counts(
    origin: MakeOrigin, plane: MakePlane, connect: Connect, sent: bytes
) -> None:
    served = await plane(await origin(), await origin(sent), mirroring=Mirroring(breaker=Breaker(2, 60.0)))
    client = await connect(served)
    for count in (1, 2):
        assert (await client.ask(get())).status == 200
        await served.ended("protocol_error", count)
    assert (await client.ask(get())).status == 200
    await served.ended_as("mirror", protocol_error=2, breaker_open=1)


@pytest.mark.parametrize("sent", COSTLY.values(), ids=COSTLY.keys())
async def test_costly_framing_of_a_primary_is_a_protocol_error(
    origin: MakeOrigin, plane: MakePlane, connect: Connect, sent: bytes
) -> None:
    served = await plane(await origin(sent))
    client = await connect(served)
    await client.send(get())
    head = await client.head()
    while head.status == 103:
        head = await client.head()
    assert head.status == 502 or not (await client.rest()).endswith(b"0\r\n\r\n")
    await until(lambda: served.count("upstream_protocol_errors_total", "v1"), "the count")


async def test_costly_framing_of_a_client_is_refused(
    origin: MakeOrigin, plane: MakePlane, connect: Connect
) -> None:
    client = await connect(await plane(await origin()))
    response = await client.ask(POST_CHUNKED + EXTENSIONS)
    assert response.status == 400
    assert bytes(response.body) == b"chunked body with more framing than payload\n"


async def test_what_waits_for_a_stalled_primary_is_bounded_however_small_the_chunks(
    origin: MakeOrigin, plane: MakePlane, connect: Connect
) -> None:
    async def take_nothing(visit: Visit) -> None:
        visit.writer.transport.pause_reading()  # type: ignore[attr-defined]  # transports of streams can
        await asyncio.Event().wait()

    served = await plane(await origin(take_nothing))
    client = await connect(served)
    client.writer.write(POST_CHUNKED + (b"40;x\r\n" + b"x" * 64 + b"\r\n") * 300_000)
    [connection] = await until_connections(served)
    await until(lambda: connection._reading.reasons & 1, "the primary to be full")
    assert len(connection._buffer) <= 512 * 1024, "no more than one read waits for its turn"
    client.reset()


async def until_connections(served: Plane) -> list[DownstreamConnection]:
    await until(lambda: served.count("downstream_requests_active"), "the request")
    return [*served.inner._downstream.connections]


async def test_mirror_time_is_measured_for_each_mirror(
    origin: MakeOrigin, plane: MakePlane, connect: Connect
) -> None:
    body = b"1\r\nx\r\n" * 20_000 + b"0\r\n\r\n"
    served = await plane(await origin(), await origin(CHUNKED + body), await origin())
    await (await connect(served)).ask(get())
    await served.ended("completed", mirror="mirror")
    await served.ended("completed", mirror="mirror#2")
    costly, cheap = (served.inner._state.mirrors["r", name] for name in ("mirror", "mirror#2"))
    assert costly.stats.spent_s > cheap.stats.spent_s > 0


EARLY = CHUNKED + b"1\r\nx\r\n" * 5000 + b"0\r\n\r\n"


def answering_early(data: bytes) -> Script:
    """Respond without reading the upload and close, which resets the connection."""

    async def serve(visit: Visit) -> None:
        await visit.head()
        await visit.send(data)

    return serve


async def upload_slowly(client: Client, chunks: int) -> None:
    """Send a chunked upload in many small writes."""
    client.writer.write(POST_CHUNKED)
    for _ in range(chunks):
        client.writer.write(b"3e8\r\n" + b"y" * 1000 + b"\r\n")
        await asyncio.sleep(0)
    client.writer.write(b"0\r\n\r\n")


async def test_mirror_that_answers_early_and_resets_costs_no_client_its_upload(
    origin: MakeOrigin, plane: MakePlane, connect: Connect
) -> None:
    v1 = await origin()
    served = await plane(v1, await origin(answering_early(EARLY)))
    for number in range(1, 11):
        client = await connect(served)
        await upload_slowly(client, 300)
        assert (await client.response()).status == 200
        assert len(v1.requests[-1].body) == 300_000
        await until(lambda at=number: sum(served.outcomes().values()) == at, "the shadow")  # type: ignore[misc]
    assert "client_aborted" not in served.outcomes()


async def test_early_response_of_a_primary_that_resets_is_delivered(
    origin: MakeOrigin, plane: MakePlane, connect: Connect
) -> None:
    served = await plane(await origin(answering_early(EARLY)))
    for _ in range(5):
        client = await connect(served)
        upload = asyncio.create_task(upload_slowly(client, 300))
        assert bytes((await client.response()).body) == b"x" * 5000
        upload.cancel()
        client.reset()


async def test_pipelined_upload_that_waits_for_a_connection_goes_on(
    origin: MakeOrigin, plane: MakePlane, connect: Connect
) -> None:
    async def close_after_get(visit: Visit) -> None:
        request = await visit.request()
        await visit.send(
            OK.replace(b"content", b"connection: close\r\ncontent") if request.method == b"GET" else OK
        )

    v1 = await origin(close_after_get)
    client = await connect(await plane(v1))
    body = (b"64\r\n" + b"y" * 100 + b"\r\n") * 30_000 + b"0\r\n\r\n"
    client.writer.write(get() + POST_CHUNKED + body)
    assert [(await client.response()).status for _ in range(2)] == [200, 200]
    assert len(v1.requests[-1].body) == 3_000_000


@pytest.mark.parametrize("interims", [0, 4, 5, 9])
async def test_tunnel_after_any_number_of_1xx_carries_bytes(
    origin: MakeOrigin, plane: MakePlane, connect: Connect, interims: int
) -> None:
    async def upgrade(visit: Visit) -> None:
        await visit.head()
        switching = (
            b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\nfirst"
        )
        await visit.send(b"HTTP/1.1 103 Early Hints\r\n\r\n" * interims + switching)
        await visit.send(await visit.reader.readexactly(4))

    served = await plane(await origin(upgrade))
    client = await connect(served)
    await client.send(get(b"/", b"connection: upgrade", b"upgrade: websocket"))
    while (await client.head()).status == 103:
        pass
    assert await client.reader.readexactly(5) == b"first"
    await client.send(b"echo")
    assert await client.rest() == b"echo"


async def test_empty_lines_count_anew_with_each_request(
    origin: MakeOrigin, plane: MakePlane, connect: Connect
) -> None:
    served = await plane(await origin(), limits={"max_head_bytes": 1000})
    client = await connect(served)
    [connection] = await connected(served)
    for _ in range(5):
        await client.send(b"\r\n" * 200)
        await until(lambda: connection._empty_bytes == 400, "the empty lines")
        assert (await client.ask(get())).status == 200


async def connected(served: Plane) -> list[DownstreamConnection]:
    await until(lambda: served.inner._downstream.connections, "the connection")
    return [*served.inner._downstream.connections]


async def test_request_after_an_empty_line_is_not_refused_as_an_unfinished_head(
    origin: MakeOrigin, plane: MakePlane, connect: Connect
) -> None:
    go = asyncio.Event()

    async def slow(visit: Visit) -> None:
        await visit.head()
        await visit.send(OK[:-1])
        await go.wait()
        await visit.send(OK[-1:])

    served = await plane(await origin(slow))
    client = await connect(served)
    [connection] = await connected(served)
    await client.send(b"\r\n")
    await until(lambda: connection._empty_bytes, "the empty line")
    await client.send(get())
    assert (await client.head()).status == 200
    served.inner._downstream.heads.limit = 1000
    other = await connect(served)
    await other.send(get()[:-2] + b"a: " + b"b" * 2000)
    assert (await other.response()).status == 503
    go.set()
    assert await client.reader.readexactly(2) == b"ok"
