"""One ramp, with time that the test turns, a setter that notes its steps, and counts that a script makes."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import pytest

from mirror_proxy.comparison.diff.totals import Totals
from mirror_proxy.config.model import Thresholds
from mirror_proxy.errors import RefusedError
from mirror_proxy.ramp import plan
from mirror_proxy.ramp.run import Clocks, Ramp, RampInput

Counts = dict[tuple[str, ...], int]

#: What is counted each second when all is well.
WELL: Counts = {
    ("outcome", "r", "m", "completed"): 20,
    ("status_pair", "m", "200", "200"): 20,
    ("requests", "r", "p", "200"): 20,
    ("duration", "r", "p", "3"): 20,
}
BAD: Counts = {
    ("outcome", "r", "m", "timeout"): 20,
    ("requests", "r", "p", "200"): 20,
    ("duration", "r", "p", "3"): 20,
}
SLOW: Counts = {**WELL, ("duration", "r", "p", "3"): 0, ("duration", "r", "p", "7"): 20}
PAIRS: Counts = {("compared", "r", "m", "GET /items"): 20}


class Stage:
    """A setter, a source of counts and a clock. `script` is run at each second; what is counted then is `rate`."""

    def __init__(self, **more: object) -> None:
        self.now = 1000.0
        self.moves: list[float | str] = []
        self.lost_to = self.paused_by = self.restored = ""
        self.refuses = ""
        self.rate = WELL
        self.pairs: Counts | None = None
        self.lag_s = 0.01
        self.script: dict[int, Callable[[], object]] = {}
        self._totals, self._pairs = Totals(), Totals()
        body = {"mirror": "m", "steps": [1, 50, 100], "every": "10s", **more}
        self.ramp = Ramp(
            plan.read(body), self, self.read, Clocks(lambda: self.now, lambda: self.now, self.sleep)
        )

    async def sleep(self, seconds: float) -> None:
        assert seconds == 1.0
        self.now += seconds
        assert self.now < 1500, f"the ramp does not end: {self.ramp.row()}"
        self._totals += Totals(self.rate)
        self._pairs += Totals(self.pairs or {})
        done = self.script.get(round(self.now - 1000), lambda: None)()
        if done is not None:
            await done  # type: ignore[misc]

    async def read(self) -> RampInput:
        pairs = None if self.pairs is None else self._pairs
        return RampInput(self._totals, pairs, self.lag_s, Thresholds())

    def at(self, second: int, **changes: object) -> None:
        """Let attributes of the stage change at a second."""
        self.script[second] = lambda: self.__dict__.update(changes)

    def forget_pairs(self) -> None:
        self._pairs = Totals()

    async def run(self) -> list[str]:
        """Run the ramp to its end; return its log, with the seconds since its start."""
        await self.ramp.run()
        return [f"{event.time - 1000:g} {event.text}" for event in self.ramp.events]

    # --- the setter ---

    def lost(self) -> str:
        return self.lost_to

    def paused(self) -> str:
        return self.paused_by

    async def move(self, percent: float) -> None:
        if self.refuses:
            raise RefusedError(self.refuses)
        self.moves.append(percent)

    async def restore(self) -> str:
        self.moves.append("restored")
        return self.restored


def guards(stage: Stage) -> dict[object, object]:
    rows = stage.ramp.row()["guards"]
    assert isinstance(rows, list)
    return {row["limit"]: row["outcome"] for row in rows}


def texts(log: Iterable[str]) -> list[str]:
    return [line.partition(" ")[2] for line in log]


async def test_while_all_is_well_each_step_lasts_its_time_and_the_last_one_stays() -> None:
    stage = Stage()
    assert await stage.run() == [
        "0 step 1 of 3: 1 %",
        "10 step 2 of 3: 50 %",
        "20 step 3 of 3: 100 %",
        "30 finished: stays at 100 % until the proxy is restarted; write it into the files",
    ]
    assert stage.moves == [1, 50, 100]
    assert stage.ramp.state == "finished"
    assert guards(stage) == {"mirror_error_rate>5%": "ok", "loop_lag>250ms": "ok"}


async def test_a_broken_guard_rolls_back_as_soon_as_it_is_sure() -> None:
    stage = Stage()
    stage.at(10, rate=BAD)
    assert await stage.run() == [
        "0 step 1 of 3: 1 %",
        "10 step 2 of 3: 50 %",
        "11 rolled back to what was there before: mirror_error_rate>5%: 100 % of 20 samples, surely at least 71.6 %",
    ]
    assert stage.moves == [1, 50, "restored"]
    assert stage.ramp.state == "rolled back"


async def test_what_was_counted_before_a_step_is_not_held_against_it() -> None:
    stage = Stage(min_samples=200)
    stage.rate = {**WELL, ("outcome", "r", "m", "timeout"): 1}
    stage.at(10, rate=WELL)
    stage.at(11, rate={**WELL, ("outcome", "r", "m", "timeout"): 1})
    log = await stage.run()
    assert texts(log)[-1].startswith("finished")


async def test_too_few_samples_hold_a_step_and_its_log_says_so_once() -> None:
    stage = Stage()
    stage.rate = {key: count // 20 for key, count in WELL.items()}
    stage.at(40, rate=WELL)
    log = await stage.run()
    assert log[:3] == [
        "0 step 1 of 3: 1 %",
        "10 stays at 1 %: mirror_error_rate>5%: 0 % of 10 samples, of at least 100",
        "43 step 2 of 3: 50 %",
    ]


async def test_what_it_waits_for_is_shown_as_it_is_now() -> None:
    stage = Stage()
    stage.rate = {}
    seen: list[object] = []
    stage.script[15] = lambda: seen.append(stage.ramp.row()["waits_for"])
    stage.at(16, rate=WELL)
    stage.script[22] = lambda: seen.append(stage.ramp.row()["waits_for"])
    await stage.run()
    assert seen == ["mirror_error_rate>5%: 0 samples, of at least 100", ""]


async def test_nothing_to_judge_by_never_passes() -> None:
    stage = Stage(guards=["diff_rate>1%"])
    stage.script[100] = lambda: stage.ramp.stop(keep=True)
    assert await stage.run() == [
        "0 step 1 of 3: 1 %",
        "10 stays at 1 %: diff_rate>1%: 0 samples, of at least 100",
        "100 stopped by hand at 1 %",
    ]
    assert stage.moves == [1]


async def test_a_ramp_may_be_held_by_a_broken_guard_until_it_is_told_to_go_on() -> None:
    stage = Stage(on_fail="hold")
    stage.at(10, rate=BAD)
    stage.at(30, rate=WELL)
    stage.script[40] = stage.ramp.resume
    assert await stage.run() == [
        "0 step 1 of 3: 1 %",
        "10 step 2 of 3: 50 %",
        "11 held at 50 %: mirror_error_rate>5%: 100 % of 20 samples, surely at least 71.6 %",
        "40 goes on at 50 %, as was asked; the step begins anew",
        "50 step 3 of 3: 100 %",
        "60 finished: stays at 100 % until the proxy is restarted; write it into the files",
    ]
    assert stage.moves == [1, 50, 100]


async def test_what_is_still_broken_holds_again() -> None:
    stage = Stage(on_fail="hold")
    stage.rate = BAD
    stage.script[10] = stage.ramp.resume
    stage.script[20] = lambda: stage.ramp.stop(keep=False)
    assert texts(await stage.run()) == [
        "step 1 of 3: 1 %",
        "held at 1 %: mirror_error_rate>5%: 100 % of 20 samples, surely at least 71.6 %",
        "goes on at 1 %, as was asked; the step begins anew",
        "held at 1 %: mirror_error_rate>5%: 100 % of 20 samples, surely at least 71.6 %",
        "rolled back to what was there before: stopped by hand",
    ]
    assert stage.moves == [1, "restored"]


async def test_one_that_is_not_held_cannot_be_told_to_go_on() -> None:
    stage = Stage()
    with pytest.raises(RefusedError, match="the ramp of m is not held: it is running"):
        await stage.ramp.resume()


async def test_a_change_by_hand_ends_it_where_it_is() -> None:
    stage = Stage()
    stage.at(12, lost_to="the percent of m was changed by hand")
    assert await stage.run() == [
        "0 step 1 of 3: 1 %",
        "10 step 2 of 3: 50 %",
        "12 the percent of m was changed by hand; the ramp leaves it at that",
    ]
    assert stage.moves == [1, 50]
    assert stage.ramp.state == "ended"


async def test_a_change_by_hand_is_seen_when_it_is_made() -> None:
    stage = Stage()

    def change() -> None:
        stage.lost_to = "the percent of m was changed by hand"
        stage.ramp.check_override()
        assert stage.ramp.state == "ended"

    stage.script[12] = change
    await stage.run()
    assert stage.moves == [1, 50]


async def test_a_step_that_is_refused_ends_it() -> None:
    stage = Stage()
    stage.at(10, refuses='no mirror is named "m"')
    assert texts(await stage.run()) == ["step 1 of 3: 1 %", 'no mirror is named "m"']
    assert stage.ramp.state == "ended"


async def test_while_its_mirror_is_paused_it_waits_and_the_step_begins_anew() -> None:
    stage = Stage()
    stage.at(15, paused_by="all mirrors are paused", rate={})
    stage.at(115, paused_by="", rate=WELL)
    assert await stage.run() == [
        "0 step 1 of 3: 1 %",
        "10 step 2 of 3: 50 %",
        "15 waits at 50 %: all mirrors are paused",
        "115 goes on at 50 %; the step begins anew",
        "125 step 3 of 3: 100 %",
        "135 finished: stays at 100 % until the proxy is restarted; write it into the files",
    ]


async def test_a_loop_that_is_late_once_breaks_no_guard_and_twice_in_a_row_does() -> None:
    stage = Stage()
    for second in (3, 5, 12, 13):
        stage.at(second, lag_s=0.3)
        stage.at(second + 1, lag_s=0.01) if second != 12 else None
    assert await stage.run() == [
        "0 step 1 of 3: 1 %",
        "10 step 2 of 3: 50 %",
        "13 rolled back to what was there before: loop_lag>250ms: 300 ms of 2 samples",
    ]


async def test_a_multiple_is_of_what_was_measured_before_the_first_step() -> None:
    stage = Stage(guards=["primary_p99>1.5x"])
    stage.at(20, rate=SLOW)
    log = await stage.run()
    assert log[:4] == [
        "0 measures primary_p99 before the first step",
        "5 before: primary_p99 4.98 ms",
        "5 step 1 of 3: 1 %",
        "15 step 2 of 3: 50 %",
    ]
    assert log[4].startswith("21 rolled back to what was there before: primary_p99>1.5x: ")
    assert stage.moves == [1, 50, "restored"]


async def test_one_stopped_before_its_first_step_says_so() -> None:
    stage = Stage(guards=["primary_p99>1.5x"])
    stage.rate = {}
    stage.script[3] = lambda: stage.ramp.stop(keep=True)
    assert texts(await stage.run())[-1] == "stopped by hand before the first step"
    assert stage.moves == []


async def test_differences_are_judged_over_the_step_too() -> None:
    stage = Stage(guards=["diff_rate>1%"], min_samples=100)
    stage.pairs = PAIRS
    differing: Counts = {
        ("differing", "r", "m", "GET /items"): 5,
        ("field", "r", "m", "GET /items", "$.a", "value"): 5,
    }
    stage.at(10, pairs={**PAIRS, **differing, ("leading", "r", "m", "GET /items", "$.a", "value"): 5})
    log = await stage.run()
    assert stage.moves == [1, 50, "restored"]
    assert "diff_rate>1%" in log[-1]


async def test_what_going_back_leaves_is_told() -> None:
    stage = Stage()
    stage.restored = "stays at 1 %"
    stage.at(5, rate=BAD)
    first, back, stays = await stage.run()
    assert (first, stays) == ("0 step 1 of 3: 1 %", f"{back.split()[0]} stays at 1 %")
    assert "rolled back" in back


async def test_a_comparer_that_cannot_be_asked_holds_a_step_but_not_the_other_guards() -> None:
    stage = Stage(guards=["diff_rate>1%"])
    stage.pairs = PAIRS
    stage.at(5, pairs=None)
    stage.at(20, rate=BAD)
    log = await stage.run()
    assert log[:2] == ["0 step 1 of 3: 1 %", "10 stays at 1 %: diff_rate>1%: 0 samples, of at least 100"]
    assert "mirror_error_rate>5%" in log[2]
    assert stage.moves == [1, "restored"]


async def test_a_comparer_that_counts_anew_begins_the_step_anew() -> None:
    stage = Stage(guards=["diff_rate>1%"])
    stage.pairs = PAIRS
    stage.script[16] = stage.forget_pairs
    assert texts((await stage.run())[:4]) == [
        "step 1 of 3: 1 %",
        "step 2 of 3: 50 %",
        "the comparer counts anew, and so does the step",
        "step 3 of 3: 100 %",
    ]
    assert stage.now == 1000 + 10 + 6 + 10 + 10


async def test_one_that_is_cut_short_is_over() -> None:
    stage = Stage()

    def fall() -> None:
        raise OSError("unforeseen")

    stage.script[3] = fall
    with pytest.raises(OSError, match="unforeseen"):
        await stage.run()
    assert stage.ramp.state == "ended"


async def test_its_row_shows_where_it_is() -> None:
    stage = Stage()
    rows: list[dict[str, object]] = []
    stage.script[13] = lambda: rows.append(stage.ramp.row())
    await stage.run()
    [row] = rows
    assert row["guards"] == [
        {
            "limit": "mirror_error_rate>5%",
            "outcome": "undecided",
            "value": 0.0,
            "samples": 40,
            "why": "0 % of 40 samples, of at least 100",
        },
        {
            "limit": "loop_lag>250ms",
            "outcome": "ok",
            "value": 0.01,
            "samples": 2,
            "why": "10 ms of 2 samples",
        },
    ]
    assert row["log"] == [
        {"number": 1, "time": 1000.0, "text": "step 1 of 3: 1 %"},
        {"number": 2, "time": 1010.0, "text": "step 2 of 3: 50 %"},
    ]
    said = (
        "mirror",
        "state",
        "steps",
        "step",
        "percent",
        "step_for_s",
        "next_in_s",
        "min_samples",
        "on_fail",
    )
    assert [row[name] for name in said] == ["m", "running", [1, 50, 100], 2, 50, 3.0, 7.0, 100, "rollback"]


async def test_its_log_is_bounded() -> None:
    stage = Stage()
    for second in range(1, 300, 2):
        stage.at(second, paused_by="all mirrors are paused")
        stage.at(second + 1, paused_by="")
    await stage.run()
    assert len(stage.ramp.events) == 100
    assert stage.ramp.events[-1].number > 200
