"""What the admin server shows and may ask for, as it sees it: the supervisor is given to it in this shape."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

from mirror_proxy.comparison.diff.example import Example, Search
from mirror_proxy.comparison.diff.totals import Totals
from mirror_proxy.config.model import Config, Log
from mirror_proxy.overrides import Key
from mirror_proxy.ramp.plan import Plan
from mirror_proxy.telemetry.metrics import Report

State = Literal["INITIALIZING", "LIVE", "DRAINING"]  # Envoy's (api/envoy/admin/v3/server_info.proto)
Row = dict[str, object]


@dataclass(frozen=True, slots=True)
class ProxySnapshot:
    """How all workers together stand at one moment."""

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
    """The last reload that was refused, until one succeeds: its problems, a line each, and when it was."""

    problems: tuple[str, ...]
    time: float


@dataclass(frozen=True, slots=True)
class MirrorOverride:
    """How an operator has a mirror stand.

    `percent` is in place of the file's (None: that holds). It is `paused` under its own name, or with all others.
    `left_s`: for so many seconds more (None: on) it is paused, or where it is not, has that percent.
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
        """What is in force."""

    @property
    def refusal(self) -> RejectedReload | None:
        """What was refused since."""

    async def snapshot(self) -> ProxySnapshot:
        """Ask the workers; answers within a second even if one hangs."""

    def server_info(self) -> Row:
        """Describe version, generation and processes."""

    def weights_of(self, route: str) -> tuple[Mapping[str, int], float | None]:
        """Return the weights that a route has in place of the file's, and for how many seconds more (None: on)."""

    def mirror_override(self, mirror: str) -> MirrorOverride:
        """Return what was set of a mirror by hand (`runtime.ALL_MIRRORS`: whether all are paused)."""

    async def set_weights(self, route: str, weights: Mapping[str, int], ttl_s: float | None) -> None:
        """Change weights; returns when every worker uses them. Raises `RefusedError`."""

    async def set_mirror(
        self, mirror: str, percent: float | None, paused: bool | None, ttl_s: float | None
    ) -> None:
        """Change a mirror's percent, or pause or resume it (`runtime.ALL_MIRRORS`: all); None leaves as it is.

        Returns when every worker knows. Raises `RefusedError`.
        """

    async def reset(self, *, route: str | None = None, mirror: str | None = None) -> None:
        """Have the file's weights of a route, or its percent of a mirror, hold again; who is paused stays so.

        Returns when every worker knows. Raises `RefusedError`.
        """

    async def totals(self, since: float) -> Totals:
        """Return all that was counted from the minute of `since` on; if nothing is compared, since the proxy's start.

        Raises `RefusedError` when the comparer does not answer or its store fails.
        """

    async def differences(self, search: Search) -> tuple[Example, ...]:
        """Return examples of differences. Raises `RefusedError` when nothing is compared or the store fails."""

    async def difference(self, number: int) -> Example | None:
        """Return one example. Raises `RefusedError` as `differences` does."""

    async def reload(self) -> RejectedReload | None:
        """Load the configuration again; returns when it is in force in every worker, or why it is not."""

    def drain(self) -> None:
        """Begin to drain, as SIGTERM does."""
