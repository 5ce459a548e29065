"""Write counts, examples and records into the store in the background, from a memory store of limited size.

A store that cannot be opened, as in a container whose file system is read-only, is logged once and tried again; until
it opens, the memory store answers queries. A write that fails is repeated later. All work of the store runs in one
thread, in order.
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
from mirror_proxy.comparison.diff.record import Record, RecordSearch
from mirror_proxy.comparison.diff.totals import Key, Totals
from mirror_proxy.comparison.process import query_result
from mirror_proxy.comparison.process.memory_store import MemoryStore
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

Selection = float | Search | RecordSearch
Result = Totals | tuple[Example, ...] | tuple[Record, ...] | Example | None


@dataclass(frozen=True, slots=True)
class _StoreLocation:
    """Which store is written to; without a `url`, that of the proxy called `name`."""

    url: str
    name: str
    limits: StoreLimits

    def open(self) -> Store:
        return Store(self.url or default_url(self.name, os.environ), self.limits)


class StoreWriter:
    """Counts and examples of one comparer; `failures` counts failed calls of the store. `now` is since the epoch.

    `on_written` is called with the number of the last `count` that is in the store.
    """

    def __init__(self, now: Callable[[], float], on_written: Callable[[int], None]) -> None:
        self._now = now
        self._on_written = on_written
        self._counted = self._written = 0
        self._memory = MemoryStore()
        self._thread = ThreadPoolExecutor(1, "store")
        self._lock = asyncio.Lock()
        self._wanted: _StoreLocation | None = None
        self._present: _StoreLocation | None = None
        self._store: Store | None = None
        self._next_try = self._next_prune = 0.0
        self._is_failing = False
        self.failures = 0

    def configure(self, compare: Compare, name: str) -> None:
        """Use another store from the next write on: that of `compare`, or that of the proxy called `name`."""
        wanted = _StoreLocation(compare.store, name, compare.limits)
        if wanted != self._wanted:
            self._wanted = wanted
            self._next_try = 0.0

    def set_example_bytes(self, example_bytes: int) -> None:
        """Limit the memory of examples."""
        self._memory.max_example_bytes = example_bytes

    def add(
        self, counted: Mapping[Key, int], examples: Iterable[Example], records: Iterable[Record] = ()
    ) -> None:
        """Write it with the next `write`."""
        self._memory.add(counted, examples, self._now(), records)

    def count(self, number: int, counts: Totals) -> None:
        """Write what the supervisor counted, and call `on_written` with `number` once it is stored."""
        self.add(counts.counts, ())
        self._counted = number

    async def write(self) -> None:
        """Write what is not written yet; what the store refuses is written next time."""
        async with self._lock:
            await self._open_wanted()
            if self._store is not None:
                await self._write(self._store)

    async def query(self, about: Selection) -> Result:
        """Return totals since a time, examples or records of a search, or the example with a number.

        Raises `StoreError`.
        """
        async with self._lock:
            await self._open_wanted()
            if self._store is None:
                return _query(self._memory, about)
            store = self._store
            await self._write(store)
            result = await self._run(lambda: _query(store, about))
            if isinstance(result, StoreError):
                raise result
            if isinstance(result, Totals) and isinstance(about, float):
                return query_result.fold(result + self._memory.totals(about))
            return result

    async def close(self) -> None:
        """Write the rest, and close the store."""
        await self.write()
        async with self._lock:
            self._wanted = None
            await self._close()

    async def _open_wanted(self) -> None:
        wanted = self._wanted
        if wanted is None or wanted == self._present or self._now() < self._next_try:
            return
        await self._close()
        opened = await self._run(wanted.open)
        if isinstance(opened, StoreError):
            self._next_try = self._now() + RETRY_S
            self._note(opened, _ADVICE)
        else:
            self._store, self._present, self._next_prune = opened, wanted, 0.0

    async def _close(self) -> None:
        store, self._store, self._present = self._store, None, None
        if store is not None:
            await self._run(store.close)

    async def _write(self, store: Store) -> None:
        number, left = self._counted, deque(self._memory.take())
        problem: StoreError | None = None
        while left and problem is None:
            batch = left[0]
            problem = await self._run(
                partial(store.add, batch.counts, batch.examples, batch.time, batch.records)
            )
            if problem is None:
                left.popleft()
        self._memory.put_back(left)
        if problem is None and number != self._written:
            self._written = number
            self._on_written(number)
        if problem is None and self._now() >= self._next_prune:
            self._next_prune = self._now() + PRUNE_S
            problem = await self._run(lambda: store.prune(self._now()))
        self._note(problem, "it is tried again every second")

    def _note(self, problem: StoreError | None, advice: str) -> None:
        """Count a failure; log the first of several in a row, and the first success after them."""
        if problem is None:
            if self._is_failing:
                _log.info(event("comparison store is writable again"))
        else:
            self.failures += 1
            if not self._is_failing:
                _log.warning(event("comparison store failed", error=problem, advice=advice))
        self._is_failing = problem is not None

    async def _run(self, work: Callable[[], T]) -> T | StoreError:
        """Run `work` in the store's thread; return what it returns, or the error that it raises."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, lambda: _attempt(work))


def _attempt(work: Callable[[], T]) -> T | StoreError:
    try:
        return work()
    except StoreError as error:
        return error
    except Exception as error:  # noqa: BLE001 whatever a driver raises, comparing goes on
        return StoreError(f"the store of what is compared fails: {error!r}")


def _query(source: Store | MemoryStore, about: Selection) -> Result:
    if isinstance(about, RecordSearch):
        return tuple(source.records(about))
    if isinstance(about, Search):
        return query_result.search(source, about)
    if isinstance(about, int):
        return source.difference(about)
    return query_result.fold(source.totals(about))
