"""One worker slot: keep one worker serving the committed generation on the slot's sockets.

A worker that dies or hangs is replaced on the same sockets, so that connections in their queues are served late instead
of refused. Workers that die one after another are replaced with growing pauses. A new generation comes in two steps,
into the worker that serves (`prepare`, `commit`), or with a new worker that takes over and may have other sockets
(`prepare_worker`, `commit_worker`).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass

from mirror_proxy import control, tasks
from mirror_proxy.overrides import Override
from mirror_proxy.supervisor.process import Generation, WorkerInputs, WorkerProcess
from mirror_proxy.supervisor.sockets import SlotSockets, StartError
from mirror_proxy.telemetry.event import event

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Timeouts:
    """How long the supervisor waits for workers, in seconds."""

    heartbeat_s: float = 10.0  # without a message of a worker: it hangs
    start_s: float = 30.0  # for a worker to be ready, or to have compiled a generation
    answer_s: float = 10.0  # for any other answer
    first_pause_s: float = 0.1  # before a worker that died young is replaced; doubles
    longest_pause_s: float = 5.0
    young_s: float = 10.0


class Slot:
    """Keeps one worker of the newest committed generation alive until it is closed."""

    def __init__(
        self,
        index: int,
        timeouts: Timeouts,
        inputs: WorkerInputs,
        on_gone: Callable[[WorkerProcess], None],
        restarts: dict[str, int],
    ) -> None:
        self._timeouts = timeouts
        self._inputs = inputs
        self._on_exited = on_gone
        self._restarts = restarts
        self._pause_s = 0.0
        self._sockets: SlotSockets = ()
        self._next: WorkerProcess | None = None
        self._next_sockets: SlotSockets = ()
        self._generation: Generation | None = None
        self._message: control.Prepare | None = None
        self._prepared: WorkerProcess | None = None
        self._launching: WorkerProcess | None = None  # the replacement of a worker that died
        self._has_worker = asyncio.Event()
        self._is_closed = False
        self.index = index
        self.worker: WorkerProcess | None = None
        self.processes: set[WorkerProcess] = set()  # the worker, the next one, and those that drain

    # --- a generation in the worker that serves ---

    async def prepare(self, message: control.Prepare) -> None:
        """Have the worker compile a generation; raises `StartError` if it cannot, or dies twice while it does.

        A slot without a worker has nothing to prepare: its next worker starts with the committed generation.
        """
        self._message = message
        for is_last in (False, True):
            worker = self.worker
            if worker is None:
                return
            try:
                problem = await worker.prepare(message, self._timeouts.start_s)
            except ProcessLookupError as error:
                problem = str(error)
                if not is_last and await self._wait_for_worker():
                    continue
            if problem is not None:
                raise StartError(f"worker {self.index} cannot use it: {problem}")
            self._prepared = worker
            return

    async def commit(self, generation: Generation) -> None:
        """Commit the prepared generation; when this returns, no process of the slot serves an older one."""
        self._generation = generation
        message, prepared = self._message, self._prepared
        self._message = self._prepared = None
        if self._launching is not None:  # with the generation before, and not serving yet
            await self._kill(self._launching)
        worker = self.worker
        if worker is None or message is None:
            return
        if worker is not prepared and not await self._prepare_late(worker, message):
            return
        commit = control.Commit(generation.number, self._inputs.overrides())
        if not await worker.commit(commit, generation, self._timeouts.answer_s):
            await self._kill(worker)

    def abandon(self) -> None:
        """Drop the prepared generation."""
        message = self._message
        self._message = self._prepared = None
        if self.worker is not None and message is not None:
            self.worker.send(control.Abandon(message.generation))

    async def _prepare_late(self, worker: WorkerProcess, message: control.Prepare) -> bool:
        """Prepare the replacement of a prepared worker; if it fails, its own replacement starts with the generation."""
        try:
            problem = await worker.prepare(message, self._timeouts.start_s)
        except ProcessLookupError:
            return False
        if problem is not None:
            await self._kill(worker)
        return problem is None

    async def _wait_for_worker(self) -> bool:
        """Wait until the slot has a worker again; return whether it has one within `start_s`."""
        try:
            await asyncio.wait_for(self._has_worker.wait(), self._timeouts.start_s)
        except TimeoutError:
            return False
        return True

    async def apply_overrides(self) -> None:
        """Apply the present overrides in every process; a process that does not confirm them is killed."""
        overrides = self._inputs.overrides()
        await asyncio.gather(*(self._set_overrides(process, overrides) for process in tuple(self.processes)))

    async def _set_overrides(self, process: WorkerProcess, overrides: tuple[Override, ...]) -> None:
        if not await process.set_overrides(overrides, self._timeouts.answer_s):
            await self._kill(process)

    async def _kill(self, process: WorkerProcess) -> None:
        """Kill a process that does not confirm a message, and wait for its end."""
        process.is_hung = True
        process.kill()
        await process.exited

    # --- a generation in a new worker ---

    async def prepare_worker(self, generation: Generation, sockets: SlotSockets) -> None:
        """Start a worker of `generation` that may take over; raises `StartError` if it does not start."""
        self._next_sockets = sockets
        self._next = await self._launch(generation, sockets)

    def commit_worker(self, generation: Generation, grace_s: float) -> None:
        """Make the prepared worker the slot's own and let the worker before drain."""
        before, self.worker, self._next = self.worker, self._next, None
        self._generation = generation
        self._sockets = self._next_sockets
        self._has_worker.set()
        if before is not None:
            before.drain(grace_s)
        if self.worker is None:  # it has died meanwhile
            tasks.spawn(self._replace(is_young=True), "replace-worker")

    def abandon_worker(self, grace_s: float) -> None:
        """Let the prepared worker drain: it may have accepted connections already."""
        if self._next is not None:
            self._next.drain(grace_s)
            self._next = None

    # --- processes ---

    def close(self, grace_s: float) -> None:
        """Let every process drain, and replace none."""
        self._is_closed = True
        for process in self.processes:
            process.drain(grace_s)

    def check(self, now: float) -> None:
        """Kill a worker that hangs, and each process that is overdue with its drain."""
        for process in self.processes:
            is_silent = now - process.last_message_at > self._timeouts.heartbeat_s
            if process is self.worker and is_silent and not process.is_hung:
                _log.error(
                    event(
                        "worker does not answer, killing it",
                        worker=self.index,
                        worker_pid=process.pid,
                        silent_s=self._timeouts.heartbeat_s,
                    )
                )
                process.is_hung = True
                process.kill()
            elif process.deadline is not None and now > process.deadline:
                process.kill()

    async def _launch(
        self, generation: Generation, sockets: SlotSockets, *, is_replacement: bool = False
    ) -> WorkerProcess:
        if self._is_closed:
            raise StartError("the proxy is draining")
        process = WorkerProcess(self.index, generation, self._inputs)
        if is_replacement:
            self._launching = process
        try:
            await process.spawn(sockets)
        except OSError as error:
            raise StartError(f"worker {self.index} cannot be spawned: {error}") from error
        self.processes.add(process)
        process.exited.add_done_callback(lambda _: self._on_process_exited(process))
        try:
            problem = await asyncio.wait_for(asyncio.shield(process.ready), self._timeouts.start_s)
        except TimeoutError:
            problem = f"it was not ready within {self._timeouts.start_s:g} s"
        if problem is not None:
            process.kill()
            raise StartError(f"worker {self.index} did not start: {problem}")
        return process

    def _on_process_exited(self, process: WorkerProcess) -> None:
        self.processes.discard(process)
        self._on_exited(process)
        if process is self._next:
            self._next = None
        if process is not self.worker:
            return
        self.worker = None
        self._has_worker.clear()
        if self._is_closed:
            return
        reason = "hung" if process.is_hung else "died"
        self._restarts[reason] = self._restarts.get(reason, 0) + 1
        _log.error(
            event(
                "worker is gone, replacing it",
                worker=self.index,
                worker_pid=process.pid,
                exit=process.exit_text,
            )
        )
        age_s = asyncio.get_running_loop().time() - process.started
        tasks.spawn(self._replace(is_young=age_s < self._timeouts.young_s), "replace-worker")

    async def _replace(self, *, is_young: bool) -> None:
        self._pause_s = self._longer_pause() if is_young else 0.0
        while True:
            await asyncio.sleep(self._pause_s)
            generation = self._generation
            if self._is_closed or self.worker is not None or generation is None:
                return
            try:
                process = await self._launch(generation, self._sockets, is_replacement=True)
            except StartError as error:
                is_superseded = generation is not self._generation  # the reason for its end
                self._pause_s = 0.0 if is_superseded else self._longer_pause()
                if not is_superseded:
                    _log.error(
                        event("worker cannot be started, retrying", error=error, retry_s=self._pause_s)
                    )
                continue
            finally:
                self._launching = None
            if self._is_closed or self.worker is not None or generation is not self._generation:
                process.kill()
                continue
            self.worker = process
            self._has_worker.set()
            _log.info(event("worker is back", worker=self.index, worker_pid=process.pid))
            return

    def _longer_pause(self) -> float:
        timeouts = self._timeouts
        return min(max(self._pause_s * 2, timeouts.first_pause_s), timeouts.longest_pause_s)
