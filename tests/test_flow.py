"""A transport is read while no reason to pause is set; the backlog serves each reader for a bounded time."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable

import pytest

from mirror_proxy import flow
from mirror_proxy.flow import (
    CONNECTING,
    EVERY_REASON,
    PEER_FULL,
    PIPELINE,
    TURN,
    TURN_S,
    Backlog,
    ReadControl,
)


@pytest.fixture
async def transport() -> AsyncIterator[asyncio.Transport]:
    near, far = socket.socketpair()
    made, _ = await asyncio.get_running_loop().create_connection(asyncio.Protocol, sock=near)
    yield made
    made.close()
    far.close()
    await asyncio.sleep(0)  # the transport closes in its next turn


async def test_each_reason_keeps_the_transport_paused(transport: asyncio.Transport) -> None:
    valve = ReadControl(transport)
    valve.pause(PEER_FULL)
    valve.pause(PIPELINE)
    valve.pause(CONNECTING)
    valve.resume(PIPELINE)
    valve.resume(PEER_FULL)
    assert not transport.is_reading()
    valve.resume(CONNECTING)
    assert transport.is_reading()


async def test_a_reason_given_twice_is_one_reason(transport: asyncio.Transport) -> None:
    valve = ReadControl(transport)
    valve.pause(PEER_FULL)
    valve.pause(PEER_FULL)
    valve.resume(PEER_FULL)
    assert transport.is_reading()
    assert valve.reasons == 0


async def test_taking_away_a_reason_that_does_not_stand_changes_nothing(transport: asyncio.Transport) -> None:
    valve = ReadControl(transport)
    valve.resume(PIPELINE)
    assert transport.is_reading()
    valve.pause(PEER_FULL)
    valve.resume(PIPELINE)
    assert not transport.is_reading()


async def test_every_reason_can_be_taken_away_at_once(transport: asyncio.Transport) -> None:
    valve = ReadControl(transport)
    for reason in (PEER_FULL, PIPELINE, CONNECTING, TURN):
        valve.pause(reason)
    assert valve.reasons == EVERY_REASON
    valve.resume(EVERY_REASON)
    assert transport.is_reading()


async def test_a_transport_that_is_closing_is_left_alone(transport: asyncio.Transport) -> None:
    valve = ReadControl(transport)
    valve.pause(PEER_FULL)
    transport.close()
    valve.pause(PIPELINE)
    valve.resume(EVERY_REASON)
    assert valve.reasons == 0
    assert not transport.is_reading()


class Clock:
    """A clock that stands unless it is moved."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(flow, "perf_counter", made)
    return made


class Work:
    """A reader with `slices` left; `note` is called for each."""

    def __init__(self, queue: Backlog, slices: int, note: Callable[[], None]) -> None:
        self.is_queued = False
        self.slices = slices
        self._queue = queue
        self._note = note

    def on_turn(self) -> None:
        self.slices -= 1
        self._note()
        if self.slices:
            self._queue.add(self)


async def test_readers_are_served_in_turn_until_their_work_is_done(clock: Clock) -> None:
    served: list[str] = []
    queue = Backlog()
    for name, slices in (("a", 3), ("b", 1), ("c", 2)):
        queue.add(Work(queue, slices, lambda name=name: served.append(name)))  # type: ignore[misc]
    await asyncio.sleep(0)
    assert "".join(served) == "abcaca"
    assert clock.now == 0.0


async def test_a_turn_of_the_loop_serves_no_longer_than_its_share(clock: Clock) -> None:
    served: list[str] = []

    def slice_of(name: str) -> Callable[[], None]:
        def note() -> None:
            served.append(name)
            clock.now += TURN_S / 2

        return note

    queue = Backlog()
    queue.add(Work(queue, 3, slice_of("a")))
    queue.add(Work(queue, 2, slice_of("b")))
    for expected in ("ab", "abab", "ababa"):
        await asyncio.sleep(0)
        assert "".join(served) == expected
    await asyncio.sleep(0)
    assert "".join(served) == "ababa"


@pytest.mark.usefixtures("clock")
async def test_a_reader_waits_once_however_often_it_is_added() -> None:
    served: list[None] = []
    queue = Backlog()
    work = Work(queue, 1, lambda: served.append(None))
    queue.add(work)
    queue.add(work)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert len(served) == 1


@pytest.mark.usefixtures("clock")
async def test_a_reader_that_fails_does_not_keep_the_others_waiting() -> None:
    errors: list[dict[str, object]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: errors.append(context))
    served: list[None] = []

    def fail() -> None:
        raise OSError

    queue = Backlog()
    queue.add(Work(queue, 1, fail))
    queue.add(Work(queue, 1, lambda: served.append(None)))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert len(served) == len(errors) == 1
