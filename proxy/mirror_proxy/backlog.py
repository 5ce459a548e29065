"""Queue the connections of a worker that have unprocessed input.

The bytes of one read may cost a millisecond or half a minute of Python work (1-byte chunks, a thousand pipelined
requests). A connection processes one slice of its input; with input left, the connection stops reading (`flow.TURN`)
and waits here for its next slice. The queue is served round robin, for `TURN_S` per turn of the loop, so other
connections are delayed by at most `TURN_S` and one slice. An ordinary request never enters the queue.
"""

from __future__ import annotations

import asyncio
from collections import deque
from time import perf_counter
from typing import Protocol

#: Time for which the queue is served per turn of the loop. A request takes two or three turns.
TURN_S = 0.0005


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
