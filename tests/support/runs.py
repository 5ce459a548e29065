"""Runs for tests, and stores as one run sees them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from mirror_proxy.comparison.diff.example import Example, Search
from mirror_proxy.comparison.diff.record import Record, RecordSearch
from mirror_proxy.comparison.diff.run import PresentRuns, RunIdentity
from mirror_proxy.comparison.diff.totals import Key, Totals
from mirror_proxy.comparison.process.memory_store import MemoryStore
from mirror_proxy.comparison.store import Store
from mirror_proxy.config.model import StoreLimits

RUN = RunIdentity("shop", "shop", "v2")
PRESENT = PresentRuns("shop", (RUN,), (("shop/secondary", "shop"),))


def present(service: str = "shop", **changes: str) -> PresentRuns:
    """Return the runs of a proxy with one mirror."""
    fields = {"service": service, "route": "shop", "mirror": "v2", **changes}
    return PresentRuns(service, (RunIdentity(**fields),), (("shop/secondary", "shop"),))


class OneRun:
    """A store with one run."""

    def __init__(self, store: Store, identity: RunIdentity = RUN) -> None:
        self.store = store
        self._identity = identity

    def add(
        self,
        counts: Mapping[Key, int],
        examples: Iterable[Example],
        now: float,
        records: Iterable[Record] = (),
    ) -> None:
        self.store.add(
            {self._identity: counts},
            [(self._identity, one) for one in examples],
            now,
            [(self._identity, one) for one in records],
        )

    def totals(self, since: float, now: float = 1e10) -> Totals:
        return self.store.totals(self._numbers(), since, now)

    def differences(self, search: Search) -> list[Example]:
        return self.store.differences(search, self._numbers(), 1e10)

    def records(self, search: RecordSearch) -> list[Record]:
        return self.store.records(search, self._numbers(), 1e10)

    def difference(self, number: int) -> Example | None:
        return self.store.difference(number)

    def prune(self, now: float) -> None:
        self.store.prune(now)

    def close(self) -> None:
        self.store.close()

    def _numbers(self) -> list[int]:
        return [run.number for run in self.store.present([self._identity])]


def open_run(url: str, **limits: float) -> OneRun:
    """Open a store with one run."""
    return OneRun(Store(url, StoreLimits(**limits)))  # type: ignore[arg-type]  # limits are StoreLimits's


class OneRunInMemory:
    """A memory store with one run."""

    def __init__(self) -> None:
        self.memory = MemoryStore()

    def add(
        self,
        counts: Mapping[Key, int],
        examples: Iterable[Example],
        now: float,
        records: Iterable[Record] = (),
    ) -> None:
        filed = [(RUN, one) for one in examples]
        self.memory.add({RUN: counts}, filed, now, [(RUN, one) for one in records])

    def totals(self, since: float) -> Totals:
        return self.memory.totals((RUN,), since)
