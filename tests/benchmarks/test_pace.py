"""Requests at a steady rate: what is counted, and when."""

from __future__ import annotations

import asyncio

import pytest

from benchmarks.pace import Timed, keep_pace, next_generation
from tests.conftest import MakeOrigin
from tests.support.message import Message
from tests.support.origin import OK, Visit, answering
from tests.support.plane import free_port, until


async def pace(port: int, timed: Timed, what: str, *, enough: int) -> None:
    """Keep a quick pace until so many requests were answered or failed."""
    traffic = asyncio.create_task(keep_pace(port, 200, 2, 3, timed))
    await until(lambda: len(timed.latencies) + timed.failed >= enough, what)
    traffic.cancel()
    await asyncio.wait([traffic])


async def test_every_route_is_asked_for_in_turn_at_its_host(origin: MakeOrigin) -> None:
    v1 = await origin()
    timed = Timed()
    await pace(v1.port, timed, "answers", enough=10)
    assert timed.failed == 0
    asked = {(request.target, request.get(b"host")) for request in v1.requests}
    hosts = [f"{number:04}" for number in range(3)]
    assert asked == {(f"/bench/{one}/item".encode(), f"{one}.bench.example".encode()) for one in hosts}


@pytest.mark.parametrize(
    "answer",
    [OK.replace(b"200 OK", b"503 no"), OK.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"), b""],
    ids=["another status", "told to close", "no answer"],
)
async def test_what_is_not_answered_200_on_a_kept_connection_has_failed(
    origin: MakeOrigin, answer: bytes
) -> None:
    async def once(visit: Visit) -> None:
        await visit.request()
        await visit.send(answer)

    v1 = await origin(once)
    timed = Timed()
    await pace(v1.port, timed, "failures", enough=4)
    assert timed.failed >= 4
    assert timed.latencies == []


async def test_a_request_is_timed_from_when_it_was_due(origin: MakeOrigin) -> None:
    held = asyncio.Event()

    async def hold_the_first(visit: Visit) -> None:
        await visit.request()
        await held.wait()
        await visit.send(OK)
        await answering(OK)(visit)

    v1 = await origin(hold_the_first)
    timed = Timed()
    traffic = asyncio.create_task(keep_pace(v1.port, 100, 1, 3, timed))
    await until(lambda: len(v1.requests) == 1, "the first request")
    loop = asyncio.get_running_loop()
    begin = loop.time()
    await until(lambda: loop.time() > begin + 0.1, "requests to be overdue")
    held.set()
    await until(lambda: len(timed.latencies) > 5, "the overdue ones")
    traffic.cancel()
    await asyncio.wait([traffic])
    assert [took > 0.02 for _, took in timed.latencies[:4]] == [True] * 4


def test_the_percentile_is_of_the_spans_looked_at() -> None:
    timed = Timed([(0.5, 9.0), *((1 + n / 1000, n / 1000) for n in range(200)), (3.5, 0.7)])
    assert timed.p99_s([(1.0, 2.0)]) == 0.198
    assert timed.p99_s([(1.0, 1.0895), (3.0, 4.0)]) == 0.7
    with pytest.raises(RuntimeError, match="no request was answered"):
        timed.p99_s([(5.0, 6.0)])


async def test_the_next_generation_is_waited_for_and_its_absence_told(origin: MakeOrigin) -> None:
    asked = 0

    def info(_: Message) -> bytes:
        nonlocal asked
        asked += 1
        body = b'{"generation": %d}' % (1 if asked < 3 else 2)
        return b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body)

    admin = await origin(answering(info))
    await next_generation(admin.port, 1, within_s=20)
    assert asked == 3
    with pytest.raises(RuntimeError, match="did not take effect within 0 s"):
        await next_generation(free_port(), 2, within_s=0)
