"""Back-pressure on a real transport: it is read while no reason to pause stands."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator

import pytest

from mirror_proxy.flow import CONNECTING, EVERY_REASON, PEER_FULL, PIPELINE, TURN, ReadValve


@pytest.fixture
async def transport() -> AsyncIterator[asyncio.Transport]:
    near, far = socket.socketpair()
    made, _ = await asyncio.get_running_loop().create_connection(asyncio.Protocol, sock=near)
    yield made
    made.close()
    far.close()
    await asyncio.sleep(0)  # the transport closes in its next turn


async def test_each_reason_keeps_the_transport_paused(transport: asyncio.Transport) -> None:
    valve = ReadValve(transport)
    valve.pause(PEER_FULL)
    valve.pause(PIPELINE)
    valve.pause(CONNECTING)
    valve.resume(PIPELINE)
    valve.resume(PEER_FULL)
    assert not transport.is_reading()
    valve.resume(CONNECTING)
    assert transport.is_reading()


async def test_a_reason_given_twice_is_one_reason(transport: asyncio.Transport) -> None:
    valve = ReadValve(transport)
    valve.pause(PEER_FULL)
    valve.pause(PEER_FULL)
    valve.resume(PEER_FULL)
    assert transport.is_reading()
    assert valve.reasons == 0


async def test_taking_away_a_reason_that_does_not_stand_changes_nothing(transport: asyncio.Transport) -> None:
    valve = ReadValve(transport)
    valve.resume(PIPELINE)
    assert transport.is_reading()
    valve.pause(PEER_FULL)
    valve.resume(PIPELINE)
    assert not transport.is_reading()


async def test_every_reason_can_be_taken_away_at_once(transport: asyncio.Transport) -> None:
    valve = ReadValve(transport)
    for reason in (PEER_FULL, PIPELINE, CONNECTING, TURN):
        valve.pause(reason)
    assert valve.reasons == EVERY_REASON
    valve.resume(EVERY_REASON)
    assert transport.is_reading()


async def test_a_transport_that_is_closing_is_left_alone(transport: asyncio.Transport) -> None:
    valve = ReadValve(transport)
    valve.pause(PEER_FULL)
    transport.close()
    valve.pause(PIPELINE)
    valve.resume(EVERY_REASON)
    assert valve.reasons == 0
    assert not transport.is_reading()
