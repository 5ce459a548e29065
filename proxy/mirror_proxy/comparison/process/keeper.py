"""The keeper: what was counted goes into the store by and by, and never waits for it longer than memory allows.

A store that cannot be opened, as in a container whose file system is read-only, is said once and tried again: until
it opens, memory answers in its place. One that refuses a write gets it again later. The store's work is done in one
thread, one thing after another.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from mirror_proxy.comparison.diff.example import Example, Search
from mirror_proxy.comparison.diff.totals import Key, Totals
from mirror_proxy.comparison.process import answer
from mirror_proxy.comparison.process.memory import Memory
from mirror_proxy.comparison.store import Store, StoreError, default_url
from mirror_proxy.config.model import Compare, StoreLimits
from mirror_proxy.telemetry.event import event

#: A store that could not be opened is tried again after so long, and pruned so often.
RETRY_S = 15.0
PRUNE_S = 60.0

_ADVICE = (
    "until it can be, what is found stays in memory, and ends with this process: name a file that can be written (in a "
    "container, on a volume) or a PostgreSQL database with compare.store.url or --compare-store"
)
_log = logging.getLogger(__name__)
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Place:
    """Where it is kept; without a `url`, in the store of the proxy called `name`."""

    url: str
    name: str
    limits: StoreLimits

    def open(self) -> Store:
        return Store(self.url or default_url(self.name, os.environ), self.limits)


class Keeper:
    """Counts and examples of one comparer; `failures` is how often the store refused. `now` is since the epoch.

    `on_written` is told the number of the last `count` that is in the store.
    """

    def __init__(self, now: Callable[[], float], on_written: Callable[[int], None]) -> None:
        self._now = now
        self._on_written = on_written
        self._counted = self._written = 0
        self._memory = Memory()
        self._thread = ThreadPoolExecutor(1, "store")
        self._turn = asyncio.Lock()
        self._wanted: _Place | None = None
        self._present: _Place | None = None
        self._store: Store | None = None
        self._next_try = self._next_prune = 0.0
        self._is_failing = False
        self.failures = 0

    def settle(self, compare: Compare, name: str) -> None:
        """Keep it there from the next write on: in the store of `compare`, or that of the proxy called `name`."""
        wanted = _Place(compare.store, name, compare.limits)
        if wanted != self._wanted:
            self._wanted = wanted
            self._next_try = 0.0

    def bound(self, example_bytes: int) -> None:
        """Have examples take no more memory than this."""
        self._memory.max_example_bytes = example_bytes

    def add(self, counted: Mapping[Key, int], examples: Iterable[Example]) -> None:
        """Have it written by and by."""
        self._memory.add(counted, examples, self._now())

    def count(self, number: int, counts: Totals) -> None:
        """Have what somebody else counted written, and tell when it is."""
        self.add(counts.counts, ())
        self._counted = number

    async def write(self) -> None:
        """Write what is not written yet; what the store refuses waits for the next time."""
        async with self._turn:
            await self._settle()
            if self._store is not None:
                await self._write(self._store)

    async def answer(self, about: float | Search) -> Totals | tuple[Example, ...] | Example | None:
        """Answer what `control.Query` asks about (a whole number is an example's), as of now. Raises `StoreError`."""
        async with self._turn:
            await self._settle()
            if self._store is None:
                return _told(self._memory, about)
            store = self._store
            await self._write(store)
            told = await self._done(lambda: _told(store, about))
            if isinstance(told, StoreError):
                raise told
            if isinstance(told, Totals) and isinstance(about, float):
                return answer.fold(told + self._memory.totals(about))
            return told

    async def close(self) -> None:
        """Write the rest, and close the store."""
        await self.write()
        async with self._turn:
            self._wanted = None
            await self._close()

    async def _settle(self) -> None:
        wanted = self._wanted
        if wanted is None or wanted == self._present or self._now() < self._next_try:
            return
        await self._close()
        opened = await self._done(wanted.open)
        if isinstance(opened, StoreError):
            self._next_try = self._now() + RETRY_S
            self._note(opened, _ADVICE)
        else:
            self._store, self._present, self._next_prune = opened, wanted, 0.0

    async def _close(self) -> None:
        store, self._store, self._present = self._store, None, None
        if store is not None:
            await self._done(store.close)

    async def _write(self, store: Store) -> None:
        number, left = self._counted, deque(self._memory.take())
        problem: StoreError | None = None
        while left and problem is None:
            batch = left[0]
            problem = await self._done(partial(store.add, batch.counts, batch.examples, batch.time))
            if problem is None:
                left.popleft()
        self._memory.put_back(left)
        if problem is None and number != self._written:
            self._written = number
            self._on_written(number)
        if problem is None and self._now() >= self._next_prune:
            self._next_prune = self._now() + PRUNE_S
            problem = await self._done(lambda: store.prune(self._now()))
        self._note(problem, "it is tried again every second")

    def _note(self, problem: StoreError | None, advice: str) -> None:
        """Count a refusal; log the first of those that follow each other, and that they are over."""
        if problem is None:
            if self._is_failing:
                _log.info(event("comparison store is writable again"))
        else:
            self.failures += 1
            if not self._is_failing:
                _log.warning(event("comparison store failed", error=problem, advice=advice))
        self._is_failing = problem is not None

    async def _done(self, work: Callable[[], T]) -> T | StoreError:
        """Return what `work` returns, once it was its turn in the store's thread, or the error it ends with."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, lambda: _attempt(work))


def _attempt(work: Callable[[], T]) -> T | StoreError:
    try:
        return work()
    except StoreError as error:
        return error
    except Exception as error:  # noqa: BLE001 whatever a driver raises, comparing goes on
        return StoreError(f"the store of what is compared fails: {error!r}")


def _told(source: Store | Memory, about: float | Search) -> Totals | tuple[Example, ...] | Example | None:
    if isinstance(about, Search):
        return answer.found(source, about)
    if isinstance(about, int):
        return source.difference(about)
    return answer.fold(source.totals(about))
