"""Bodies flow at the pace of the slower side, and early answers reach clients that are still sending."""

from __future__ import annotations

import asyncio

import pytest

from tests.conftest import Connect, MakeOrigin, MakePlane
from tests.support.client import get
from tests.support.origin import OK, Visit
from tests.support.plane import settled, until

MIB = 1 << 20
KIB_64 = 1 << 16
SIZE = 50 * MIB
#: What four loopback sockets' kernel buffers may hold between both ends, and a little for the proxy.
IN_FLIGHT = 26 * MIB


class Pace:
    """Counts what one end has handed over."""

    def __init__(self) -> None:
        self.bytes = 0

    async def feed(self, writer: asyncio.StreamWriter, size: int) -> None:
        piece = bytes(MIB // 4)
        while self.bytes < size:
            writer.write(piece)
            await writer.drain()
            self.bytes += len(piece)


async def test_a_slow_client_slows_the_primary_down(
    origin: MakeOrigin, plane: MakePlane, connect: Connect
) -> None:
    sent = Pace()

    async def pour(visit: Visit) -> None:
        await visit.request()
        await visit.send(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % SIZE)
        await sent.feed(visit.writer, SIZE)
        await visit.gone()

    client = await connect(await plane(await origin(pour)), receive_buffer=65536)
    await client.send(get())
    await settled(lambda: sent.bytes)
    assert 0 < sent.bytes < IN_FLIGHT
    assert len((await client.response()).body) == SIZE


@pytest.mark.parametrize("chunked", [False, True], ids=["content-length", "chunked"])
async def test_a_slow_primary_slows_the_client_down(
    origin: MakeOrigin, plane: MakePlane, connect: Connect, chunked: bool
) -> None:
    awake = asyncio.Event()

    async def sleep_first(visit: Visit) -> None:
        request = await visit.head()
        await awake.wait()
        await visit.body(request)
        await visit.send(OK)

    v1 = await origin(sleep_first)
    client = await connect(await plane(v1))
    sent = Pace()
    framing = b"transfer-encoding: chunked" if chunked else b"content-length: %d" % SIZE
    await client.send(b"POST / HTTP/1.1\r\nhost: a\r\n%b\r\n\r\n" % framing)
    if chunked:
        await client.send(b"%x\r\n" % SIZE)
    sending = asyncio.ensure_future(sent.feed(client.writer, SIZE))
    await settled(lambda: sent.bytes)
    assert 0 < sent.bytes < IN_FLIGHT
    awake.set()
    await sending
    if chunked:
        await client.send(b"\r\n0\r\n\r\n")
    assert (await client.response()).status == 200
    assert len(v1.requests[0].body) == SIZE


async def _answer_as_long_as_asked(visit: Visit) -> None:
    """Answer `GET /<size>` with so many bytes."""
    while True:
        request = await visit.request()
        size = int(request.target[1:])
        await visit.send(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % size + bytes(size))


async def test_a_response_that_ends_while_its_client_lags_leaves_the_primary_s_connection_usable(
    origin: MakeOrigin, plane: MakePlane, connect: Connect
) -> None:
    v1 = await origin(_answer_as_long_as_asked)
    served = await plane(v1, cluster={"max_connections": 1}, send_buffer=32768)
    for size in range(2 * KIB_64, 12 * KIB_64, KIB_64):
        slow, quick = await connect(served, receive_buffer=4096), await connect(served)
        slow.writer.transport.pause_reading()  # type: ignore[attr-defined]  # a stream's transport can
        await slow.send(get(b"/%d" % size))
        await settled(lambda: len(v1.requests))
        await quick.send(get(b"/1"))
        slow.writer.transport.resume_reading()  # type: ignore[attr-defined]
        assert len((await slow.response()).body) == size
        assert len((await asyncio.wait_for(quick.response(), 5.0)).body) == 1


async def test_a_client_that_pipelines_and_never_reads_is_not_served_ahead(
    origin: MakeOrigin, plane: MakePlane, connect: Connect
) -> None:
    v1 = await origin(_answer_as_long_as_asked)
    served = await plane(v1, send_buffer=32768)
    client = await connect(served, receive_buffer=4096)
    client.writer.transport.pause_reading()  # type: ignore[attr-defined]  # a stream's transport can
    await client.send(get(b"/40000") * 200)
    await settled(lambda: len(v1.requests))
    assert len(v1.requests) < 50
    client.writer.transport.resume_reading()  # type: ignore[attr-defined]
    for _ in range(200):
        assert len((await client.response()).body) == 40000


@pytest.mark.parametrize("last", [b"", b"connection: close\r\n"], ids=["kept alive", "closed"])
async def test_a_client_that_never_reads_the_end_of_its_answer_is_cut_off(
    origin: MakeOrigin, plane: MakePlane, connect: Connect, last: bytes
) -> None:
    served = await plane(
        await origin(_answer_as_long_as_asked), limits={"idle_timeout_s": 0.2}, send_buffer=32768
    )
    clients = []
    for size in range(KIB_64, 12 * KIB_64, KIB_64):
        clients.append(await connect(served, receive_buffer=4096))
        clients[-1].writer.transport.pause_reading()  # type: ignore[attr-defined]
        await clients[-1].send(b"GET /%d HTTP/1.1\r\nhost: a\r\n%b\r\n" % (size, last))
    await settled(lambda: int(served.count("downstream_requests_active")))
    ended = served.count("requests_total", "r", "v1", "200")
    assert 0 < ended < len(clients)
    await until(
        lambda: served.count("downstream_connections_active") <= len(clients) - ended,
        "those whose exchange has ended to be cut off",
        3.0,
    )
    for client in clients:
        client.reset()


async def test_small_responses_arrive_as_they_are_written(
    origin: MakeOrigin, plane: MakePlane, connect: Connect
) -> None:
    turn = asyncio.Event()

    async def tick(visit: Visit) -> None:
        await visit.request()
        await visit.send(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
        for _ in range(3):
            await visit.send(b"4\r\ntick\r\n")
            await turn.wait()
            turn.clear()
        await visit.send(b"0\r\n\r\n")
        await visit.gone()

    client = await connect(await plane(await origin(tick)))
    await client.send(get())
    await client.head()
    for _ in range(3):
        assert await client.reader.readexactly(9) == b"4\r\ntick\r\n"
        turn.set()
    assert await client.reader.readexactly(5) == b"0\r\n\r\n"


async def test_a_client_that_reads_a_large_early_answer_late_does_not_linger_for_the_idle_time(
    origin: MakeOrigin, plane: MakePlane, connect: Connect
) -> None:
    async def answer_early(visit: Visit) -> None:
        size = int((await visit.head()).target[1:])
        await visit.send(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % size + bytes(size))
        await visit.gone()

    served = await plane(await origin(answer_early), send_buffer=32768)
    clients = {}
    for size in range(KIB_64, 12 * KIB_64, KIB_64):
        clients[size] = await connect(served, receive_buffer=4096)
        clients[size].writer.transport.pause_reading()  # type: ignore[attr-defined]
        await clients[size].send(b"POST /%d HTTP/1.1\r\nhost: a\r\ncontent-length: 9\r\n\r\nx" % size)
    await settled(lambda: int(served.count("downstream_requests_active")))
    assert served.count("requests_total", "r", "v1", "200") > 0
    for size, client in clients.items():
        client.writer.transport.resume_reading()  # type: ignore[attr-defined]
        assert len((await client.response()).body) == size
    await until(lambda: not served.count("downstream_connections_active"), "the lingers to end", 5.0)
