"""Run slow work in a thread, so that the loop does not block; the number of waiting calls is bounded."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from aiohttp import web

from mirror_proxy.errors import RefusedError

#: Calls that may wait for one thread, at most; a client whose call is rejected may retry.
MOST_WAITING = 16

T = TypeVar("T")


class BusyError(RefusedError):
    """The queue of this kind of work is full."""


class WorkThread:
    """One thread for one kind of work, run in order of arrival."""

    def __init__(self, kind: str) -> None:
        self._thread = ThreadPoolExecutor(1, kind)
        self._kind = kind
        self._waiting = 0
        self._is_closed = False

    async def run(self, work: Callable[[], T]) -> T:
        """Return what `work` returns. Raises `BusyError` if the queue is full, and what `work` raises.

        `close` cancels calls that wait, and all later calls.
        """
        if self._is_closed:
            raise asyncio.CancelledError
        if self._waiting >= MOST_WAITING:
            raise BusyError(f"too many requests for {self._kind} wait; try again")
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, work)
        finally:
            self._waiting -= 1

    def post(self, work: Callable[[], None]) -> None:
        """Queue `work` before any later call, without waiting for its end."""
        if not self._is_closed:
            self._thread.submit(work)

    def close(self) -> None:
        """Start no more work."""
        self._is_closed = True
        self._thread.shutdown(wait=False, cancel_futures=True)


#: Responses to reads: a reader must not delay the response to a change.
VIEWS = web.AppKey("views", WorkThread)
#: Responses to changes.
CHANGES = web.AppKey("changes", WorkThread)
#: Differences of two bodies.
DIFFERENCES = web.AppKey("differences", WorkThread)
