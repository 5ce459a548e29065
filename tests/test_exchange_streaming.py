"""Bodies flow at the pace of the slower side, and early answers reach clients that are still sending."""

from __future__ import annotations

import asyncio

import pytest

from tests.conftest import Connect, MakeOrigin, MakePlane
from tests.support.client import Client, get, post
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


async def test_a_primary_that_is_slower_than_the_idle_timeout_still_gets_its_upload(
    origin: MakeOrigin, plane: MakePlane, connect: Connect
) -> None:
    loop = asyncio.get_running_loop()
    awake = asyncio.Event()

    async def sleep_first(visit: Visit) -> None:
        request = await visit.head()
        await awake.wait()
        await visit.body(request)
        await visit.send(OK)

    v1 = await origin(sleep_first)
    client = await connect(await plane(v1, limits={"idle_timeout_s": 0.2}))
    sending = asyncio.ensure_future(client.send(post(bytes(SIZE))))
    await settled(client.writer.transport.get_write_buffer_size)
    stopped = loop.time()
    await until(lambda: loop.time() > stopped + 0.6, "three idle timeouts")
    awake.set()
    assert (await client.response()).status == 200
    await sending


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
    await client.send(get(b"/%d" % (3 * KIB_64)) * 100)
    await settled(lambda: len(v1.requests))
    assert len(v1.requests) < 10
    client.writer.transport.resume_reading()  # type: ignore[attr-defined]
    for _ in range(100):
        assert len((await client.response()).body) == 3 * KIB_64


@pytest.mark.parametrize("last", [b"", b"connection: close\r\n"], ids=["kept alive", "closed"])
async def test_a_client_that_never_reads_the_end_of_its_answer_is_cut_off(
    origin: MakeOrigin, plane: MakePlane, connect: Connect, last: bytes
) -> None:
    served = await plane(
        await origin(_answer_as_long_as_asked), limits={"idle_timeout_s": 0.2}, send_buffer=32768
    )
    client = await connect(served, receive_buffer=4096)
    client.writer.transport.pause_reading()  # type: ignore[attr-defined]  # a stream's transport can
    await client.send(b"GET /%d HTTP/1.1\r\nhost: a\r\n%b\r\n" % (3 * KIB_64, last))
    await until(lambda: served.count("requests_total", "r", "v1", "200"), "the exchange to end")
    await until(lambda: not served.count("downstream_connections_active"), "the client to be cut off", 3.0)


async def test_a_client_reads_an_early_answer_while_it_is_still_sending(
    origin: MakeOrigin, plane: MakePlane, connect: Connect
) -> None:
    async def refuse(visit: Visit) -> None:
        await visit.head()
        await visit.send(b"HTTP/1.1 413 Content Too Large\r\ncontent-length: 3\r\n\r\nbig")
        await visit.gone()

    v1 = await origin(refuse)
    client = await connect(await plane(v1))
    await client.send(b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 1000000\r\n\r\n" + bytes(1000))
    response = await client.response()
    assert (response.status, response.body) == (413, b"big")
    assert response.get(b"connection") == b"close"
    await client.send(bytes(100_000))
    assert await client.is_closed()
    await until(lambda: not v1.open, "the upload to the primary to be given up")


async def test_an_answer_before_the_reset_of_an_upload_is_read_first(
    origin: MakeOrigin, plane: MakePlane, connect: Connect
) -> None:
    async def refuse(visit: Visit) -> None:
        await visit.head()
        await visit.send(b"HTTP/1.1 413 Content Too Large\r\ncontent-length: 3\r\n\r\nbig")
        visit.writer.close()  # with unread data in its socket: the kernel sends a RST

    served = await plane(await origin(refuse))

    async def upload() -> int:
        client = await connect(served)
        sending = asyncio.ensure_future(_send_until_cut(client))
        status = (await client.response()).status
        await sending
        return status

    for _ in range(5):
        assert await asyncio.gather(*(upload() for _ in range(4))) == [413] * 4


async def _send_until_cut(client: Client) -> None:
    try:
        await client.send(post(bytes(4 * MIB)))
    except ConnectionError:
        pass


async def test_an_upload_that_goes_on_after_its_answer_is_cut_off(
    origin: MakeOrigin, plane: MakePlane, connect: Connect
) -> None:
    async def refuse(visit: Visit) -> None:
        await visit.head()
        await visit.send(b"HTTP/1.1 401 No\r\ncontent-length: 0\r\n\r\n")
        await visit.gone()

    client = await connect(await plane(await origin(refuse)))
    await client.send(b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n")
    assert (await client.response()).status == 401
    with pytest.raises(ConnectionError):
        async with asyncio.timeout(10):
            while True:
                await client.send(b"1000\r\n" + bytes(4096) + b"\r\n")
                await asyncio.sleep(0.01)


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
