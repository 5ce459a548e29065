"""The data of a page: all that is read of the proxy at one time, and what the reader selects of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace

from mirror_proxy.admin.interface import (
    LoadedConfig,
    MirrorOverride,
    ProxySnapshot,
    RejectedReload,
    Row,
    State,
)
from mirror_proxy.admin.page.history import Point
from mirror_proxy.comparison.diff.record import Record
from mirror_proxy.comparison.diff.run import Run
from mirror_proxy.comparison.diff.totals import Totals
from mirror_proxy.config.model import Config, MirrorPolicy


@dataclass(frozen=True, slots=True)
class PageQuery:
    """What a reader selects: mirrors and routes with `find` in their names, and recent figures or all."""

    find: str = ""
    is_recent: bool = False


@dataclass(frozen=True, slots=True)
class EarlierTotals:
    """The totals of `age_s` ago."""

    age_s: float
    totals: Totals


@dataclass(frozen=True, slots=True)
class PageData:
    """`time` is in seconds since the epoch; `totals` are since the proxy's start, those of pairs of the present `runs`.

    `mirror_override` has the overrides of each mirror and of `ALL_MIRRORS`. `problem` says in one line why the
    comparer's totals are missing or old. `earlier` None: the page was not open before. `records` are a sample of pairs.
    """

    time: float
    state: State
    info: Row
    loaded: LoadedConfig
    refusal: RejectedReload | None
    snapshot: ProxySnapshot
    totals: Totals
    routes: tuple[Row, ...]
    mirror_override: Mapping[str, MirrorOverride]
    ramps: tuple[Row, ...]
    points: tuple[Point, ...]
    problem: str = ""
    earlier: EarlierTotals | None = None
    query: PageQuery = PageQuery()
    runs: tuple[Run, ...] = ()
    records: tuple[Record, ...] = ()

    @property
    def uptime_s(self) -> float:
        """Time since the proxy's start."""
        uptime = self.info.get("uptime_s")
        return float(uptime) if isinstance(uptime, int | float) else 0.0

    def for_span(self) -> PageData:
        """Return this data with the totals of the last minutes only, if the query selects those and they are known."""
        if not self.query.is_recent or self.earlier is None:
            return self
        since, begin = self.totals - self.earlier.totals, self.time - self.earlier.age_s
        return replace(
            self,
            totals=Totals({key: count for key, count in since.counts.items() if count > 0}),
            records=tuple(one for one in self.records if one.time >= begin),
        )

    @property
    def shedding(self) -> int:
        """Number of workers that mirror nothing because their loop is late."""
        found = self.snapshot.report.get("workers_shedding", {}).values()
        return sum(int(value) for value in found if isinstance(value, int | float))

    def only(self, names: AbstractSet[str]) -> PageData:
        """Return this data with the totals of these routes and mirrors only: those of thousands are slow to read."""
        earlier = self.earlier and replace(self.earlier, totals=_only(self.earlier.totals, names))
        return replace(self, totals=_only(self.totals, names), earlier=earlier)

    def mirrors(self) -> Iterator[tuple[str, MirrorPolicy]]:
        """Yield each mirror that the query selects, with the name of its route; baselines are no mirrors."""
        for route in self.loaded.config.routes():
            for mirror in route.mirrors:
                if not mirror.is_baseline and (self.matches(mirror.name) or self.matches(route.name)):
                    yield route.name, mirror

    def matches(self, name: str) -> bool:
        """Return whether the query selects this name."""
        return self.query.find.casefold() in name.casefold()


def _only(totals: Totals, names: AbstractSet[str]) -> Totals:
    return Totals({key: count for key, count in totals.counts.items() if not names.isdisjoint(key[1:3])})


def baselines(config: Config) -> frozenset[str]:
    """Return the names of all baselines."""
    return frozenset(
        mirror.name for route in config.routes() for mirror in route.mirrors if mirror.is_baseline
    )
