"""The proxy as the admin server uses it: the supervisor implements `ProxyInterface`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

from mirror_proxy.comparison.diff.example import Example, Search
from mirror_proxy.comparison.diff.record import Record, RecordSearch
from mirror_proxy.comparison.diff.run import Run, RunChange, RunTotals, TotalsSearch
from mirror_proxy.config.model import Config, Log
from mirror_proxy.overrides import Key
from mirror_proxy.ramp.plan import Plan
from mirror_proxy.telemetry.metrics import Report

State = Literal["INITIALIZING", "LIVE", "DRAINING"]  # Envoy's (api/envoy/admin/v3/server_info.proto)
Row = dict[str, object]


@dataclass(frozen=True, slots=True)
class ProxySnapshot:
    """The state of all workers at one time."""

    report: Report
    clusters: list[Row]
    mirrors: list[Row]


@dataclass(frozen=True, slots=True)
class LoadedConfig:
    """The configuration in force, its generation, and when it came into force (seconds since the epoch)."""

    config: Config
    generation: int
    since: float


@dataclass(frozen=True, slots=True)
class RejectedReload:
    """The last reload, if it was refused: its problems, one per line, and its time."""

    problems: tuple[str, ...]
    time: float


@dataclass(frozen=True, slots=True)
class MirrorOverride:
    """What operators have set of a mirror.

    `percent` replaces the files' (None: it does not). `paused`: by the mirror's own name, or all mirrors are. `left_s`:
    seconds until the pause expires, or without a pause, the percent (None: never).
    """

    percent: float | None = None
    paused: bool = False
    left_s: float | None = None


class RampInterface(Protocol):
    """The ramps of a running proxy, each known by the key of its override."""

    def rows(self) -> list[Row]:
        """Describe the ramps that are under way, and of each other target the last."""

    async def start(self, plan: Plan) -> None:
        """Start a ramp; returns when its first step is in force. Raises `RefusedError`."""

    async def resume(self, key: Key) -> None:
        """Resume a ramp that is held. Raises `RefusedError`."""

    async def stop(self, key: Key, *, keep: bool) -> None:
        """End a ramp at its present step (`keep`), or roll it back. Raises `RefusedError`."""


class LogInterface(Protocol):
    """The log of a running proxy; `configured` are the settings of its files."""

    configured: Log

    def current(self) -> Log:
        """Return the settings of all processes."""

    async def set_level(self, level: str) -> None:
        """Log from `level` up; returns when every process does."""


class ProxyInterface(Protocol):
    """A running proxy."""

    @property
    def logs(self) -> LogInterface:
        """The log of all processes."""

    @property
    def ramps(self) -> RampInterface:
        """Ramps of percents and weights."""

    @property
    def state(self) -> State:
        """`LIVE` while at least one worker serves and no drain has begun."""

    @property
    def loaded(self) -> LoadedConfig:
        """The configuration in force."""

    @property
    def refusal(self) -> RejectedReload | None:
        """The problems of the last reload, if it was refused."""

    async def snapshot(self) -> ProxySnapshot:
        """Return the state of all workers, within a second even if a worker hangs."""

    def server_info(self) -> Row:
        """Describe version, generation and processes."""

    def weights_of(self, route: str) -> tuple[Mapping[str, int], float | None]:
        """Return the overridden weights of a route, and the seconds until they expire (None: never)."""

    def mirror_override(self, mirror: str) -> MirrorOverride:
        """Return the override of a mirror (`overrides.ALL_MIRRORS`: whether all are paused)."""

    async def set_weights(self, route: str, weights: Mapping[str, int], ttl_s: float | None) -> None:
        """Change weights; returns when every worker uses them. Raises `RefusedError`."""

    async def set_mirror(
        self, mirror: str, percent: float | None, paused: bool | None, ttl_s: float | None
    ) -> None:
        """Change a mirror's percent, or pause or resume it (`overrides.ALL_MIRRORS`: all); None changes nothing.

        Returns when every worker applies the change. Raises `RefusedError`.
        """

    async def reset(self, *, route: str | None = None, mirror: str | None = None) -> None:
        """Restore the files' weights of a route, or percent of a mirror; a pause stays.

        Returns when every worker applies the change. Raises `RefusedError`.
        """

    async def totals(self, search: TotalsSearch) -> RunTotals:
        """Return totals of runs; if nothing is compared, those since the proxy's start, of no run.

        Raises `RefusedError` if the comparer does not answer or its store fails.
        """

    async def runs(self) -> tuple[Run, ...]:
        """Return all runs in the store. Raises `RefusedError` if nothing is compared or the store fails."""

    async def change_runs(self, change: RunChange) -> tuple[Run, ...]:
        """Begin, reset or delete runs; return those that were changed. Raises `RefusedError`."""

    async def differences(self, search: Search) -> tuple[Example, ...]:
        """Return examples of differences. Raises `RefusedError` if nothing is compared or the store fails."""

    async def records(self, search: RecordSearch) -> tuple[Record, ...]:
        """Return records of pairs, none if nothing is compared. Raises `RefusedError` as `totals` does."""

    async def difference(self, number: int) -> Example | None:
        """Return one example. Raises `RefusedError` as `differences` does."""

    async def reload(self) -> RejectedReload | None:
        """Reload the configuration; returns when it is in force in every worker, or its problems."""

    def drain(self) -> None:
        """Begin to drain, as SIGTERM does."""
