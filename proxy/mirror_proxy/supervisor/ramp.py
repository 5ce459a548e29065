"""One ramp on its way: it takes the steps of its plan, watches each, and stops when a guard is broken.

A step is over once it has lasted its time, every guard's figure has its samples, and no guard is broken. So too
little traffic holds a ramp where it is, and its log says what it waits for. A guard is judged over what was counted
since the present step began.

Whoever changes by hand what the ramp changes has taken over: the ramp sees that the override in force is not its
own, and ends without a move.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

from mirror_proxy.admin.interface import RefusedError, Row
from mirror_proxy.comparison.diff.totals import Totals
from mirror_proxy.comparison.report.figures import LOOP_LAG, Figure
from mirror_proxy.comparison.report.limits import Judged, say
from mirror_proxy.config.model import Thresholds
from mirror_proxy.ramp.plan import Plan
from mirror_proxy.telemetry.event import event

State = Literal["running", "waiting", "held", "finished", "rolled back", "ended"]

#: What a worker says of its lag is the worst since it last said so, each second: seldom asked, some would be missed.
CHECK_S = 1.0
_CHECKS_A_STEP = 4
_MOST_EVENTS = 100

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class RampInput:
    """What the data plane has counted up to now, and the comparer; None: it cannot be asked, or nothing is compared.

    `lag_s` is what the slowest worker's loop was late by just now.
    """

    totals: Totals
    differences: Totals | None
    lag_s: float
    thresholds: Thresholds


class ShareSetter(Protocol):
    """What a ramp moves."""

    def lost(self) -> str:
        """Say why what is in force is not the ramp's any more; empty while it is."""

    def paused(self) -> str:
        """Say why the target gets nothing for now, whatever the step; empty while it gets its share."""

    async def move(self, percent: float) -> None:
        """Put a step into force; returns when every worker uses it. Raises `RefusedError`."""

    async def restore(self) -> str:
        """Put into force what was there before the first step; return what is to be known of it, if anything."""


@dataclass(frozen=True, slots=True)
class Clocks:
    """The clocks a ramp goes by: a steady one, the calendar's (seconds since the epoch), and how to wait."""

    now: Callable[[], float] = time.monotonic
    date: Callable[[], float] = time.time
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep


@dataclass(frozen=True, slots=True)
class RampEvent:
    """A line of a ramp's log; numbers rise by one."""

    number: int
    time: float
    text: str


Measured = dict[str, Figure]
#: Adds figures up where that holds nobody: of a thousand routes it takes tens of milliseconds.
OffLoop = Callable[[Callable[[], Measured | None]], Awaitable[Measured | None]]


async def _here(work: Callable[[], Measured | None]) -> Measured | None:
    return work()


class Ramp:
    """Carries out `plan` with `setter`, judged by what `read` returns; `events` are the last of its log."""

    def __init__(
        self,
        plan: Plan,
        setter: ShareSetter,
        read: Callable[[], Awaitable[RampInput]],
        times: Clocks | None = None,
        off_loop: OffLoop | None = None,
    ) -> None:
        self._setter = setter
        self._read = read
        self._off_loop = off_loop or _here
        self._time = times or Clocks()
        self._check_s = min(CHECK_S, plan.every_s / _CHECKS_A_STEP)
        self._step = 0  # none yet
        self._since = self._time.now()
        self._begun = self._last = RampInput(Totals(), None, 0.0, Thresholds())
        self._before: Mapping[str, Figure] = {}
        self._judged: tuple[Judged, ...] = ()
        self._waits_for = ""
        self.plan = plan
        self.state: State = "running"
        self.begun = asyncio.Event()  # its first step is in force, or it waits for that
        self.events: deque[RampEvent] = deque(maxlen=_MOST_EVENTS)

    @property
    def is_over(self) -> bool:
        """Tell whether it moves nothing any more."""
        return self.state in {"finished", "rolled back", "ended"}

    async def run(self) -> None:
        """Take step after step; returns when it is over."""
        try:
            await self._begin()
            self.begun.set()
            while not self.is_over:
                await self._time.sleep(self._check_s)
                await self._check()
        finally:
            self.begun.set()
            if not self.is_over:
                self._end("ended", "it was cut short")

    async def go(self) -> None:
        """Go on at the step where it is held, which begins anew. Raises `RefusedError` when it is not held."""
        reading = await self._read()
        if self.state != "held":
            raise RefusedError(f"the ramp of {self.plan.target} is not held: it is {self.state}")
        self.state = "running"
        self._say(f"goes on {self._place}, as was asked; the step begins anew")
        self._watch(reading)

    async def stop(self, *, keep: bool) -> None:
        """End it at its present step (`keep`), or go back to what was there before."""
        if keep:
            self._end("ended", f"stopped by hand {self._place}")
        else:
            await self._roll_back("stopped by hand")

    def check_override(self) -> None:
        """End when something else is in force than what it put there."""
        lost = "" if self.is_over else self._setter.lost()
        if lost:
            self._end("ended", f"{lost}; the ramp leaves it at that")

    def row(self) -> Row:
        """Describe it for people and programs."""
        plan, for_s = self.plan, self._time.now() - self._since
        judged = [*self._judged, *[None] * (len(plan.guards) - len(self._judged))]
        return {
            **plan.target.row(),
            "state": self.state,
            "steps": list(plan.steps),
            "step": self._step,
            "percent": self._percent,
            "every_s": plan.every_s,
            "step_for_s": round(for_s, 1),
            "next_in_s": round(max(0.0, plan.every_s - for_s), 1) if self.state == "running" else None,
            "waits_for": self._waits_for,
            "guards": [
                _guard_row(guard.limit.text, one) for guard, one in zip(plan.guards, judged, strict=True)
            ],
            "min_samples": plan.min_samples,
            "on_fail": plan.on_fail,
            "log": [{"number": one.number, "time": one.time, "text": one.text} for one in self.events],
        }

    # --- steps ---

    @property
    def _percent(self) -> float | None:
        return self.plan.steps[self._step - 1] if self._step else None

    async def _begin(self) -> None:
        multiples = [guard.limit.name for guard in self.plan.guards if guard.is_multiple]
        if multiples:
            self._say(f"measures {', '.join(multiples)} before the first step")
            self._watch(await self._read())
        else:
            await self._take_next()

    async def _take_next(self) -> None:
        percent, count = self.plan.steps[self._step], len(self.plan.steps)
        self._step += 1
        try:
            await self._setter.move(percent)
        except RefusedError as error:
            self._end("ended", str(error))
            return
        if not self.is_over:
            self._say(f"step {self._step} of {count}: {percent:g} %")
            self._watch(await self._read())

    def _watch(self, reading: RampInput) -> None:
        """Count from here on."""
        self._since = self._time.now()
        self._begun = self._last = reading
        self._judged = ()
        self._waits_for = ""

    # --- checks ---

    async def _check(self) -> None:
        reading = await self._read()
        begun, measure = self._begun, self._measure if self._step else self._measure_before
        measured = await self._off_loop(lambda: measure(begun, reading))
        self.check_override()  # nothing is awaited from here until the step is set
        if self.is_over or begun is not self._begun:
            return
        if not self._step:
            await self._check_before(measured or {})
        elif self.state == "held":
            self._judge(reading, measured)
        elif self._is_paused(reading):
            return
        else:
            await self._decide(self._judge(reading, measured))

    def _measure(self, begun: RampInput, now: RampInput) -> Measured | None:
        """Return the figures of what was counted since `begun`; None: the comparer has a new beginning since."""
        counted = _counted(begun, now)
        return None if counted is None else self.plan.target.measure(counted, now.thresholds)

    def _measure_before(self, begun: RampInput, now: RampInput) -> Measured:
        return self.plan.target.measure_before(now.totals - begun.totals, now.thresholds)

    async def _check_before(self, before: Measured) -> None:
        """Begin with the steps once what they are to be compared with is known."""
        names = {guard.limit.name for guard in self.plan.guards if guard.is_multiple}
        fewest = min(before[name].samples for name in names)
        if fewest >= self.plan.min_samples:
            self._before = before
            self._say(
                "before: " + ", ".join(f"{name} {say(name, before[name].value)}" for name in sorted(names))
            )
            await self._take_next()
        else:
            self._waits_for = f"{fewest} samples, of at least {self.plan.min_samples}"

    def _is_paused(self, reading: RampInput) -> bool:
        """Wait while the target gets nothing; the step begins anew after that."""
        paused = self._setter.paused()
        if paused and self.state == "running":
            self.state = "waiting"
            self._say(f"waits {self._place}: {paused}")
        elif not paused and self.state == "waiting":
            self.state = "running"
            self._say(f"goes on {self._place}; the step begins anew")
            self._watch(reading)
        return self.state == "waiting"

    def _judge(self, reading: RampInput, figures: Measured | None) -> tuple[Judged, ...]:
        """Hold every guard against what was counted since the step began."""
        if figures is None:
            self._say("the comparer counts anew, and so does the step")
            self._watch(reading)
            return ()
        lags_s = (self._last.lag_s, reading.lag_s) if self._last is not self._begun else ()
        figures[LOOP_LAG] = Figure(LOOP_LAG, min(lags_s, default=None), len(lags_s))
        self._last = reading
        self._judged = tuple(
            guard.judge(figures, self._before, self.plan.min_samples) for guard in self.plan.guards
        )
        return self._judged

    async def _decide(self, judged: tuple[Judged, ...]) -> None:
        broken = [one for one in judged if one.outcome == "broken"]
        unsure = [one for one in judged if one.outcome == "undecided"]
        if broken:
            await self._fail(_reasons(broken))
        elif self._time.now() - self._since < self.plan.every_s:
            self._waits_for = ""
        elif unsure:
            self._wait_for(_reasons(unsure))
        elif self._step < len(self.plan.steps):
            await self._take_next()
        else:
            self._end(
                "finished",
                f"finished: stays {self._place} until the proxy is restarted; write it into the files",
            )

    async def _fail(self, why: str) -> None:
        if self.plan.on_fail == "hold":
            self.state = "held"
            self._say(f"held {self._place}: {why}", logging.WARNING)
        else:
            await self._roll_back(why)

    async def _roll_back(self, why: str) -> None:
        self._end("rolled back", f"rolled back to what was there before: {why}", logging.WARNING)
        remark = await self._setter.restore()
        if remark:
            self._say(remark, logging.WARNING)

    def _wait_for(self, what: str) -> None:
        if not self._waits_for:
            self._say(f"stays {self._place}: {what}")
        self._waits_for = what

    # --- what is told ---

    @property
    def _place(self) -> str:
        return f"at {self._percent:g} %" if self._step else "before the first step"

    def _end(self, state: State, text: str, level: int = logging.INFO) -> None:
        self.state = state
        self._waits_for = ""
        self._say(text, level)

    def _say(self, text: str, level: int = logging.INFO) -> None:
        number = self.events[-1].number + 1 if self.events else 1
        self.events.append(RampEvent(number, self._time.date(), text))
        _log.log(level, event("ramp", target=self.plan.target, status=text))


def _counted(begun: RampInput, now: RampInput) -> Totals | None:
    """Return what was counted from `begun` on; None: the comparer has a new beginning since."""
    totals = now.totals - begun.totals
    if now.differences is None:
        return totals
    if begun.differences is None:
        return None
    differences = now.differences - begun.differences
    return totals + differences if all(count > 0 for count in differences.counts.values()) else None


def _reasons(judged: Iterable[Judged]) -> str:
    return "; ".join(f"{one.limit.text}: {one.why}" for one in judged)


def _guard_row(text: str, judged: Judged | None) -> Row:
    if judged is None:
        return {"limit": text, "outcome": "undecided", "value": None, "samples": 0, "why": "not judged yet"}
    figure = judged.figure
    return {
        "limit": text,
        "outcome": judged.outcome,
        "value": figure.value,
        "samples": figure.samples,
        "why": judged.why,
    }
