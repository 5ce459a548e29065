"""Write counts, examples and records into their runs in the store, from a memory store of limited size.

A store that cannot be opened, as in a container whose file system is read-only, is logged once and tried again; until
it opens, the memory store answers queries. A write that fails is repeated later. All work of the store runs in one
thread, in order.
"""

from __future__ import annotations

import asyncio
import logging
import math
import os
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeVar

from mirror_proxy.comparison.diff.example import Example, Search
from mirror_proxy.comparison.diff.record import Record, RecordSearch
from mirror_proxy.comparison.diff.run import (
    PresentRuns,
    Run,
    RunChange,
    RunIdentity,
    RunList,
    RunTotals,
    StoreQuery,
    TotalsSearch,
)
from mirror_proxy.comparison.diff.totals import Key, Totals
from mirror_proxy.comparison.process import query_result
from mirror_proxy.comparison.process.clock_watch import ClockWatch
from mirror_proxy.comparison.process.memory_store import MemoryStore
from mirror_proxy.comparison.process.query_result import Result
from mirror_proxy.comparison.process.run_table import Identities, RunTable
from mirror_proxy.comparison.store import Store, StoreError, default_url
from mirror_proxy.config.model import Compare, StoreLimits
from mirror_proxy.telemetry.event import event
from mirror_proxy.text import format_count

#: A store that could not be opened is tried again after this long; an open one is pruned this often.
RETRY_S = 15.0
PRUNE_S = 60.0
#: Runs and labels in a log line.
_MAX_NAMED = 20

_ADVICE = (
    "until it can be, what is found stays in memory, and ends with this process: name a file that can be written (in a "
    "container, on a volume) or a PostgreSQL database with compare.store.url or --compare-store"
)
_log = logging.getLogger(__name__)
T = TypeVar("T")
Stored = TypeVar("Stored", Example, Record)


@dataclass(frozen=True, slots=True)
class _StoreLocation:
    """The store that is written to; without a `url`, that of `service`."""

    url: str
    service: str
    limits: StoreLimits

    def open(self) -> Store:
        return Store(self.url or default_url(self.service, os.environ), self.limits)


class StoreWriter:
    """Counts and examples of one comparer. `now` is since the epoch, `steady` never jumps.

    `failures` counts failed calls of the store, `full` how often its oldest rows made room, `lost` deleted files.
    `on_written` is called with the number of the last `count` that is in the store.
    """

    def __init__(
        self,
        now: Callable[[], float],
        on_written: Callable[[int], None],
        steady: Callable[[], float] = time.monotonic,
    ) -> None:
        self._now = now
        self._steady = steady
        self._on_written = on_written
        self._counted = self._written = 0
        self._runs = RunTable()
        self._entered: Identities | None = None
        self._memory = MemoryStore()
        self._started = now()
        self._thread = ThreadPoolExecutor(1, "store")
        self._lock = asyncio.Lock()
        self._wanted: _StoreLocation | None = None
        self._present: _StoreLocation | None = None
        self._store: Store | None = None
        self._next_try = self._next_prune = -math.inf
        self._is_failing = False
        self._clock = ClockWatch(now, steady)
        self.failures = self.full = self.lost = 0

    def configure(self, compare: Compare, present: PresentRuns) -> None:
        """Count in the runs of `present` from now on, in the store of `compare` or else that of the service."""
        self._runs.configure(present)
        wanted = _StoreLocation(compare.store, present.service, compare.limits)
        if wanted != self._wanted:
            self._wanted = wanted
            self._next_try = -math.inf

    def set_example_bytes(self, example_bytes: int) -> None:
        """Limit the memory of examples."""
        self._memory.max_example_bytes = example_bytes

    def add(
        self, counted: Mapping[Key, int], examples: Iterable[Example], records: Iterable[Record] = ()
    ) -> None:
        """Write it with the next `write`."""
        now = self._now()
        self._memory.add(self._runs.split(counted), self._filed(examples), now, self._filed(records))

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

    async def query(self, about: StoreQuery) -> Result:
        """Return totals, runs, examples or records of a search, or the example with a number. Raises `StoreError`."""
        async with self._lock:
            await self._open_wanted()
            if self._store is None:
                return self._query_memory(about)
            store = self._store
            await self._write(store)
            now, identities = self._now(), self._runs.identities
            result = _checked(await self._run(lambda: _query(store, identities, about, now)))
            if isinstance(result, RunTotals) and isinstance(about, TotalsSearch) and about.run is None:
                unwritten = self._memory.totals(identities, about.since)
                return replace(result, totals=query_result.fold(result.totals + unwritten))
            return result

    async def change_runs(self, change: RunChange) -> tuple[Run, ...]:
        """Begin, reset or delete runs; return those that were changed. Raises `StoreError`."""
        async with self._lock:
            await self._open_wanted()
            if self._store is None:
                return self._change_memory(change)
            store = self._store
            await self._write(store)
            now, identities = self._now(), self._runs.of(change.mirror)
            return _checked(await self._run(lambda: _change(store, identities, change, now)))

    async def close(self) -> None:
        """Write the rest, and close the store."""
        await self.write()
        async with self._lock:
            self._wanted = None
            await self._close()

    async def _open_wanted(self) -> None:
        await self._close_lost()
        wanted = self._wanted
        if wanted is None or wanted == self._present or self._steady() < self._next_try:
            return
        await self._close()
        opened = await self._run(wanted.open)
        if isinstance(opened, StoreError):
            self._next_try = self._steady() + RETRY_S
            self._note(opened, _ADVICE)
        else:
            self._store, self._present, self._next_prune = opened, wanted, -math.inf
            self._entered = None

    async def _close_lost(self) -> None:
        """Close a store whose file was deleted under it, so that it is made again."""
        store = self._store
        if store is not None and await self._run(lambda: store.is_lost) is True:
            self.lost += 1
            _log.warning(
                event("comparison store file was deleted or replaced, opening it again", store=store.name)
            )
            await self._close()

    async def _close(self) -> None:
        store, self._store, self._present = self._store, None, None
        if store is not None:
            await self._run(store.close)

    async def _write(self, store: Store) -> None:
        problem = await self._enter_runs(store)
        number, left = self._counted, deque(self._memory.take())
        while left and problem is None:
            batch = left[0]
            added = await self._run(
                partial(store.add, batch.counts, batch.examples, batch.time, batch.records)
            )
            if isinstance(added, StoreError):
                problem = added
            else:
                left.popleft()
                self._note_full(store, is_full=added)
        self._memory.put_back(left)
        if problem is None and number != self._written:
            self._written = number
            self._on_written(number)
        if problem is None and self._steady() >= self._next_prune:
            self._next_prune = self._steady() + PRUNE_S
            by_age = self._clock.is_even()
            problem = await self._run(lambda: store.prune(self._now(), by_age=by_age))
        self._note(problem, "it is tried again every second")

    async def _enter_runs(self, store: Store) -> StoreError | None:
        """Begin or continue the present runs, and log which they are, when the store or the runs have changed."""
        identities = self._runs.identities
        if identities == self._entered:
            return None
        entered = await self._run(lambda: store.enter(identities, self._now()))
        if isinstance(entered, StoreError):
            return entered
        what = "comparison store opened" if self._entered is None else "comparison runs changed"
        _log.info(event(what, store=store.name, **_described(entered)))
        self._entered = identities
        return None

    def _query_memory(self, about: StoreQuery) -> Result:
        if isinstance(about, RecordSearch):
            return tuple(self._memory.records(about))
        if isinstance(about, Search):
            return query_result.search(self._memory.differences, about)
        if isinstance(about, int):
            return self._memory.difference(about)
        runs = tuple(self._in_memory(one) for one in self._runs.identities)
        if isinstance(about, RunList):
            return runs
        if about.run is not None:
            return RunTotals()
        totals = self._memory.totals(self._runs.identities, about.since)
        return RunTotals(runs, query_result.fold(totals))

    def _filed(self, found: Iterable[Stored]) -> list[tuple[RunIdentity, Stored]]:
        """Return examples or records, each with the run of its mirror."""
        filed = ((self._runs.of_mirror(one.mirror), one) for one in found)
        return [(identity, one) for identity, one in filed if identity is not None]

    def _in_memory(self, identity: RunIdentity) -> Run:
        pairs = self._memory.totals((identity,), 0.0).count("compared")
        return Run(0, identity, self._started, self._now(), pairs)

    def _change_memory(self, change: RunChange) -> tuple[Run, ...]:
        if change.action != "reset":
            raise StoreError(
                "no comparison store is open, so there is one run, in memory: reset it, or name a store that can be "
                "written with compare.store.url or --compare-store"
            )
        identities = self._runs.of(change.mirror)
        self._memory.forget(identities)
        return tuple(self._in_memory(one) for one in identities)

    def _note_full(self, store: Store, *, is_full: bool) -> None:
        if is_full:
            self.full += 1
            most = store.limits.max_bytes
            words = "comparison store is full, the oldest examples and counts were deleted"
            _log.warning(event(words, store=store.name, max_bytes=most))

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


def _checked(result: T | StoreError) -> T:
    if isinstance(result, StoreError):
        raise result
    return result


def _query(store: Store, identities: Identities, about: StoreQuery, now: float) -> Result:
    if isinstance(about, int):
        return store.difference(about)
    if isinstance(about, RunList):
        return tuple(store.all_runs())
    runs = _selected(store, identities, about.run)
    numbers = [run.number for run in runs]
    if isinstance(about, RecordSearch):
        return tuple(store.records(about, numbers, now))
    if isinstance(about, Search):
        return query_result.search(lambda search: store.differences(search, numbers, now), about)
    return RunTotals(runs, query_result.fold(store.totals(numbers, about.since, now)))


def _selected(store: Store, identities: Identities, number: int | None) -> tuple[Run, ...]:
    if number is None:
        return tuple(store.present(identities))
    run = store.run(number)
    return () if run is None else (run,)


def _change(store: Store, identities: Identities, change: RunChange, now: float) -> tuple[Run, ...]:
    """Change runs. Before a present run is deleted another begins, else an older one of its identity is continued."""
    present = store.present(identities)
    if change.action == "begin":
        store.begin(identities, now)
    elif change.action == "reset":
        store.begin(identities, now)
        store.delete([run.number for run in present])
    else:
        found = _selected(store, identities, change.run)
        store.begin([run.identity for run in found if run.number in {one.number for one in present}], now)
        store.delete([run.number for run in found])
        return found
    return tuple(store.present(identities))


def _described(runs: Sequence[Run]) -> dict[str, object]:
    """Return what a log line says of runs."""
    labels = sorted({run.identity.label for run in runs} - {""})
    hosts = sorted({run.identity.shadow_host for run in runs})
    return {
        "run": ",".join(str(run.number) for run in runs[:_MAX_NAMED]),
        **({"label": ",".join(labels[:_MAX_NAMED])} if labels else {}),
        "pairs": format_count(sum(run.pairs for run in runs)),
        "shadow_host": ",".join(hosts[:_MAX_NAMED]),
    }
