"""All ramps of a proxy: start, resume and stop them as operators ask; each target has one ramp at a time.

Ramps live in the supervisor and end with it, as all overrides do.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass

from mirror_proxy import tasks
from mirror_proxy.comparison.diff.totals import OF_COMPARER, Totals, of_report
from mirror_proxy.config.model import Config
from mirror_proxy.errors import RefusedError
from mirror_proxy.overrides import Key
from mirror_proxy.ramp.override import LiveOverrides, OverrideSetter
from mirror_proxy.ramp.plan import Plan
from mirror_proxy.ramp.run import Offload, Ramp, RampInput
from mirror_proxy.telemetry.metrics import Report

#: Each reads every worker's counters once a second.
_MOST_UNDER_WAY = 10
#: Ramps that are over are shown until there are more.
_MOST_SHOWN = 50
#: Wait for the comparer at most this long: it yields to all other processes, and the other guards must be judged.
_ANSWER_S = 2.0


@dataclass(frozen=True, slots=True)
class RampSources:
    """What ramps read of a proxy: `lags_s` are the latest loop lags of its workers, `report` their counters now.

    `totals` returns the comparer's totals since a time, and raises `RefusedError`.
    """

    config: Callable[[], Config]
    lags_s: Callable[[], Iterable[float]]
    report: Callable[[], Awaitable[Report]]
    totals: Callable[[float], Awaitable[Totals]]


class RampManager:
    """The ramps of one proxy; `offload` adds up figures without blocking the loop."""

    def __init__(self, overrides: LiveOverrides, sources: RampSources, offload: Offload) -> None:
        self._overrides = overrides
        self._sources = sources
        self._offload = offload
        self._ramps: dict[Key, Ramp] = {}  # the last of each target, the newest at the end

    def rows(self) -> list[dict[str, object]]:
        """Describe the ramps that are under way, and of each other target the last."""
        return [ramp.row() for ramp in self._ramps.values()]

    async def start(self, plan: Plan) -> None:
        """Start a ramp; returns when its first step is in force. Raises `RefusedError`."""
        key = plan.target.key
        if key in self._under_way():
            raise RefusedError(f"a ramp of {self._ramps[key].plan.target} is under way; stop it first")
        if len(self._under_way()) >= _MOST_UNDER_WAY:
            raise RefusedError(
                f"{_MOST_UNDER_WAY} ramps are under way, the most there may be; stop one first"
            )
        if _needs_pairs(plan) and not self._sources.config().settings.compare.is_on:
            message = (
                "nothing is compared, so there is no diff_rate: set compare.percent, or run with --compare"
            )
            raise RefusedError(message)
        setter = OverrideSetter(plan, self._overrides, self._sources.config)
        ramp = Ramp(plan, setter, self._reader(plan), offload=self._offload)
        self._ramps.pop(key, None)
        self._ramps[key] = ramp
        self._forget()
        tasks.spawn(ramp.run(), "ramp")
        await ramp.begun.wait()

    async def resume(self, key: Key) -> None:
        """Resume a ramp that is held. Raises `RefusedError`."""
        await self._find(key).resume()

    async def stop(self, key: Key, *, keep: bool) -> None:
        """End a ramp at its present step (`keep`), or roll it back. Raises `RefusedError`."""
        await self._find(key).stop(keep=keep)

    def check_overrides(self) -> None:
        """End the ramps whose target was changed by hand."""
        for ramp in self._ramps.values():
            ramp.check_override()

    def _under_way(self) -> list[Key]:
        self.check_overrides()
        return [key for key, ramp in self._ramps.items() if not ramp.is_over]

    def _find(self, key: Key) -> Ramp:
        under_way = self._under_way()
        if key not in under_way:
            named = [str(self._ramps[one].plan.target) for one in under_way]
            raise RefusedError(f"no ramp of {key[1]} is under way", ramps=named)
        return self._ramps[key]

    def _forget(self) -> None:
        over = [key for key, ramp in self._ramps.items() if ramp.is_over]
        for key in over[: max(0, len(self._ramps) - _MOST_SHOWN)]:
            del self._ramps[key]

    def _reader(self, plan: Plan) -> Callable[[], Awaitable[RampInput]]:
        since, sources = time.time(), self._sources

        async def read() -> RampInput:
            lags_s = list(sources.lags_s())  # before `report`, which asks each worker for its lag anew
            report = await sources.report()
            differences = await self._differences(since) if _needs_pairs(plan) else None
            totals = await self._offload(lambda: of_report(report))
            thresholds = sources.config().settings.compare.thresholds
            return RampInput(totals, differences, max((*lags_s, _lag_s(report))), thresholds)

        return read

    async def _differences(self, since: float) -> Totals | None:
        try:
            async with asyncio.timeout(_ANSWER_S):
                totals = await self._sources.totals(since)
        except (RefusedError, TimeoutError):
            return None
        return Totals({key: count for key, count in totals.counts.items() if key[0] in OF_COMPARER})


def _needs_pairs(plan: Plan) -> bool:
    return any(guard.limit.name == "diff_rate" for guard in plan.guards)


def _lag_s(report: Report) -> float:
    value = report.get("worker_loop_lag_seconds", {}).get((), 0.0)
    return value if isinstance(value, int | float) else 0.0
