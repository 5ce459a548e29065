"""Share one run of some work among all callers at the same time.

A caller during a run gets the result of the next run, which starts after the call, so no result is older than its call.
However many callers there are, one run is in progress and one waits.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from mirror_proxy import tasks

T = TypeVar("T")


class Shared(Generic[T]):
    """Runs `work`, one run after another; `name` is the name of the task."""

    def __init__(self, work: Callable[[], Awaitable[T]], name: str) -> None:
        self._work = work
        self._name = name
        self._turn = asyncio.Lock()
        self._next: asyncio.Task[T] | None = None

    async def get(self) -> T:
        """Return what the next run returns, or raise what it raises."""
        if self._next is None:
            self._next = tasks.spawn(self._run(), self._name)
        return await asyncio.shield(self._next)

    async def _run(self) -> T:
        async with self._turn:
            self._next = None
            return await self._work()
