"""One worker slot: it owns its sockets and keeps one worker serving on them.

A worker that dies or stops answering is replaced on the same sockets, so that what waits in their queues is
served late instead of refused; one that keeps dying is replaced with growing pauses. A new generation comes
in two steps: `prepare` a worker beside the old one, then `commit`.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable
from dataclasses import dataclass

from proxy import tasks
from proxy.supervisor.process import Generation, WorkerProcess
from proxy.supervisor.sockets import StartError

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Patience:
    """How long the supervisor waits for workers, in seconds."""

    heartbeat_s: float = 10.0  # without a word from a worker: it hangs
    start_s: float = 30.0
    first_pause_s: float = 0.1  # before a worker that died young is replaced; doubles
    longest_pause_s: float = 5.0
    young_s: float = 10.0


class Slot:
    """Keeps one worker of the newest committed generation alive until it is closed."""

    def __init__(
        self,
        index: int,
        sockets: list[socket.socket],
        patience: Patience,
        on_gone: Callable[[WorkerProcess], None],
    ) -> None:
        self._sockets = sockets
        self._patience = patience
        self._on_gone = on_gone
        self._pause_s = 0.0
        self._next: WorkerProcess | None = None
        self._is_closed = False
        self.index = index
        self.worker: WorkerProcess | None = None
        self.processes: set[WorkerProcess] = set()  # the worker, the next one, and those that drain
        self.restarts: dict[str, int] = {}

    async def prepare(self, generation: Generation) -> None:
        """Start a worker of `generation` beside the present one; raises `StartError` if it does not start."""
        self._next = await self._launch(generation)

    def commit(self, grace_s: float) -> None:
        """Make the prepared worker the slot's own and let the one before drain."""
        before, self.worker, self._next = self.worker, self._next, None
        if before is not None:
            before.drain(grace_s)

    def abandon(self, grace_s: float) -> None:
        """Give up the prepared worker: it may have accepted connections already, so it drains."""
        if self._next is not None:
            self._next.drain(grace_s)
            self._next = None

    def close(self, grace_s: float) -> None:
        """Drain for good: give up the sockets, let every process finish, replace none."""
        self._is_closed = True
        for sock in self._sockets:
            sock.close()
        for process in self.processes:
            process.drain(grace_s)

    def check(self, now: float) -> None:
        """Kill a worker that has not been heard for too long, and what is overdue with draining."""
        for process in self.processes:
            is_silent = now - process.last_heard > self._patience.heartbeat_s
            if process is self.worker and is_silent and not process.is_hung:
                _log.error(
                    "worker %d (pid %d) has not answered for %g s: killing it",
                    self.index, process.pid, self._patience.heartbeat_s,
                )  # fmt: skip
                process.is_hung = True
                process.kill()
            elif process.deadline is not None and now > process.deadline:
                process.kill()

    async def _launch(self, generation: Generation) -> WorkerProcess:
        if self._is_closed:
            raise StartError("the proxy is draining")
        process = WorkerProcess(self.index, generation)
        try:
            await process.spawn(self._sockets)
        except OSError as error:
            raise StartError(f"worker {self.index} cannot be spawned: {error}") from error
        self.processes.add(process)
        process.gone.add_done_callback(lambda _: self._on_process_gone(process))
        try:
            problem = await asyncio.wait_for(asyncio.shield(process.ready), self._patience.start_s)
        except TimeoutError:
            problem = f"it was not ready within {self._patience.start_s:g} s"
        if problem is not None:
            process.kill()
            raise StartError(f"worker {self.index} did not start: {problem}")
        return process

    def _on_process_gone(self, process: WorkerProcess) -> None:
        self.processes.discard(process)
        self._on_gone(process)
        if process is self._next:
            self._next = None
        if process is not self.worker:
            return
        self.worker = None
        reason = "hung" if process.is_hung else "died"
        self.restarts[reason] = self.restarts.get(reason, 0) + 1
        if not self._is_closed:
            _log.error("worker %d (pid %d) %s; replacing it", self.index, process.pid, process.exit_text)
            tasks.spawn(self._replace(process), "replace-worker")

    async def _replace(self, lost: WorkerProcess) -> None:
        is_young = asyncio.get_running_loop().time() - lost.started < self._patience.young_s
        self._pause_s = self._longer_pause() if is_young else 0.0
        while True:
            await asyncio.sleep(self._pause_s)
            if self._is_closed or self.worker is not None:
                return
            try:
                process = await self._launch(lost.generation)
            except StartError as error:
                self._pause_s = self._longer_pause()
                _log.error("%s; trying again in %g s", error, self._pause_s)
                continue
            self._install(process)
            return

    def _install(self, process: WorkerProcess) -> None:
        if self._is_closed or self.worker is not None:  # a new generation came first
            process.kill()
            return
        self.worker = process
        _log.info("worker %d is back (pid %d)", self.index, process.pid)

    def _longer_pause(self) -> float:
        patience = self._patience
        return min(max(self._pause_s * 2, patience.first_pause_s), patience.longest_pause_s)
