"""Beside: work that takes long is done in a thread, so that the loop turns; how much of it may wait is bounded."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from aiohttp import web

from proxy.admin.subject import RefusedError

#: More work than this is not queued; a client that asks for it may ask again.
MOST_WAITING = 16

T = TypeVar("T")


class BusyError(RefusedError):
    """As much work of this kind waits as may."""


class Beside:
    """One thread for one kind of work, which takes it in the order in which it comes."""

    def __init__(self, kind: str) -> None:
        self._thread = ThreadPoolExecutor(1, kind)
        self._kind = kind
        self._waiting = 0
        self._is_closed = False

    async def run(self, work: Callable[[], T]) -> T:
        """Return what `work` returns. Raises `BusyError` where too much waits, and what `work` raises.

        What is asked for once it is closed is cancelled, as what waits then is.
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
        """Have `work` done before all that is asked for from now on."""
        if not self._is_closed:
            self._thread.submit(work)

    def close(self) -> None:
        """Begin nothing more."""
        self._is_closed = True
        self._thread.shutdown(wait=False, cancel_futures=True)


#: Whatever shows the proxy: nobody who looks may have another's change wait for its answer.
VIEWS = web.AppKey("views", Beside)
#: What a change is answered.
CHANGES = web.AppKey("changes", Beside)
#: Two bodies laid side by side.
DIFFERENCES = web.AppKey("differences", Beside)
