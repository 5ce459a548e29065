"""The comparer's process, seen from the supervisor: what it is told, what it answers, how it stands."""

from __future__ import annotations

from collections.abc import Callable

from mirror_proxy import control
from mirror_proxy.comparison.diff.example import Search
from mirror_proxy.config.model import Log
from mirror_proxy.supervisor.child import Child
from mirror_proxy.telemetry.metrics import Report


class ComparerProcess(Child):
    """A comparer. `report` is the latest that was heard; from `deadline` on it is overdue with leaving.

    `counted` is the number of the latest `control.Count` that is in its store.
    """

    def __init__(self, log: Callable[[], Log]) -> None:
        super().__init__(log)
        self.report: Report = {}
        self.counted = 0
        self.deadline: float | None = None

    async def spawn(self, pairs: int) -> None:
        """Start the process on the end of the pipe that pairs come out of. Raises `OSError`."""
        await self._start("mirror_proxy.comparison.process", {"pairs": pairs}, (pairs,), {})

    @property
    def is_behind(self) -> bool:
        """Whether it has yet to read what it was sent."""
        return self._pipe.is_behind

    def send(self, message: control.Configure | control.Count) -> None:
        """Tell it something it does not answer."""
        self._pipe.send(message)

    def drain(self, grace_s: float) -> None:
        """Let it compare and write what it has, and leave within `grace_s`."""
        if self.deadline is None:
            self.deadline = self._loop.time() + grace_s
            self._pipe.send(control.Drain(grace_s))

    async def ask(self, about: float | Search, timeout_s: float) -> control.Told | None:
        """Ask it what `control.Ask` asks; None: it has not answered."""
        number = next(self._ids)
        told = await self._ask(control.Ask(number, about), (control.Told, number), timeout_s)
        return told if isinstance(told, control.Told) else None

    def hear(self, message: control.Message) -> None:
        """Take what the comparer says."""
        match message:
            case control.Heartbeat(report):
                self.report = control.read_report(report)
            case control.Drained(report):
                self.report = control.read_report(report)
                self._pipe.close()
            case control.Counted(number):
                self.counted = number
            case control.Told():
                self._on_answer(control.Told, message.id, message)
