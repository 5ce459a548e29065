"""Pace a connection: pause its reading for a peer that does not keep up, and bound its share of the worker's loop.

Back-pressure: a transport is read while no reason to pause is set (`ReadControl`). Reasons are bits, so setting a
reason twice is one reason, and each caller sets and clears its own without regard to the others.

Fairness: the bytes of one read may cost a millisecond or half a minute of Python work (1-byte chunks, a thousand
pipelined requests). A connection processes one slice of its input; with input left, the connection stops reading
(`TURN`) and waits in the `Backlog` for its next slice. The queue is served round robin, for `TURN_S` per turn of the
loop, so other connections are delayed by at most `TURN_S` and one slice. An ordinary request never enters the queue.
"""

from __future__ import annotations

import asyncio
from collections import deque
from time import perf_counter
from typing import Protocol

PEER_FULL = 1  # the peer that the data goes to does not keep up
PIPELINE = 2  # the next request has to wait for the current one
CONNECTING = 4  # no upstream connection takes the body yet
TURN = 8  # input is left, which is processed slice by slice (see `Backlog`)
EVERY_REASON = PEER_FULL | PIPELINE | CONNECTING | TURN

#: Data kept for a peer before reading pauses; the transport's own high-water mark is the same.
HIGH_WATER = 64 * 1024
#: Time for which the queue is served per turn of the loop. A request takes two or three turns.
TURN_S = 0.0005


class ReadControl:
    """The reading side of one transport; `reasons` is 0 while the transport is read."""

    __slots__ = ("_transport", "reasons")

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self.reasons = 0

    def pause(self, reason: int) -> None:
        """Stop reading, for `reason`."""
        if not self.reasons and not self._transport.is_closing():
            self._transport.pause_reading()
        self.reasons |= reason

    def resume(self, reason: int) -> None:
        """Clear `reason`; read on if no other reason is set."""
        if self.reasons:
            self.reasons &= ~reason
            if not self.reasons and not self._transport.is_closing():
                self._transport.resume_reading()


class Reader(Protocol):
    """A connection with input left; `is_queued` starts as False, and only the backlog changes it."""

    is_queued: bool

    def on_turn(self) -> None:
        """Process one slice, and add the reader to the queue again if input is left."""


class Backlog:
    """The queue of one worker; a connection is in the queue at most once."""

    __slots__ = ("_is_scheduled", "_waiting")

    def __init__(self) -> None:
        self._waiting: deque[Reader] = deque()
        self._is_scheduled = False

    def add(self, reader: Reader) -> None:
        """Call `reader.on_turn` after the readers that wait already."""
        if not reader.is_queued:
            reader.is_queued = True
            self._waiting.append(reader)
            self._schedule()

    def _schedule(self) -> None:
        if not self._is_scheduled:
            self._is_scheduled = True
            asyncio.get_running_loop().call_soon(self._serve)

    def _serve(self) -> None:
        self._is_scheduled = False
        waiting = self._waiting
        until = perf_counter() + TURN_S
        try:
            while waiting:
                reader = waiting.popleft()
                reader.is_queued = False
                reader.on_turn()
                if perf_counter() >= until:
                    break
        finally:
            if waiting:
                self._schedule()


class Pieces:
    """Bytes in order of arrival, kept by reference; small pieces are joined, since an object costs ~50 bytes."""

    __slots__ = ("_pieces", "size")

    _SMALL = 1024

    def __init__(self, data: bytes = b"") -> None:
        self._pieces: list[bytes | bytearray] = [data] if data else []
        self.size = len(data)

    def add(self, data: bytes) -> None:
        """Append `data`."""
        self.size += len(data)
        if len(data) >= self._SMALL or not self._pieces:
            self._pieces.append(data)
        elif isinstance(self._pieces[-1], bytearray):
            self._pieces[-1] += data
        else:
            self._pieces.append(bytearray(data))

    def joined(self) -> bytes:
        """Return all bytes as one piece."""
        first = self._pieces[0] if self._pieces else b""
        is_one = len(self._pieces) <= 1 and not isinstance(first, bytearray)
        return first if is_one else b"".join(self._pieces)  # type: ignore[return-value]  # mypy: not a bytearray
