"""A moment: all that is looked at of the proxy at one time, to make the page of."""

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
from mirror_proxy.comparison.diff.totals import Totals
from mirror_proxy.config.model import Config, MirrorPolicy


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a reader asks of the page: mirrors and routes with `find` in their names; figures of late, or of always."""

    find: str = ""
    is_recent: bool = False


@dataclass(frozen=True, slots=True)
class Past:
    """What had been counted `age_s` before a moment."""

    age_s: float
    totals: Totals


@dataclass(frozen=True, slots=True)
class Moment:
    """`time` is in seconds since the epoch; `totals` is since the proxy's start.

    `mirror_override` has what was set live of each mirror and of `ALL_MIRRORS`. `trouble` says in one line why there is
    nothing of the comparison, where answers are compared. `past` None: nobody has looked before.
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
    trouble: str = ""
    past: Past | None = None
    wanted: Wanted = Wanted()

    @property
    def uptime_s(self) -> float:
        """For how long the proxy runs."""
        uptime = self.info.get("uptime_s")
        return float(uptime) if isinstance(uptime, int | float) else 0.0

    def of_late(self) -> Moment:
        """Return this moment with what was counted of late only, where that is wanted and known."""
        if not self.wanted.is_recent or self.past is None:
            return self
        since = self.totals - self.past.totals
        return replace(self, totals=Totals({key: count for key, count in since.counts.items() if count > 0}))

    @property
    def shedding(self) -> int:
        """How many workers mirror nothing because they are late."""
        found = self.snapshot.report.get("workers_shedding", {}).values()
        return sum(int(value) for value in found if isinstance(value, int | float))

    def about(self, names: AbstractSet[str]) -> Moment:
        """Return this moment with the counts of these routes and mirrors only: all of thousands take their time."""
        past = None if self.past is None else replace(self.past, totals=_about(self.past.totals, names))
        return replace(self, totals=_about(self.totals, names), past=past)

    def mirrors(self) -> Iterator[tuple[str, MirrorPolicy]]:
        """Yield each mirror that is looked for, with its route's name; baselines of noise are none."""
        for route in self.loaded.config.routes():
            for mirror in route.mirrors:
                if not mirror.is_baseline and (self.finds(mirror.name) or self.finds(route.name)):
                    yield route.name, mirror

    def finds(self, name: str) -> bool:
        """Tell whether what has this name is looked for."""
        return self.wanted.find.casefold() in name.casefold()


def _about(totals: Totals, names: AbstractSet[str]) -> Totals:
    return Totals({key: count for key, count in totals.counts.items() if not names.isdisjoint(key[1:3])})


def baselines(config: Config) -> frozenset[str]:
    """Return the names of all that is asked only to know noise by."""
    return frozenset(
        mirror.name for route in config.routes() for mirror in route.mirrors if mirror.is_baseline
    )
