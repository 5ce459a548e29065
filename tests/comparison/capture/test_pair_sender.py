"""What cannot be compared is dropped and counted, nobody waits for it, and nothing of it is held."""

from __future__ import annotations

import asyncio
import socket

import pytest

from mirror_proxy.comparison.capture import pair_sender
from mirror_proxy.config.model import Mirroring
from tests.conftest import Connect, MakeOrigin, MakePlane
from tests.support.client import get, post
from tests.support.origin import Visit, answering_after, stall
from tests.support.pair_pipe import ALL, PairPipe, compared, lost
from tests.support.plane import Plane, until

LARGE = b"HTTP/1.1 200 OK\r\ncontent-length: 60000\r\n\r\n" + bytes(60000)
BEGUN = b"HTTP/1.1 200 OK\r\ncontent-length: 60000\r\n\r\n" + bytes(30000)


async def broken_off(visit: Visit) -> None:
    """Begin an answer and cut it with a reset."""
    await visit.request()
    await visit.send(BEGUN)
    visit.reset()


async def begun(visit: Visit) -> None:
    """Begin an answer, and no more."""
    await visit.request()
    await visit.send(BEGUN)
    await visit.gone()


def used_bytes(served: Plane) -> int:
    return served.inner.captured_bytes


async def test_a_full_pipe_takes_no_more_and_nobody_waits(
    origin: MakeOrigin, plane: MakePlane, connect: Connect, pipe: PairPipe
) -> None:
    served = await plane(compared(await origin(LARGE), await origin(LARGE)), pairs=pipe.pairs)
    client = await connect(served)
    for _ in range(8):
        assert (await client.ask(get())).body == bytes(60000)
    await served.ended("completed", 8)
    dropped = lost(served)["pipe_full"]
    assert len(pipe.all()) == 8 - dropped > 0
    assert (await client.ask(get())).status == 200
    await pipe.pair()
    assert used_bytes(served) == 0


async def test_a_pair_that_no_datagram_holds_is_dropped(
    origin: MakeOrigin, plane: MakePlane, connect: Connect, pipe: PairPipe
) -> None:
    pipe.pairs.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    served = await plane(compared(await origin(LARGE), await origin(LARGE)), pairs=pipe.pairs)
    await (await connect(served)).ask(get())
    await served.ended("completed")
    assert lost(served) == {"too_large": 1}


async def test_a_comparer_that_is_gone_is_not_missed(
    origin: MakeOrigin, plane: MakePlane, connect: Connect, pipe: PairPipe
) -> None:
    served = await plane(compared(await origin(), await origin()), pairs=pipe.pairs)
    pipe.leave()
    client = await connect(served)
    for _ in range(2):
        assert (await client.ask(get())).status == 200
    await served.ended("completed", 2)
    assert lost(served) == {"no_comparer": 2}


async def test_all_captures_together_hold_no_more_than_they_may(
    origin: MakeOrigin,
    plane: MakePlane,
    connect: Connect,
    pipe: PairPipe,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    go = asyncio.Event()
    monkeypatch.setattr(pair_sender, "MAX_CAPTURED_BYTES", 150_000)
    served = await plane(compared(await origin(LARGE), await origin(answering_after(go))), pairs=pipe.pairs)
    clients = [await connect(served) for _ in range(4)]
    for client in clients:
        assert (await client.ask(get())).status == 200
        assert 0 < used_bytes(served) <= 150_000
    go.set()
    await served.ended("completed", 4)
    assert lost(served) == {"over_buffer": 2}
    assert len(pipe.all()) == 2
    assert used_bytes(served) == 0


async def test_what_is_held_is_held_only_until_both_have_ended(
    origin: MakeOrigin, plane: MakePlane, connect: Connect, pipe: PairPipe
) -> None:
    go = asyncio.Event()
    served = await plane(compared(await origin(answering_after(go)), await origin(LARGE)), pairs=pipe.pairs)
    client = await connect(served)
    await client.send(get())
    await served.ended("completed")
    assert used_bytes(served) > 60000
    go.set()
    assert (await client.response()).status == 200
    assert (await pipe.pair()).shadow.size == 60000
    assert used_bytes(served) == 0


@pytest.mark.parametrize("script", [broken_off, stall, b"what?\r\n\r\n"])
async def test_a_mirror_that_fails_leaves_nothing_behind(
    origin: MakeOrigin, plane: MakePlane, connect: Connect, pipe: PairPipe, script: object
) -> None:
    config = compared(await origin(LARGE), await origin(script), mirroring=Mirroring(timeout_s=0.1))
    served = await plane(config, pairs=pipe.pairs)
    assert (await (await connect(served)).ask(get())).status == 200
    await until(lambda: not served.count("mirror_in_flight", "mirror"), "the copy to end")
    assert "completed" not in served.outcomes()
    assert used_bytes(served) == 0
    assert not pipe.all()
    assert not lost(served)


async def test_response_cut_at_the_deadline_is_compared_as_far_as_it_came(
    origin: MakeOrigin, plane: MakePlane, connect: Connect, pipe: PairPipe
) -> None:
    config = compared(await origin(LARGE), await origin(begun), mirroring=Mirroring(timeout_s=0.1))
    served = await plane(config, pairs=pipe.pairs)
    assert (await (await connect(served)).ask(get())).status == 200
    pair = await pipe.pair()
    assert (pair.primary.is_unfinished, pair.shadow.is_unfinished) == (False, True)
    assert (len(pair.shadow.body), pair.shadow.size) == (30000, 60000)
    await served.ended("reply_cut")
    assert used_bytes(served) == 0


async def test_response_that_a_mirror_breaks_off_is_released_before_its_primary_ends(
    origin: MakeOrigin, plane: MakePlane, connect: Connect, pipe: PairPipe
) -> None:
    go, broken = asyncio.Event(), asyncio.Event()

    async def break_off(visit: Visit) -> None:
        await visit.request()
        await visit.send(BEGUN)
        await broken.wait()
        visit.reset()

    config = compared(await origin(answering_after(go)), await origin(break_off))
    served = await plane(config, pairs=pipe.pairs)
    client = await connect(served)
    await client.send(get())
    await until(lambda: used_bytes(served) > 30000, "the beginning")
    broken.set()
    await served.ended("reset")
    assert used_bytes(served) < 30000
    go.set()
    assert (await client.response()).status == 200


async def test_a_primary_that_breaks_off_leaves_nothing_behind(
    origin: MakeOrigin, plane: MakePlane, connect: Connect, pipe: PairPipe
) -> None:
    go = asyncio.Event()

    async def break_off(visit: Visit) -> None:
        await visit.request()
        await visit.send(BEGUN)
        await go.wait()
        visit.reset()

    served = await plane(compared(await origin(break_off), await origin(LARGE)), pairs=pipe.pairs)
    client = await connect(served)
    await client.send(get())
    await client.head()
    go.set()
    await client.rest()
    await served.ended("completed")
    assert lost(served) == {"no_answer": 1}
    assert used_bytes(served) == 0


@pytest.mark.parametrize("is_mirror_first", [False, True])
async def test_a_client_that_leaves_before_the_end_leaves_nothing_behind(
    origin: MakeOrigin, plane: MakePlane, connect: Connect, pipe: PairPipe, is_mirror_first: bool
) -> None:
    go = asyncio.Event()
    v2 = await origin(LARGE if is_mirror_first else answering_after(go))
    served = await plane(compared(await origin(begun), v2), pairs=pipe.pairs)
    client = await connect(served)
    await client.send(get())
    await client.head()
    if is_mirror_first:
        await served.ended("completed")
    client.reset()
    await until(lambda: not served.count("downstream_requests_active"), "the exchange to end")
    go.set()
    await served.ended("completed")
    assert lost(served) == {"no_answer": 1}
    assert used_bytes(served) == 0


async def test_a_request_that_is_broken_off_leaves_nothing_behind(
    origin: MakeOrigin, plane: MakePlane, connect: Connect, pipe: PairPipe
) -> None:
    served = await plane(compared(await origin(), await origin()), pairs=pipe.pairs)
    client = await connect(served)
    await client.send(post(b"abc")[:-1])
    await until(lambda: used_bytes(served), "the capture")
    client.reset()
    await served.ended("client_aborted")
    assert used_bytes(served) == 0
    assert not lost(served)


async def test_the_end_of_a_worker_leaves_nothing_behind(
    origin: MakeOrigin, plane: MakePlane, connect: Connect, pipe: PairPipe
) -> None:
    served = await plane(compared(await origin(LARGE), await origin(stall)), pairs=pipe.pairs)
    await (await connect(served)).ask(get())
    assert used_bytes(served) > 60000
    await served.finish(0.05)
    assert served.outcomes() == {"draining": 1}
    assert pipe.pairs.fileno() == -1


async def test_what_is_captured_is_compared_or_counted_as_dropped_whatever_happens(
    origin: MakeOrigin, plane: MakePlane, connect: Connect, pipe: PairPipe
) -> None:
    number = 0

    async def moody(visit: Visit) -> None:
        nonlocal number
        number += 1
        await (broken_off, begun, answering_after(ready), answering_after(ready))[number % 4](visit)

    ready = asyncio.Event()
    ready.set()
    served = await plane(
        compared(await origin(moody), await origin(moody), ALL, mirroring=Mirroring(timeout_s=0.1)),
        pairs=pipe.pairs,
    )
    for turn in range(24):
        client = await connect(served)
        await client.send(get(b"/%d" % turn))
        if turn % 3 == 0:
            client.reset()
        else:
            await client.close()
    await until(lambda: not served.count("downstream_requests_active"), "the requests to end")
    await until(lambda: not served.count("mirror_in_flight", "mirror"), "the copies to end")
    outcomes = served.outcomes()
    responded = outcomes.get("completed", 0) + outcomes.get("reply_cut", 0)
    assert len(pipe.all()) + sum(lost(served).values()) == responded
    assert used_bytes(served) == 0
