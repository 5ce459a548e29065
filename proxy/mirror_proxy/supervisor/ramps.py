"""All ramps: begun, looked after and ended as the admin server asks; each target has one at a time.

They live in the supervisor, and end with it, as all that is steered live does.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

from mirror_proxy import tasks
from mirror_proxy.admin.interface import ProxySnapshot, RefusedError, Row
from mirror_proxy.admin.work_thread import WorkThread
from mirror_proxy.comparison.diff.totals import OF_COMPARER, Totals, of_report
from mirror_proxy.config.model import Config
from mirror_proxy.overrides import Key
from mirror_proxy.ramp.plan import Plan
from mirror_proxy.supervisor.fleet import Fleet
from mirror_proxy.supervisor.override_setter import OverrideSetter
from mirror_proxy.supervisor.ramp import Ramp, RampInput
from mirror_proxy.supervisor.steering import Steering
from mirror_proxy.telemetry.metrics import Report

#: Each reads every worker's counters once a second.
_MOST_UNDER_WAY = 10
#: Those that are over are shown until there are more.
_MOST_SHOWN = 50
#: The comparer yields to everything else; the other guards do not wait for it longer than this.
_ANSWER_S = 2.0


class Ramps:
    """The ramps of one fleet. `snapshot` asks its workers, `totals` (since a time) the comparer."""

    def __init__(
        self,
        steering: Steering,
        fleet: Fleet,
        snapshot: Callable[[], Awaitable[ProxySnapshot]],
        totals: Callable[[float], Awaitable[Totals]],
    ) -> None:
        self._steering = steering
        self._fleet = fleet
        self._snapshot = snapshot
        self._totals = totals
        self._thread = WorkThread("ramps")
        self._ramps: dict[Key, Ramp] = {}  # the last of each target, the newest at the end

    def rows(self) -> list[Row]:
        """Describe those that are under way, and the last of each target that is over."""
        return [ramp.row() for ramp in self._ramps.values()]

    async def start(self, plan: Plan) -> None:
        """Begin a ramp; returns when its first step is in force. Raises `RefusedError`."""
        key = plan.target.key
        if key in self._under_way():
            raise RefusedError(f"a ramp of {self._ramps[key].plan.target} is under way; stop it first")
        if len(self._under_way()) >= _MOST_UNDER_WAY:
            raise RefusedError(
                f"{_MOST_UNDER_WAY} ramps are under way, the most there may be; stop one first"
            )
        if _needs_pairs(plan) and not self._config().settings.compare.is_on:
            message = (
                "nothing is compared, so there is no diff_rate: set compare.percent, or run with --compare"
            )
            raise RefusedError(message)
        setter = OverrideSetter(plan, self._steering, self._config)
        ramp = Ramp(plan, setter, self._reader(plan), off_loop=self._thread.run)
        self._ramps.pop(key, None)
        self._ramps[key] = ramp
        self._forget()
        tasks.spawn(ramp.run(), "ramp")
        await ramp.begun.wait()

    async def go(self, key: Key) -> None:
        """Have a ramp that is held go on. Raises `RefusedError`."""
        await self._find(key).go()

    async def stop(self, key: Key, *, keep: bool) -> None:
        """End a ramp where it is (`keep`), or go back to what was there before. Raises `RefusedError`."""
        await self._find(key).stop(keep=keep)

    def check_overrides(self) -> None:
        """End those whose target was changed by hand."""
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

    def _config(self) -> Config:
        return self._fleet.generation.config

    # --- what they are judged by ---

    def _reader(self, plan: Plan) -> Callable[[], Awaitable[RampInput]]:
        since = time.time()

        async def read() -> RampInput:
            heard = [process.lag_s for process in self._fleet.processes]
            report = (await self._snapshot()).report
            differences = await self._differences(since) if _needs_pairs(plan) else None
            lag_s = max((*heard, _lag_s(report)))  # each says what it was since the one before
            totals = await self._thread.run(lambda: of_report(report))
            return RampInput(totals, differences, lag_s, self._config().settings.compare.thresholds)

        return read

    async def _differences(self, since: float) -> Totals | None:
        try:
            async with asyncio.timeout(_ANSWER_S):
                totals = await self._totals(since)
        except (RefusedError, TimeoutError):
            return None
        return Totals({key: count for key, count in totals.counts.items() if key[0] in OF_COMPARER})


def _needs_pairs(plan: Plan) -> bool:
    return any(guard.limit.name == "diff_rate" for guard in plan.guards)


def _lag_s(report: Report) -> float:
    value = report.get("worker_loop_lag_seconds", {}).get((), 0.0)
    return value if isinstance(value, int | float) else 0.0
