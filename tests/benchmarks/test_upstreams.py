from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from benchmarks import origins
from benchmarks.clients import HEAD_END, content_length, through_shutdown
from benchmarks.upstreams import GARBAGE, OK

GET = b"GET / HTTP/1.1\r\nHost: v\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: v\r\nContent-Length: 10\r\n\r\n0123456789"


@asynccontextmanager
async def connected(
    mode: str, home: Path
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """Connect to the upstream as it is measured: its own process, on uvloop."""
    with origins.running(mode, has_bodies=True, home=home / "upstream") as (host, port):
        reader, writer = await asyncio.open_connection(host, port)
        try:
            async with asyncio.timeout(10):
                yield reader, writer
        finally:
            writer.transport.abort()
            await asyncio.sleep(0)  # the loop closes aborted sockets in its next turn


async def test_a_healthy_origin_answers_pipelined_requests_one_by_one(tmp_path: Path) -> None:
    async with connected("healthy", tmp_path) as (reader, writer):
        writer.write(GET + POST + GET)
        assert await reader.readexactly(3 * len(OK)) == 3 * OK


async def test_a_healthy_origin_answers_when_the_last_byte_of_a_body_has_come(tmp_path: Path) -> None:
    async with connected("healthy", tmp_path) as (reader, writer):
        for byte in POST[:-1]:
            writer.write(bytes((byte,)))
            await writer.drain()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(reader.read(1), 0.05)
        writer.write(POST[-1:] + GET)
        assert await reader.readexactly(2 * len(OK)) == 2 * OK


async def test_a_healthy_origin_refuses_a_body_without_a_length(tmp_path: Path) -> None:
    async with connected("healthy", tmp_path) as (reader, writer):
        writer.write(b"POST / HTTP/1.1\r\nHost: v\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")
        assert (await reader.read()).startswith(b"HTTP/1.1 411 ")


async def test_a_sink_answers_a_chunked_body_at_its_end_and_the_next_request_too(tmp_path: Path) -> None:
    head = b"POST / HTTP/1.1\r\nHost: v\r\nTransfer-Encoding: chunked\r\n\r\n"
    async with connected("sink", tmp_path) as (reader, writer):
        writer.write(head + b"1\r\nx\r\n")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(reader.read(1), 0.05)
        writer.write(b"0\r\n\r\n")
        assert await reader.readexactly(len(OK)) == OK
        writer.write(GET + POST)
        assert await reader.readexactly(2 * len(OK)) == 2 * OK
        writer.write(head + b"0\r\n\r\n")
        assert await reader.readexactly(len(OK)) == OK


async def test_a_closing_origin_closes_after_the_head(tmp_path: Path) -> None:
    async with connected("close_after_head", tmp_path) as (reader, writer):
        writer.write(POST[:-5])
        assert await reader.read() == b""


async def test_a_resetting_origin_resets_after_the_head(tmp_path: Path) -> None:
    async with connected("reset", tmp_path) as (reader, writer):
        writer.write(POST[:-5])
        with pytest.raises(ConnectionResetError):
            await reader.read()


async def test_a_garbling_origin_answers_no_http(tmp_path: Path) -> None:
    async with connected("garbage", tmp_path) as (reader, writer):
        writer.write(GET)
        assert await reader.readexactly(len(GARBAGE)) == GARBAGE


async def test_a_stalled_origin_takes_no_more_than_the_kernel_does_and_answers_nothing(
    tmp_path: Path,
) -> None:
    async with connected("stalled", tmp_path) as (reader, writer):
        writer.write(POST + bytes(64 * 1024 * 1024))
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(writer.drain(), 0.5)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(reader.read(1), 0.1)


@pytest.mark.parametrize(
    ("answers", "lost"),
    [
        ([OK, OK.replace(b"OK\r\n", b"OK\r\nConnection: close\r\n")], 0),
        ([OK, OK[:-1]], 1),
        ([OK, b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"], 1),
        ([OK, b""], 1),
    ],
    ids=["told to close", "cut in the body", "refused", "closed without an answer"],
)
async def test_a_busy_connection_counts_as_lost_only_what_was_not_answered(
    answers: list[bytes], lost: int
) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for answer in answers:
            await reader.readuntil(HEAD_END)
            writer.write(answer)
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()
        served.release()

    served = asyncio.Semaphore(0)
    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        tally = await through_shutdown(port, 3, lambda: None, after_s=0)
        for _ in range(3):
            await served.acquire()
    assert tally.lost == 3 * lost
    assert tally.answered == 3 * (len(answers) - lost)


def test_a_head_without_a_length_has_no_body() -> None:
    assert content_length(b"http/1.1 204 no content\r\n\r\n") == 0
    assert content_length(b"http/1.1 200 ok\r\ncontent-length: 17\r\n\r\n") == 17
