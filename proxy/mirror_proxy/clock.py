"""One coarse clock for a worker: a deadline wheel in place of a timer handle per request.

An object is watched by `set(obj, when)`, which on the hot path is one comparison and one store: its slot in
the wheel is only changed when the new deadline is earlier than the one it already waits for. Deadlines fire
late by less than two ticks (one for the slot, one until the tick comes), never early. The tick also measures
how late the loop itself runs, and calls an observer.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from time import monotonic
from typing import Protocol

NEVER = math.inf
TICK_S = 0.02


class Timed(Protocol):
    """What the wheel watches. `deadline` and `alarm` belong to the wheel; both start at `NEVER`."""

    deadline: float
    alarm: float

    def on_deadline(self) -> None:
        """Called once `deadline` has passed."""


class DeadlineWheel:
    """Buckets of watched objects by tick; an object stands in at most one."""

    __slots__ = ("_handle", "_last", "_loop", "_slots", "observer", "worst_lag_s")

    def __init__(self) -> None:
        self._slots: dict[int, dict[Timed, None]] = {}
        self._last = self._tick_of(monotonic())
        self._loop: asyncio.AbstractEventLoop | None = None
        self._handle: asyncio.TimerHandle | None = None
        self.worst_lag_s = 0.0
        #: Called at each tick with how late it is and the time.
        self.observer: Callable[[float, float], None] | None = None

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Tick on `loop` until `stop`."""
        self._loop = loop
        self._arm()

    def stop(self) -> None:
        """Fire nothing any more."""
        if self._handle is not None:
            self._handle.cancel()
        self._loop = None

    def set(self, obj: Timed, when: float) -> None:
        """Watch `obj` until monotonic time `when`, in place of what it waited for."""
        obj.deadline = when
        if when < obj.alarm:
            self._place(obj, when)

    def forget(self, obj: Timed) -> None:
        """Drop `obj`, so that a closed connection is not kept alive by its deadline."""
        obj.deadline = NEVER
        if obj.alarm != NEVER:
            self._unplace(obj)

    def advance(self, now: float) -> None:
        """Fire every deadline up to `now`; what their handlers raise is raised when all had their turn."""
        errors: list[Exception] = []
        tick = self._tick_of(now)
        while self._last < tick:
            self._last += 1
            bucket = self._slots.pop(self._last, None)
            if bucket:
                for obj in bucket:
                    try:
                        self._ring(obj, now)
                    except Exception as error:  # noqa: BLE001 - the others would wait for ever
                        errors.append(error)
        if errors:
            raise ExceptionGroup("handlers of deadlines failed", errors)

    def _ring(self, obj: Timed, now: float) -> None:
        obj.alarm = NEVER
        if obj.deadline <= now:
            obj.deadline = NEVER
            obj.on_deadline()
        elif obj.deadline != NEVER:
            self._place(obj, obj.deadline)

    def _place(self, obj: Timed, when: float) -> None:
        if obj.alarm != NEVER:
            self._unplace(obj)
        tick = max(self._tick_of(when), self._last) + 1
        obj.alarm = tick * TICK_S
        self._slots.setdefault(tick, {})[obj] = None

    def _unplace(self, obj: Timed) -> None:
        tick = round(obj.alarm / TICK_S)
        obj.alarm = NEVER
        bucket = self._slots.get(tick)
        if bucket is not None:
            bucket.pop(obj, None)
            if not bucket:
                del self._slots[tick]

    @staticmethod
    def _tick_of(when: float) -> int:
        return int(when / TICK_S)

    def _arm(self) -> None:
        if self._loop is not None:
            self._handle = self._loop.call_at(self._loop.time() + TICK_S, self._on_tick, monotonic() + TICK_S)

    def _on_tick(self, due: float) -> None:
        now = monotonic()
        late_s = max(now - due, 0.0)
        self.worst_lag_s = max(self.worst_lag_s, late_s)
        self._arm()
        if self.observer is not None:
            self.observer(late_s, now)
        self.advance(now)
