"""All workers: every worker serves the same generation, the new one or, if any worker fails, still the one before.

A generation is put into force in two steps. Usually the present workers compile it while they serve, and when all have,
each is sent the commit. Settings that a worker reads only at its start (listeners, number of workers, access log,
limits) need new workers, which are started first and then take over.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterable, Sequence

from mirror_proxy import control
from mirror_proxy.config.model import Address, Config, Settings
from mirror_proxy.supervisor.counters import WorkerCounters
from mirror_proxy.supervisor.machine import worker_count
from mirror_proxy.supervisor.process import Generation, WorkerInputs, WorkerProcess
from mirror_proxy.supervisor.slot import Slot, Timeouts
from mirror_proxy.supervisor.sockets import SlotSockets, SocketAllocation, SocketPool, StartError


class Fleet:
    """Owns slots and sockets; `counters` keeps the counts of workers that have ended."""

    def __init__(
        self,
        config: Config,
        mark_key: bytes,
        timeouts: Timeouts,
        inputs: WorkerInputs,
        counters: WorkerCounters,
    ) -> None:
        self._counters = counters
        self._timeouts = timeouts
        self._inputs = inputs
        self._pool = SocketPool()
        self._draining: list[Slot] = []
        self._lock = asyncio.Lock()
        self._is_closed = False
        self._first = self._pool.allocate(_addresses(config.settings), _count(config.settings))
        self._pool.commit(self._first)
        self.generation = Generation(0, config, mark_key)
        self.restarts: dict[str, int] = {}  # by reason
        self.slots = [self._slot(index) for index in range(len(self._first.slots))]

    @property
    def processes(self) -> list[WorkerProcess]:
        """Every worker process: those that serve, start or drain."""
        return [process for slot in (*self.slots, *self._draining) for process in slot.processes]

    @property
    def is_serving(self) -> bool:
        """Whether any worker serves."""
        return any(slot.worker is not None for slot in self.slots)

    @property
    def listening(self) -> list[Address]:
        """The bound addresses of the listeners."""
        return self._pool.addresses

    async def start(self) -> None:
        """Start a worker in every slot; raises `StartError`."""
        async with self._lock:
            await self._put_into_force(self._next(self.generation.config), (), self._first)

    async def put_into_force(self, config: Config) -> None:
        """Serve every later request with `config`; raises `StartError`, and changes nothing then."""
        async with self._lock:
            parts = await asyncio.to_thread(control.parts_of, config)
            if self._is_closed:
                raise _draining_error()
            present, wanted = self.generation.config.settings, config.settings
            allocation = None
            if needs_processes(present, wanted):
                allocation = self._pool.allocate(_addresses(wanted), _count(wanted))
            await self._put_into_force(self._next(config), parts, allocation)

    async def apply_overrides(self) -> None:
        """Apply the present overrides in every process that serves or is about to.

        Processes that serve apply them at once: a pause must not wait for the end of a reload.
        """
        if self._lock.locked():
            await self._apply_overrides()
        async with self._lock:
            await self._apply_overrides()

    async def _apply_overrides(self) -> None:
        await asyncio.gather(*(slot.apply_overrides() for slot in (*self.slots, *self._draining)))

    def send(self, message: control.ToWorker) -> None:
        """Send every worker a message that has no answer."""
        for process in self.processes:
            process.send(message)

    def check(self, now: float) -> None:
        """Kill processes that hang or are overdue."""
        self._draining = [slot for slot in self._draining if slot.processes]
        for slot in (*self.slots, *self._draining):
            slot.check(now)

    def close(self, grace_s: float) -> None:
        """Let all workers drain; no other generation is put into force."""
        self._is_closed = True
        self._pool.close()
        for slot in (*self.slots, *self._draining):
            slot.close(grace_s)

    def kill(self) -> None:
        """Kill every worker."""
        for process in self.processes:
            process.kill()

    async def _put_into_force(
        self, generation: Generation, parts: tuple[bytes, ...], allocation: SocketAllocation | None
    ) -> None:
        """Prepare in every worker, then commit or abandon in every worker; with an `allocation`, new workers take over.

        The present workers get the generation too: their clients may send further requests while they drain.
        """
        number, settings = generation.number, generation.config.settings
        message = control.Prepare(number, settings, parts)
        successors = self._successors(allocation)
        problem = await _first_problem(
            [
                *(slot.prepare(message) for slot in self.slots),
                *(slot.prepare_worker(generation, sockets) for slot, sockets in successors.items()),
            ]
        )
        if problem is None and self._is_closed:
            problem = _draining_error()
        if problem is not None:
            self._abandon(successors, allocation, settings.drain.grace_s)
            raise problem
        self.generation = generation
        await asyncio.gather(*(slot.commit(generation) for slot in self.slots))
        if allocation is not None:
            self._take_over(list(successors), settings.drain.grace_s)
            self._pool.commit(allocation)

    def _successors(self, allocation: SocketAllocation | None) -> dict[Slot, SlotSockets]:
        """Return the slots that get a new worker, each with its sockets; some slots may be new."""
        if allocation is None:
            return {}
        present = self.slots[: len(allocation.slots)]
        fresh = [self._slot(index) for index in range(len(present), len(allocation.slots))]
        self._draining += fresh  # until they are committed
        return dict(zip((*present, *fresh), allocation.slots, strict=True))

    def _abandon(
        self, successors: Iterable[Slot], allocation: SocketAllocation | None, grace_s: float
    ) -> None:
        for slot in self.slots:
            slot.abandon()
        for slot in successors:
            slot.abandon_worker(grace_s)
        if allocation is not None and allocation is not self._first:
            self._pool.release(allocation)

    def _take_over(self, slots: list[Slot], grace_s: float) -> None:
        for slot in slots:
            slot.commit_worker(self.generation, grace_s)
        removed = [slot for slot in self.slots if slot not in slots]
        for slot in removed:
            slot.close(grace_s)
        self._draining = [slot for slot in (*self._draining, *removed) if slot not in slots]
        self.slots = slots

    def _next(self, config: Config) -> Generation:
        return Generation(self.generation.number + 1, config, self.generation.mark_key)

    def _slot(self, index: int) -> Slot:
        return Slot(index, self._timeouts, self._inputs, self._on_exited, self.restarts)

    def _on_exited(self, process: WorkerProcess) -> None:
        self._counters.retire(process.report)


def needs_processes(present: Settings, wanted: Settings) -> bool:
    """Return whether settings differ that a worker reads only at its start."""
    return any(
        (
            present.listeners != wanted.listeners,
            present.workers != wanted.workers,
            present.access_log != wanted.access_log,
            present.limits != wanted.limits,
            present.upgrades != wanted.upgrades,
            present.compare.is_on != wanted.compare.is_on,
        )
    )


def _draining_error() -> StartError:
    return StartError("the proxy is draining")


async def _first_problem(steps: Sequence[Awaitable[None]]) -> BaseException | None:
    """Run all `steps` to their end; return the first exception, in their order."""
    results = await asyncio.gather(*steps, return_exceptions=True)
    return next((result for result in results if isinstance(result, BaseException)), None)


def _addresses(settings: Settings) -> list[Address]:
    return [listener.address for listener in settings.listeners]


def _count(settings: Settings) -> int:
    return settings.workers or worker_count()
