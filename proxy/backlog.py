"""What was read and is not yet worked off: one queue for all connections of a worker.

What one read delivers may cost a millisecond or half a minute of Python work (1-byte chunks, a thousand pipelined
requests), whoever sends it. A connection takes one slice of it; with work left it stops reading (`flow.TURN`) and
waits here for its next slice. The queue is served round robin, a bounded time per turn of the loop, so other
connections are delayed by that bound and no more. An ordinary request never meets it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from time import perf_counter
from typing import Protocol

#: How long the queue is served per turn of the loop. A request waits for two or three turns.
TURN_S = 0.001


class Reader(Protocol):
    """A connection with work left; `is_queued` belongs to the backlog and starts as False."""

    is_queued: bool

    def on_turn(self) -> None:
        """Take one slice; the reader queues itself again when that was not all."""


class Backlog:
    """The queue of one worker. It holds each connection at most once."""

    __slots__ = ("_is_scheduled", "_waiting")

    def __init__(self) -> None:
        self._waiting: deque[Reader] = deque()
        self._is_scheduled = False

    def add(self, reader: Reader) -> None:
        """Have `reader.on_turn` called, after those that wait already."""
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
