"""Run one ramp: take the steps of its plan, judge each by the guards, and stop when a guard is broken.

A step ends when it has lasted its time, the figure of every guard has enough samples, and no guard is broken. With too
little traffic a ramp stays at its step, and its log says what it waits for. A guard is judged by what was counted since
the present step began.

An operator who changes the same override by hand takes over: the ramp sees that the override in force is not its own,
and ends without a further change.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, Protocol, TypeVar

from mirror_proxy.comparison.diff.totals import Totals
from mirror_proxy.comparison.report.figures import LOOP_LAG, Figure
from mirror_proxy.comparison.report.limits import LimitResult, format_figure
from mirror_proxy.config.model import Thresholds
from mirror_proxy.errors import RefusedError
from mirror_proxy.ramp.plan import Plan
from mirror_proxy.telemetry.event import event
from mirror_proxy.text import format_count, format_percent, plural

State = Literal["running", "waiting", "held", "finished", "rolled back", "ended"]

#: A worker reports its worst lag since its last report, once a second: a longer interval would miss some.
CHECK_S = 1.0
_CHECKS_A_STEP = 4
_MOST_EVENTS = 100

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class RampInput:
    """The totals of the data plane and of the comparer (None: it does not answer, or no guard needs it).

    `lag_s` is the latest loop lag of the slowest worker.
    """

    totals: Totals
    differences: Totals | None
    lag_s: float
    thresholds: Thresholds


class ShareSetter(Protocol):
    """The override of a ramp (see `override`)."""

    def lost(self) -> str:
        """Return why the override in force is no longer the ramp's; empty while it is."""

    def paused(self) -> str:
        """Return why the target receives no requests at present; empty while it does."""

    async def move(self, percent: float) -> None:
        """Set the override of a step; returns when every worker uses it. Raises `RefusedError`."""

    async def restore(self) -> str:
        """Restore what was in force before the first step; return a remark for the log, or nothing."""


@dataclass(frozen=True, slots=True)
class Clocks:
    """The clocks of a ramp: monotonic, seconds since the epoch, and a sleep."""

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
T = TypeVar("T")


class Offload(Protocol):
    """Runs `work` without blocking the loop: the figures of a thousand routes take tens of milliseconds."""

    async def __call__(self, work: Callable[[], T], /) -> T:
        """Return what `work` returns."""


async def _inline(work: Callable[[], T], /) -> T:
    return work()


class Ramp:
    """Carries out `plan` with `setter`; guards judge what `read` returns. `events` are the end of its log."""

    def __init__(
        self,
        plan: Plan,
        setter: ShareSetter,
        read: Callable[[], Awaitable[RampInput]],
        clocks: Clocks | None = None,
        offload: Offload | None = None,
    ) -> None:
        self._setter = setter
        self._read = read
        self._offload = offload or _inline
        self._clocks = clocks or Clocks()
        self._check_s = min(CHECK_S, plan.every_s / _CHECKS_A_STEP)
        self._step = 0  # none yet
        self._since = self._clocks.now()
        self._begun = self._last = RampInput(Totals(), None, 0.0, Thresholds())
        self._before: Mapping[str, Figure] = {}
        self._judged: tuple[LimitResult, ...] = ()
        self._waits_for = ""
        self.plan = plan
        self.state: State = "running"
        self.begun = asyncio.Event()  # set when the first step is in force, or the ramp waits for it
        self.events: deque[RampEvent] = deque(maxlen=_MOST_EVENTS)

    @property
    def is_over(self) -> bool:
        """Whether the ramp changes nothing any more."""
        return self.state in {"finished", "rolled back", "ended"}

    async def run(self) -> None:
        """Take step after step; returns when the ramp is over."""
        try:
            await self._begin()
            self.begun.set()
            while not self.is_over:
                await self._clocks.sleep(self._check_s)
                await self._check()
        finally:
            self.begun.set()
            if not self.is_over:
                self._end("ended", "it was cut short")

    async def resume(self) -> None:
        """Begin the step at which the ramp is held anew. Raises `RefusedError` if the ramp is not held."""
        reading = await self._read()
        if self.state != "held":
            raise RefusedError(f"the ramp of {self.plan.target} is not held: it is {self.state}")
        self.state = "running"
        self._say(f"goes on {self._place}, as was asked; the step begins anew")
        self._watch(reading)

    async def stop(self, *, keep: bool) -> None:
        """End at the present step (`keep`), or roll back."""
        if keep:
            self._end("ended", f"stopped by hand {self._place}")
        else:
            await self._roll_back("stopped by hand")

    def check_override(self) -> None:
        """End if the override in force is not the ramp's."""
        lost = "" if self.is_over else self._setter.lost()
        if lost:
            self._end("ended", f"{lost}; the ramp leaves it at that")

    def row(self) -> dict[str, object]:
        """Describe the ramp as `/ramp` shows it."""
        plan, for_s = self.plan, self._clocks.now() - self._since
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
            self._say(f"step {self._step} of {count}: {format_percent(percent)}")
            self._watch(await self._read())

    def _watch(self, reading: RampInput) -> None:
        """Count from `reading` on."""
        self._since = self._clocks.now()
        self._begun = self._last = reading
        self._judged = ()
        self._waits_for = ""

    # --- checks ---

    async def _check(self) -> None:
        reading = await self._read()
        begun, measure = self._begun, self._measure if self._step else self._measure_before
        measured = await self._offload(lambda: measure(begun, reading))
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
        """Return the figures of what was counted since `begun`; None: the comparer counts anew since then."""
        counted = _counted(begun, now)
        return None if counted is None else self.plan.target.measure(counted, now.thresholds)

    def _measure_before(self, begun: RampInput, now: RampInput) -> Measured:
        return self.plan.target.measure_before(now.totals - begun.totals, now.thresholds)

    async def _check_before(self, before: Measured) -> None:
        """Take the first step once the figures that multiples refer to have enough samples."""
        names = {guard.limit.name for guard in self.plan.guards if guard.is_multiple}
        fewest = min(before[name].samples for name in names)
        if fewest >= self.plan.min_samples:
            self._before = before
            self._say(
                "before: "
                + ", ".join(f"{name} {format_figure(name, before[name].value)}" for name in sorted(names))
            )
            await self._take_next()
        else:
            self._waits_for = f"{plural(fewest, 'sample')}, of at least {format_count(self.plan.min_samples)}"

    def _is_paused(self, reading: RampInput) -> bool:
        """Wait while the target receives no requests; the step begins anew after that."""
        paused = self._setter.paused()
        if paused and self.state == "running":
            self.state = "waiting"
            self._say(f"waits {self._place}: {paused}")
        elif not paused and self.state == "waiting":
            self.state = "running"
            self._say(f"goes on {self._place}; the step begins anew")
            self._watch(reading)
        return self.state == "waiting"

    def _judge(self, reading: RampInput, figures: Measured | None) -> tuple[LimitResult, ...]:
        """Judge every guard by what was counted since the step began."""
        if figures is None:
            self._say("the comparer counts anew, and so does the step")
            self._watch(reading)
            return ()
        lags_s = (self._last.lag_s, reading.lag_s) if self._last is not self._begun else ()
        lag_s = min(lags_s, default=None)
        figures[LOOP_LAG] = Figure(LOOP_LAG, lag_s, len(lags_s), low=lag_s, high=lag_s)
        self._last = reading
        self._judged = tuple(
            guard.judge(figures, self._before, self.plan.min_samples) for guard in self.plan.guards
        )
        return self._judged

    async def _decide(self, judged: tuple[LimitResult, ...]) -> None:
        broken = [one for one in judged if one.outcome == "broken"]
        unsure = [one for one in judged if one.outcome == "undecided"]
        if broken:
            await self._fail(_reasons(broken))
        elif self._clocks.now() - self._since < self.plan.every_s:
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

    # --- log ---

    @property
    def _place(self) -> str:
        percent = self._percent
        return "before the first step" if percent is None else f"at {format_percent(percent)}"

    def _end(self, state: State, text: str, level: int = logging.INFO) -> None:
        self.state = state
        self._waits_for = ""
        self._say(text, level)

    def _say(self, text: str, level: int = logging.INFO) -> None:
        number = self.events[-1].number + 1 if self.events else 1
        self.events.append(RampEvent(number, self._clocks.date(), text))
        _log.log(level, event("ramp", target=self.plan.target, status=text))


def _counted(begun: RampInput, now: RampInput) -> Totals | None:
    """Return what was counted since `begun`; None: the comparer counts anew since then."""
    totals = now.totals - begun.totals
    if now.differences is None:
        return totals
    if begun.differences is None:
        return None
    differences = now.differences - begun.differences
    return totals + differences if all(count > 0 for count in differences.counts.values()) else None


def _reasons(judged: Iterable[LimitResult]) -> str:
    return "; ".join(f"{one.limit.text}: {one.why}" for one in judged)


def _guard_row(text: str, judged: LimitResult | None) -> dict[str, object]:
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
