"""The mirror can only lose: whatever it does, the client's bytes stay the same."""

from __future__ import annotations

import asyncio
import errno
import os

import pytest

from mirror_proxy.config.model import Mirroring
from tests.conftest import Connect, MakeOrigin, MakePlane
from tests.support.client import get, post
from tests.support.message import Message
from tests.support.origin import OK, Script, Visit, answering, never_read, stall
from tests.support.plane import free_port, settled, until


async def close_at_once(visit: Visit) -> None:
    visit.writer.close()


async def close_after_head(visit: Visit) -> None:
    await visit.head()


async def reset_after_head(visit: Visit) -> None:
    await visit.head()
    visit.reset()


async def babble(visit: Visit) -> None:
    await visit.send(b"\0\1\2 nonsense \r\n\r\n")
    await visit.gone()


async def answer_early_and_stop(visit: Visit) -> None:
    await visit.head()
    await visit.send(OK)


async def answer_half(visit: Visit) -> None:
    await visit.request()
    await visit.send(OK[:-1])


async def answer_slowly(visit: Visit) -> None:
    await visit.request()
    await visit.send(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n")
    while True:
        await visit.send(b"x")
        await asyncio.sleep(0.02)


FAULTS: list[Script] = [
    stall, never_read, close_at_once, close_after_head, reset_after_head, babble, answer_early_and_stop, answer_half,
    answer_slowly,
]  # fmt: skip


def name(request: Message) -> bytes:
    """Answer with what was asked, so that a mix-up would show."""
    body = request.target + b" %d" % len(request.body)
    return b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
async def test_no_fault_of_a_mirror_shows_to_the_client(
    origin: MakeOrigin, plane: MakePlane, connect: Connect, fault: Script
) -> None:
    v1, v2 = await origin(answering(name)), await origin(fault)
    served = await plane(v1, v2, mirroring=Mirroring(timeout_s=0.2))
    client = await connect(served)
    for number in range(4):
        path = b"/%d" % number
        assert await _exact(client.ask(get(path))) == path + b" 0"
        assert await _exact(client.ask(post(bytes(3 << 20)))) == b"/upload %d" % (3 << 20)
        assert await _exact(client.ask(post(b"x" * number))) == b"/upload %d" % number
    assert len(v1.visits) == 1
    await until(lambda: not served.count("mirror_in_flight", "mirror"), "the copies to end")
    assert sum(served.outcomes().values()) == 12


async def _exact(asking: object) -> bytes:
    assert asyncio.iscoroutine(asking)
    response = await asyncio.wait_for(asking, 10.0)
    assert response.lines == [b"content-length: %d" % len(response.body)]
    return bytes(response.body)


async def test_a_mirror_that_never_accepts_does_not_show_either(
    origin: MakeOrigin, plane: MakePlane, connect: Connect
) -> None:
    served = await plane(await origin(answering(name)), free_port())
    client = await connect(served)
    for number in range(5):
        assert await _exact(client.ask(post(b"x" * number))) == b"/upload %d" % number
    await served.ended("connect_error", 5)


async def test_a_copy_that_ends_while_the_client_uploads_leaves_the_upload_alone(
    origin: MakeOrigin, plane: MakePlane, connect: Connect
) -> None:
    v1, v2 = await origin(), await origin(answer_early_and_stop)
    served = await plane(v1, v2)
    client = await connect(served)
    await client.send(post(b"xyz")[:-1])
    await served.ended("completed")
    assert (await client.ask(b"z")).status == 200
    assert v1.requests[0].body == b"xyz"


async def test_large_shadow_response_is_read_to_its_end(
    origin: MakeOrigin, plane: MakePlane, connect: Connect
) -> None:
    size = 16 << 20
    sent = 0

    async def pour(visit: Visit) -> None:
        nonlocal sent
        await visit.request()
        await visit.send(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % size)
        while sent < size:
            await visit.send(bytes(1 << 18))
            sent += 1 << 18
        await visit.request()

    v2 = await origin(pour)
    served = await plane(await origin(), v2)
    assert (await (await connect(served)).ask(get())).status == 200
    await served.ended("completed")
    assert sent == size
    assert v2.open
    assert served.count("mirror_responses_total", "mirror", "200") == 1


async def test_a_mirror_s_connection_is_kept_and_a_stale_one_is_replaced_once(
    origin: MakeOrigin, plane: MakePlane, connect: Connect
) -> None:
    async def vanish_on_third(visit: Visit) -> None:
        for _ in range(2):
            await visit.request()
            await visit.send(OK)
        await visit.head()
        visit.reset()

    v2 = await origin(vanish_on_third)
    served = await plane(await origin(), v2)
    client = await connect(served)
    for number in range(1, 4):
        await client.ask(get())
        await served.ended("completed", number)
    assert [visit.number for visit in v2.visits] == [0, 1]
    assert len(v2.requests) == 4


async def test_a_post_s_copy_on_a_stale_connection_is_not_sent_twice(
    origin: MakeOrigin, plane: MakePlane, connect: Connect
) -> None:
    async def vanish_on_second(visit: Visit) -> None:
        await visit.request()
        await visit.send(OK)
        await visit.request()
        visit.reset()

    v2 = await origin(vanish_on_second)
    served = await plane(await origin(), v2)
    client = await connect(served)
    await client.ask(get())
    await served.ended("completed")
    await client.ask(post(b"x"))
    await until(lambda: served.outcomes() == {"completed": 1, "reset": 1}, "both copies")
    assert len(v2.requests) == 2


async def test_both_statuses_are_paired_and_the_slower_is_told_from_the_faster(
    origin: MakeOrigin, plane: MakePlane, connect: Connect
) -> None:
    turn = asyncio.Event()

    async def late(visit: Visit) -> None:
        while True:
            await visit.request()
            await turn.wait()
            await visit.send(b"HTTP/1.1 299 Odd\r\ncontent-length: 0\r\n\r\n")

    quick = b"HTTP/1.1 404 No\r\ncontent-length: 0\r\n\r\n"
    slower = await plane(await origin(quick), await origin(late))
    await (await connect(slower)).ask(get())
    turn.set()
    await slower.ended("completed")
    assert slower.count("status_pairs_total", "mirror", "404", "other") == 1
    assert sum(slower.histogram("mirror_slower_seconds", "mirror")) == 1
    assert sum(slower.histogram("mirror_faster_seconds", "mirror")) == 0
    turn.clear()
    faster = await plane(await origin(late), await origin(quick))
    client = await connect(faster)
    await client.send(get())
    await faster.ended("completed")
    assert not faster.inner.report()["status_pairs_total"]
    turn.set()
    assert (await client.response()).status == 299
    assert faster.count("status_pairs_total", "mirror", "other", "404") == 1
    assert sum(faster.histogram("mirror_faster_seconds", "mirror")) == 1


async def test_a_copy_that_failed_is_not_paired(
    origin: MakeOrigin, plane: MakePlane, connect: Connect
) -> None:
    served = await plane(await origin(), await origin(reset_after_head))
    await (await connect(served)).ask(get())
    await served.ended("reset")
    assert not served.inner.report()["status_pairs_total"]


async def test_one_bad_mirror_does_not_hurt_another(
    origin: MakeOrigin, plane: MakePlane, connect: Connect
) -> None:
    v3 = await origin()
    served = await plane(await origin(), await origin(never_read), v3, mirroring=Mirroring(timeout_s=1.0))
    client = await connect(served)
    body = bytes(8 << 20)
    assert (await client.ask(post(body))).status == 200
    await served.ended("completed", mirror="mirror#2")
    assert v3.requests[0].body == body
    await until(lambda: not served.count("mirror_in_flight", "mirror"), "the bad one")
    assert set(served.outcomes()) <= {"lagged", "timeout"}


async def test_a_mirror_that_lags_and_catches_up_gets_everything(
    origin: MakeOrigin, plane: MakePlane, connect: Connect
) -> None:
    awake = asyncio.Event()

    async def sleep_first(visit: Visit) -> None:
        request = await visit.head()
        await awake.wait()
        await visit.body(request)
        await visit.send(OK)

    v2 = await origin(sleep_first)
    served = await plane(await origin(), v2, mirroring=Mirroring(max_lag_bytes=1 << 26))
    body = bytes(range(256)) * 4096 * 16
    client = await connect(served)
    assert (await client.ask(post(body))).status == 200
    await settled(lambda: int(served.count("mirror_buffered_bytes", "mirror")))
    awake.set()
    await served.ended("completed")
    assert v2.requests[0].body == body


async def test_an_upload_and_its_copy_need_no_spare_descriptor(
    origin: MakeOrigin, plane: MakePlane, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []

    def refuse(number: int) -> int:
        asked.append(number)
        raise OSError(errno.EMFILE, "Too many open files")

    v1, v2 = await origin(), await origin()
    served = await plane(v1, v2)
    client = await connect(served)
    monkeypatch.setattr(os, "dup", refuse)
    for number in range(1, 3):
        await client.send(post(b"xyz")[:-1])
        await until(lambda: len(v1.requests) == len(v2.requests) == number, "both heads")  # noqa: B023 - awaited here
        assert (await client.ask(b"z")).status == 200
        await served.ended("completed", number)
    assert len(asked) == 4
    assert [request.body for request in v1.requests + v2.requests] == [b"xyz"] * 4
