"""Shared: one run of some work for all who ask for it at the same time.

Who asks while it runs gets the next run, which begins after they asked: nobody is told what held before, and however
many ask, one run is under way and one waits.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from proxy import tasks

T = TypeVar("T")


class Shared(Generic[T]):
    """The runs of `work`, one after another; `name` is the task's."""

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
