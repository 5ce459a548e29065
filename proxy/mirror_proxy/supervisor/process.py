"""One worker process, as the supervisor sees it: the messages it is sent, its answers and its state."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from mirror_proxy import control
from mirror_proxy.config.model import Config, Log, Settings
from mirror_proxy.overrides import Override
from mirror_proxy.supervisor.child import Child
from mirror_proxy.supervisor.sockets import SlotSockets
from mirror_proxy.telemetry.span import Span

State = Literal["starting", "serving", "draining"]

#: glibc gives the top of its heap back to the kernel whenever 128 KiB of it are free, and a chunk of a body is just
#: that: a POST of 64 KiB cost 11 to 18 % more in page faults (`python -m benchmarks --scenario post_64k`).
_ALLOCATOR = {"MALLOC_TRIM_THRESHOLD_": str(32 << 20), "MALLOC_TOP_PAD_": str(4 << 20)}


@dataclass(frozen=True, slots=True)
class Generation:
    """A configuration and its number; every worker serves exactly one."""

    number: int
    config: Config
    mark_key: bytes


@dataclass(frozen=True, slots=True)
class WorkerInputs:
    """What a worker starts with besides its generation, and where its spans go.

    `overrides` and `log` return what is in force; `pairs` returns the end of the comparer's pipe, if the settings
    compare. `on_spans` is called with the worker's spans.
    """

    overrides: Callable[[], tuple[Override, ...]]
    pairs: Callable[[Settings], int | None]
    on_spans: Callable[[tuple[Span, ...]], None]
    log: Callable[[], Log]


class WorkerProcess(Child):
    """A worker; `report` is its latest, still packed.

    `ready` resolves to None when the worker accepts connections, or to the reason why it never will.
    """

    def __init__(self, slot: int, generation: Generation, inputs: WorkerInputs) -> None:
        super().__init__(inputs.log)
        self._inputs = inputs
        self.slot = slot
        self.generation = generation
        self.state: State = "starting"
        self.deadline: float | None = None
        self.report: control.Parts = ()
        self.clusters: control.Parts = ()
        self.mirrors: control.Parts = ()
        self.ready: asyncio.Future[str | None] = self._loop.create_future()
        self.exited.add_done_callback(self._on_exited)

    async def spawn(self, sockets: SlotSockets) -> None:
        """Start the process on `sockets`; returns before it is ready. Raises `OSError`."""
        fds = tuple(tuple(sock.fileno() for sock in of_listener) for of_listener in sockets)
        made = self.generation
        pairs = self._inputs.pairs(made.config.settings)
        inherited = (*sum(fds, ()), *(() if pairs is None else (pairs,)))
        names = {"slot": self.slot, "generation": made.number}  # for `ps`
        await self._start("mirror_proxy.worker.worker", names, inherited, _ALLOCATOR)
        overrides = self._inputs.overrides()
        self._pipe.send(control.Start(made.config, made.number, made.mark_key, fds, overrides, pairs))

    @property
    def lag_s(self) -> float:
        """The worst loop lag of the latest report, whose last part is about the worker itself."""
        for own in control.unpack(self.report[-1:]):
            lag_s = own.get("worker_loop_lag_seconds", {}).get((), 0.0)
            return float(lag_s)
        return 0.0

    def send(self, message: control.ToWorker) -> None:
        """Send a message that has no answer."""
        self._pipe.send(message)

    def drain(self, grace_s: float) -> None:
        """Let it finish and exit; after `grace_s` it is overdue."""
        if self.state != "draining":
            self.state = "draining"
            self.deadline = self._loop.time() + grace_s
            self._pipe.send(control.BeginDrain(grace_s))

    async def refresh(self, timeout_s: float) -> None:
        """Refresh `report`, `clusters` and `mirrors`; without an answer within `timeout_s` they stay as they are."""
        if self.state != "starting":
            number = next(self._ids)
            await self._request(control.GetStatus(number), (control.Status, number), timeout_s)

    async def prepare(self, message: control.Prepare, timeout_s: float) -> str | None:
        """Have the worker compile a generation while it serves; returns the reason if it cannot.

        Raises `ProcessLookupError` if the worker ends before it answers.
        """
        answer = await self._request(message, (control.Prepared, message.generation), timeout_s)
        if isinstance(answer, control.Rejected):
            return answer.problem
        if answer is None and self.exited.done():
            raise ProcessLookupError(self.exit_text)
        return None if answer is not None else f"no answer within {timeout_s:g} s"

    async def commit(self, message: control.Commit, generation: Generation, timeout_s: float) -> bool:
        """Serve with the prepared generation; return whether the worker has confirmed that."""
        answer = await self._request(message, (control.Committed, message.generation), timeout_s)
        if answer is not None:
            self.generation = generation
        return answer is not None

    async def set_overrides(self, overrides: tuple[Override, ...], timeout_s: float) -> bool:
        """Apply exactly `overrides`; return whether the worker has confirmed that within `timeout_s`."""
        number = next(self._ids)
        message = control.SetOverrides(number, overrides)
        return await self._request(message, (control.OverridesSet, number), timeout_s) is not None

    def receive(self, message: control.Message) -> None:
        """Handle a message of the worker."""
        match message:
            case control.Ready():
                if self.state == "starting":
                    self.state = "serving"
                self._settle(None)
            case control.Failed(problem):
                self._settle(problem)
                self._pipe.close()
            case control.Heartbeat(report, spans):
                self.report = report
                self._inputs.on_spans(spans)
            case control.Drained(report, spans):
                self.report = report
                self._inputs.on_spans(spans)
                self._pipe.close()
            case control.Status():
                self.report, self.clusters, self.mirrors = message.report, message.clusters, message.mirrors
                self._resolve(control.Status, message.id, message)
            case control.OverridesSet():
                self._resolve(control.OverridesSet, message.id, message)
            case control.Prepared() | control.Rejected():
                self._resolve(control.Prepared, message.generation, message)
            case control.Committed():
                self._resolve(control.Committed, message.generation, message)

    def _settle(self, problem: str | None) -> None:
        if not self.ready.done():
            self.ready.set_result(problem)

    def _on_exited(self, _gone: asyncio.Future[None]) -> None:
        self._settle(f"the worker process {self.exit_text} before it was ready")
