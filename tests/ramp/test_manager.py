"""All ramps of a proxy: one for each target, not too many, and what they are judged by."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mirror_proxy.admin.work_thread import WorkThread
from mirror_proxy.comparison.diff.totals import Totals
from mirror_proxy.config.model import Compare, Config, MirrorPolicy, Route, Settings, Share, VirtualHost
from mirror_proxy.errors import RefusedError
from mirror_proxy.overrides import Runtime
from mirror_proxy.ramp import plan
from mirror_proxy.ramp.manager import RampManager, RampSources
from mirror_proxy.ramp.target import MirrorTarget
from mirror_proxy.supervisor.steering import Steering
from mirror_proxy.telemetry.metrics import Report

MIRRORS = tuple(MirrorPolicy(f"m{number}", "c", 0) for number in range(60))
CONFIG = Config(
    Settings(compare=Compare(Share(100))), (), (VirtualHost("v", ("*",), (Route("r", (), MIRRORS),)),)
)


class Proxy:
    """Ramps over real overrides, and what the workers and the comparer say."""

    def __init__(self) -> None:
        self.config = CONFIG
        self.told: Totals | None = Totals({("compared", "r", "m0", "GET /items"): 200})
        self.steering = Steering(Runtime(), lambda: self.config, self.apply)
        sources = RampSources(lambda: self.config, lambda: [0.3], self.report, self.totals)
        self.thread = WorkThread("ramps")
        self.ramps = RampManager(self.steering, sources, self.thread.run)

    async def apply(self) -> None:
        """Return at once: there are no workers."""

    async def report(self) -> Report:
        return {
            "worker_loop_lag_seconds": {(): 0.1},
            "mirror_requests_total": {("r", "m0", "completed"): 7},
        }

    async def totals(self, since: float) -> Totals:
        assert since > 0
        if self.told is None:
            raise RefusedError("the comparer is behind; ask again in a moment")
        return self.told

    async def start(self, number: int, **more: object) -> None:
        await self.ramps.start(plan.read({"mirror": f"m{number}", **more}))

    def states(self) -> list[object]:
        return [row["state"] for row in self.ramps.rows()]


def key(number: int) -> tuple[str, str]:
    return MirrorTarget(f"m{number}").key


async def test_a_target_has_one_ramp_at_a_time_and_the_last_one_is_shown() -> None:
    proxy = Proxy()
    await proxy.start(0)
    with pytest.raises(RefusedError, match="a ramp of m0 is under way; stop it first"):
        await proxy.start(0)
    await proxy.ramps.stop(key(0), keep=False)
    assert proxy.states() == ["rolled back"]
    await proxy.start(0)
    assert proxy.states() == ["running"]


async def test_ten_are_under_way_at_most() -> None:
    proxy = Proxy()
    for number in range(10):
        await proxy.start(number)
    with pytest.raises(RefusedError, match="10 ramps are under way, the most there may be"):
        await proxy.start(10)
    await proxy.ramps.stop(key(3), keep=True)
    await proxy.start(10)


async def test_of_those_that_are_over_the_newest_are_shown() -> None:
    proxy = Proxy()
    for number in range(60):
        await proxy.start(number)
        await proxy.ramps.stop(key(number), keep=True)
    assert [row["mirror"] for row in proxy.ramps.rows()] == [f"m{number}" for number in range(10, 60)]


async def test_one_that_gave_way_does_not_stand_in_the_way_of_the_next() -> None:
    proxy = Proxy()
    await proxy.start(0)
    await proxy.steering.set_mirror("m0", 0.5, None, None)
    await proxy.start(0)
    assert proxy.states() == ["running"]


async def test_what_is_not_under_way_can_neither_go_on_nor_be_stopped() -> None:
    proxy = Proxy()
    await proxy.start(1)
    with pytest.raises(RefusedError, match="no ramp of m0 is under way") as refused:
        await proxy.ramps.resume(key(0))
    assert refused.value.more == {"ramps": ["m1"]}
    with pytest.raises(RefusedError, match="no ramp of m0 is under way"):
        await proxy.ramps.stop(key(0), keep=False)


async def test_diff_rate_needs_something_to_be_compared() -> None:
    proxy = Proxy()
    proxy.config = replace(CONFIG, settings=Settings())
    with pytest.raises(RefusedError, match="nothing is compared, so there is no diff_rate"):
        await proxy.start(0, guards=["diff_rate>1%"])
    await proxy.start(0)


async def test_what_it_is_judged_by_is_of_workers_and_comparer_and_the_worst_lag_heard() -> None:
    proxy = Proxy()
    read = proxy.ramps._reader(plan.read({"mirror": "m0", "guards": ["diff_rate>1%"]}))
    reading = await read()
    assert reading.totals == Totals({("outcome", "r", "m0", "completed"): 7})
    assert reading.differences == Totals({("compared", "r", "m0", "GET /items"): 200})
    assert reading.lag_s == 0.3
    proxy.told = None
    assert (await read()).differences is None


async def test_a_comparer_is_not_asked_by_a_ramp_that_does_not_need_it() -> None:
    proxy = Proxy()
    reading = await proxy.ramps._reader(plan.read({"mirror": "m0"}))()
    assert reading.differences is None
