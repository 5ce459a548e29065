"""All workers together: one generation is in force in all of them, or the one before still is.

A generation comes in two steps. Most go into the workers that serve: each compiles it aside, and when all have, each
is told to use it. What only a new process can take up (listeners, their number, the access log, what a
connection is bound to) is served by new workers, which are started beside the present ones and take over.
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
    """Owns slots and sockets. `counters` knows the counts of workers that are gone."""

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
        self._leaving: list[Slot] = []
        self._turn = asyncio.Lock()
        self._is_closed = False
        self._first = self._pool.allocate(_addresses(config.settings), _count(config.settings))
        self._pool.settle(self._first)
        self.generation = Generation(0, config, mark_key)
        self.restarts: dict[str, int] = {}  # by reason
        self.slots = [self._slot(index) for index in range(len(self._first.slots))]

    @property
    def processes(self) -> list[WorkerProcess]:
        """Every process: those that serve, start and drain."""
        return [process for slot in (*self.slots, *self._leaving) for process in slot.processes]

    @property
    def is_serving(self) -> bool:
        """Tell whether a worker serves."""
        return any(slot.worker is not None for slot in self.slots)

    @property
    def listening(self) -> list[Address]:
        """Where the listeners really are."""
        return self._pool.addresses

    async def start(self) -> None:
        """Start a worker in every slot; raises `StartError`."""
        async with self._turn:
            await self._put_into_force(self._next(self.generation.config), (), self._first)

    async def put_into_force(self, config: Config) -> None:
        """Have every request from now on served by `config`; raises `StartError`, and nothing changes then."""
        async with self._turn:
            parts = await asyncio.to_thread(control.parts_of, config)
            if self._is_closed:
                raise _draining()
            present, wanted = self.generation.config.settings, config.settings
            allocation = None
            if needs_processes(present, wanted):
                allocation = self._pool.allocate(_addresses(wanted), _count(wanted))
            await self._put_into_force(self._next(config), parts, allocation)

    async def apply_overrides(self) -> None:
        """Apply the present overrides in every process that serves or is about to.

        Processes that serve apply them at once: a pause must not wait for the end of a reload.
        """
        if self._turn.locked():
            await self._apply_overrides()
        async with self._turn:
            await self._apply_overrides()

    async def _apply_overrides(self) -> None:
        await asyncio.gather(*(slot.apply_overrides() for slot in (*self.slots, *self._leaving)))

    def send(self, message: control.ToWorker) -> None:
        """Tell all processes something they do not answer."""
        for process in self.processes:
            process.send(message)

    def check(self, now: float) -> None:
        """Look after hung and overdue processes."""
        self._leaving = [slot for slot in self._leaving if slot.processes]
        for slot in (*self.slots, *self._leaving):
            slot.check(now)

    def close(self, grace_s: float) -> None:
        """Drain for good; nothing else comes into force."""
        self._is_closed = True
        self._pool.close()
        for slot in (*self.slots, *self._leaving):
            slot.close(grace_s)

    def kill(self) -> None:
        """End every process at once."""
        for process in self.processes:
            process.kill()

    async def _put_into_force(
        self, generation: Generation, parts: tuple[bytes, ...], allocation: SocketAllocation | None
    ) -> None:
        """Prepare everywhere, then commit or abandon everywhere; with an `allocation`, new workers take over.

        The workers that they take over from get the generation too: their clients may ask once more.
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
            problem = _draining()
        if problem is not None:
            self._abandon(successors, allocation, settings.drain.grace_s)
            raise problem
        self.generation = generation
        await asyncio.gather(*(slot.commit(generation) for slot in self.slots))
        if allocation is not None:
            self._take_over(list(successors), settings.drain.grace_s)
            self._pool.settle(allocation)

    def _successors(self, allocation: SocketAllocation | None) -> dict[Slot, SlotSockets]:
        """Return the slots that get a new worker, with the sockets it gets; there may be new ones among them."""
        if allocation is None:
            return {}
        present = self.slots[: len(allocation.slots)]
        fresh = [self._slot(index) for index in range(len(present), len(allocation.slots))]
        self._leaving += fresh  # until they belong here
        return dict(zip((*present, *fresh), allocation.slots, strict=True))

    def _abandon(
        self, successors: Iterable[Slot], allocation: SocketAllocation | None, grace_s: float
    ) -> None:
        for slot in self.slots:
            slot.abandon()
        for slot in successors:
            slot.abandon_worker(grace_s)
        if allocation is not None and allocation is not self._first:
            self._pool.undo(allocation)

    def _take_over(self, slots: list[Slot], grace_s: float) -> None:
        for slot in slots:
            slot.commit_worker(self.generation, grace_s)
        gone = [slot for slot in self.slots if slot not in slots]
        for slot in gone:
            slot.close(grace_s)
        self._leaving = [slot for slot in (*self._leaving, *gone) if slot not in slots]
        self.slots = slots

    def _next(self, config: Config) -> Generation:
        return Generation(self.generation.number + 1, config, self.generation.mark_key)

    def _slot(self, index: int) -> Slot:
        return Slot(index, self._timeouts, self._inputs, self._on_gone, self.restarts)

    def _on_gone(self, process: WorkerProcess) -> None:
        self._counters.retire(process.report)


def needs_processes(present: Settings, wanted: Settings) -> bool:
    """Tell whether settings differ that a worker takes up only when it starts."""
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


def _draining() -> StartError:
    return StartError("the proxy is draining")


async def _first_problem(steps: Sequence[Awaitable[None]]) -> BaseException | None:
    """Carry out `steps` together and to their end; return what went wrong first, in their order."""
    results = await asyncio.gather(*steps, return_exceptions=True)
    return next((result for result in results if isinstance(result, BaseException)), None)


def _addresses(settings: Settings) -> list[Address]:
    return [listener.address for listener in settings.listeners]


def _count(settings: Settings) -> int:
    return settings.workers or worker_count()
