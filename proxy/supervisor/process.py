"""One worker process, seen from the supervisor: spawn it, hear it, tell it, know when it is gone."""

from __future__ import annotations

import asyncio
import itertools
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from proxy import control
from proxy.config.model import Config
from proxy.control import Pipe
from proxy.runtime import Override
from proxy.supervisor.sockets import SlotSockets
from proxy.telemetry.metrics import Report

Overrides = Callable[[], tuple[Override, ...]]
State = Literal["starting", "serving", "draining"]


@dataclass(frozen=True, slots=True)
class Generation:
    """A configuration and the number it is known by; every worker runs exactly one."""

    number: int
    config: Config
    mark_key: bytes


class WorkerProcess:
    """A worker from its spawn until its process has ended and its pipe has been read to the end.

    `report` is the latest that was heard. `ready` resolves to None once it accepts, or to the reason why it
    never will; `gone` resolves at the end.
    """

    def __init__(self, slot: int, generation: Generation) -> None:
        self._loop = asyncio.get_running_loop()
        self._pipe = Pipe(self._on_message, self._on_pipe_closed)
        self._ids = itertools.count()
        self._asked: dict[object, asyncio.Future[control.Message]] = {}
        self._is_pipe_closed = False
        self.slot = slot
        self.generation = generation
        self.state: State = "starting"
        self.started = self.last_heard = self._loop.time()
        self.deadline: float | None = None
        self.is_hung = False
        self.report: Report = {}
        self.clusters: list[dict[str, object]] = []
        self.mirrors: list[dict[str, object]] = []
        self.ready: asyncio.Future[str | None] = self._loop.create_future()
        self.gone: asyncio.Future[None] = self._loop.create_future()

    async def spawn(self, sockets: SlotSockets, overrides: Overrides) -> None:
        """Start the process on `sockets`; returns before it is ready. Raises `OSError`."""
        fds = tuple(tuple(sock.fileno() for sock in of_listener) for of_listener in sockets)
        made = self.generation
        ours, theirs = socket.socketpair()
        with theirs:
            self._process = _popen(self.slot, made.number, theirs.fileno(), sum(fds, ()))
        self.pid = self._process.pid
        self._pidfd = os.pidfd_open(self.pid)
        self._loop.add_reader(self._pidfd, self._on_exit)
        await self._loop.create_unix_connection(lambda: self._pipe, sock=ours)
        self._pipe.send(control.Start(made.config, made.number, made.mark_key, fds, overrides()))

    @property
    def exit_text(self) -> str:
        """How the process ended, for a log line."""
        code = self._process.returncode
        if self.is_hung:
            return "stopped answering and was killed"
        return f"was killed by {signal.Signals(-code).name}" if code < 0 else f"exited with code {code}"

    def send(self, message: control.ToWorker) -> None:
        """Tell the worker something it does not answer."""
        self._pipe.send(message)

    def drain(self, grace_s: float) -> None:
        """Let it finish and leave; from `grace_s` on it is overdue."""
        if self.state != "draining":
            self.state = "draining"
            self.deadline = self._loop.time() + grace_s
            self._pipe.send(control.Drain(grace_s))

    def kill(self) -> None:
        """End the process at once."""
        if self._process.returncode is None:
            self._process.kill()

    async def snap(self, timeout_s: float) -> None:
        """Refresh `report`, `clusters` and `mirrors`; after `timeout_s` what was heard last has to do."""
        if self.state != "starting":
            number = next(self._ids)
            await self._ask(control.Snap(number), (control.Snapped, number), timeout_s)

    async def prepare(self, message: control.Prepare, timeout_s: float) -> str | None:
        """Have a generation compiled beside the present one; returns why it cannot be.

        Raises `ProcessLookupError` when the worker is gone before it has answered.
        """
        answer = await self._ask(message, (control.Prepared, message.generation), timeout_s)
        if isinstance(answer, control.Rejected):
            return answer.problem
        if answer is None and self.gone.done():
            raise ProcessLookupError(self.exit_text)
        return None if answer is not None else f"no answer within {timeout_s:g} s"

    async def commit(self, message: control.Commit, generation: Generation, timeout_s: float) -> bool:
        """Put what was prepared into force; tell whether it has said that it did."""
        answer = await self._ask(message, (control.Committed, message.generation), timeout_s)
        if answer is not None:
            self.generation = generation
        return answer is not None

    async def steer(self, overrides: tuple[Override, ...], timeout_s: float) -> bool:
        """Have exactly `overrides` in force; tell whether it has said that they are."""
        number = next(self._ids)
        return (
            await self._ask(control.Steer(number, overrides), (control.Steered, number), timeout_s)
            is not None
        )

    async def _ask(self, message: control.ToWorker, key: object, timeout_s: float) -> control.Message | None:
        """Send `message` and return the answer of that `key`, or None when it does not come."""
        answer = self._asked[key] = self._loop.create_future()
        self._pipe.send(message)
        await asyncio.wait([answer, self.gone], timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
        del self._asked[key]
        return answer.result() if answer.done() else None

    def _on_answer(self, kind: type, number: int, message: control.Message) -> None:
        answer = self._asked.get((kind, number))
        if answer is not None and not answer.done():
            answer.set_result(message)

    def _on_message(self, message: control.Message) -> None:
        self.last_heard = self._loop.time()
        match message:
            case control.Ready():
                if self.state == "starting":
                    self.state = "serving"
                self._settle(None)
            case control.Failed(problem):
                self._settle(problem)
                self._pipe.close()
            case control.Heartbeat(report):
                self.report = report
            case control.Drained(report):
                self.report = report
                self._pipe.close()
            case control.Snapped():
                self.report, self.clusters, self.mirrors = message.report, message.clusters, message.mirrors
                self._on_answer(control.Snapped, message.id, message)
            case control.Steered():
                self._on_answer(control.Steered, message.id, message)
            case control.Prepared() | control.Rejected():
                self._on_answer(control.Prepared, message.generation, message)
            case control.Committed():
                self._on_answer(control.Committed, message.generation, message)

    def _settle(self, problem: str | None) -> None:
        if not self.ready.done():
            self.ready.set_result(problem)

    def _on_exit(self) -> None:
        self._loop.remove_reader(self._pidfd)
        os.close(self._pidfd)
        self._process.wait()
        self._tell_when_gone()

    def _on_pipe_closed(self) -> None:
        self._is_pipe_closed = True
        self._tell_when_gone()

    def _tell_when_gone(self) -> None:
        """Wait for both: the last counters may still be in the pipe when the process has ended."""
        if self._is_pipe_closed and self._process.returncode is not None:
            self._settle(f"the worker process {self.exit_text} before it was ready")
            self.gone.set_result(None)


#: glibc gives the top of its heap back to the kernel whenever 128 KiB of it are free, and a chunk of a body is just
#: that: a POST of 64 KiB cost 11 to 18 % more in page faults (`python -m benchmarks --scenario post_64k`).
_ALLOCATOR = {"MALLOC_TRIM_THRESHOLD_": str(32 << 20), "MALLOC_TOP_PAD_": str(4 << 20)}


def _popen(slot: int, generation: int, end: int, fds: tuple[int, ...]) -> subprocess.Popen[bytes]:
    """Start the interpreter we run ourselves, on the modules we run; the last two options are for `ps`."""
    command = [sys.executable, "-P", "-m", "proxy.worker", "--control", str(end)]
    return subprocess.Popen(  # noqa: S603 nothing here comes from outside
        [*command, "--slot", str(slot), "--generation", str(generation)],
        pass_fds=(end, *fds),
        stdin=subprocess.DEVNULL,
        env={**_ALLOCATOR, **os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
