"""One worker: a process with one uvloop that runs a `DataPlane` and does what the supervisor says.

Started as `python -m mirror_proxy.worker.worker --control FD`; the first message must be `Start`, and the last word is
`Drained`. A worker decides nothing by itself but one thing: when the control pipe closes, its supervisor is
gone, and it drains. It ignores the signals a terminal or service manager sends to the whole group, because
the supervisor answers those. Its imports are kept lean: no YAML, no aiohttp, no prometheus_client.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import itertools
import logging
import signal
import socket
import sys
from collections.abc import Iterable, Iterator

import uvloop

from mirror_proxy import control, tasks
from mirror_proxy.control import Parts, Pipe
from mirror_proxy.telemetry import log
from mirror_proxy.telemetry.access_log import AccessLog
from mirror_proxy.telemetry.event import event
from mirror_proxy.worker.data_plane import DataPlane, in_slices

#: Requests make garbage that reference counts free; a rare collection keeps cycles from adding up without
#: walking the pools and routes of a busy worker many times a second.
GC_THRESHOLD = (50_000, 20, 50)

_FLUSH_S = 1.0
_log = logging.getLogger("mirror_proxy.worker.worker")  # __name__ is __main__ here


def main(argv: list[str]) -> int:
    """Run a worker until it has drained; returns the process's exit code."""
    options = dict(itertools.pairwise(argv))
    log.start(
        f"worker-{options.get('--slot', '0')}",
        options.get("--log-format", "text"),
        options.get("--log-level", "info"),
    )
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1):
        signal.signal(number, signal.SIG_IGN)
    end = socket.socket(fileno=int(options["--control"]))
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_run(end))


async def _run(end: socket.socket) -> int:
    return await Worker().run(end)


class Worker:
    """The life of one worker, from `Start` to `Drained`."""

    def __init__(self) -> None:
        self._pipe = Pipe(self._on_message, self._on_closed)
        self._starting: asyncio.Future[control.Start | None] = asyncio.Future()
        self._leaving: asyncio.Future[float] = asyncio.Future()
        self._closed = asyncio.Event()
        self._grace_s = 0.0
        self._plane: DataPlane | None = None
        self._early: list[control.Message] = []
        self._access_log: AccessLog | None = None
        self._preparing: asyncio.Task[None] | None = None
        self._prepared: int | None = None  # the generation that may be committed
        self._counting = asyncio.Lock()

    async def run(self, end: socket.socket) -> int:
        """Serve over the control pipe `end`; returns 0 when drained, 1 when it could not start."""
        await asyncio.get_running_loop().create_unix_connection(lambda: self._pipe, sock=end)
        start = await self._starting
        if start is None:
            return 0
        try:
            plane = await self._serve(start)
        except Exception as error:  # noqa: BLE001 whatever it is, the supervisor has to hear of it
            _log.debug(event("worker cannot start"), exc_info=error)
            self._begin_leaving(0.0)
            await self._say_last(control.Failed(str(error) or repr(error)))
            return 1
        self._beat(plane)
        grace_s = await self._leaving
        plane.stop_accepting()
        plane.begin_drain()
        await plane.finish(grace_s)
        if self._access_log is not None:
            self._access_log.close(_FLUSH_S)
        async with self._counting:
            await self._say_last(control.Drained(control.pack(plane.report_parts()), plane.take_spans()))
        return 0

    async def _serve(self, start: control.Start) -> DataPlane:
        settings = start.config.settings
        self._grace_s = settings.drain.grace_s
        if settings.access_log is not None:
            self._access_log = AccessLog(settings.access_log)
        plane = DataPlane(
            start.config,
            generation=start.generation,
            mark_key=start.mark_key,
            access_log=self._access_log,
            pairs=_pairs(start.pairs),
        )
        plane.steer(start.overrides)
        self._plane = plane  # from here on it can be steered, before it serves
        for message in self._early:
            self._on_request(plane, message)
        await plane.start(
            [
                (listener, socket.socket(fileno=fd))
                for listener, fds in zip(settings.listeners, start.sockets, strict=True)
                for fd in fds
            ]
        )
        gc.set_threshold(*GC_THRESHOLD)
        gc.collect()
        gc.freeze()  # modules and configuration live as long as the worker: no collection walks them again
        _log.debug(event("worker is ready", generation=start.generation))
        self._pipe.send(control.Ready())
        return plane

    async def _say_last(self, message: control.Message) -> None:
        """Wait for the other side to hang up: what it sends into a closed pipe would cost it what we said last."""
        self._pipe.send(message)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._closed.wait(), _FLUSH_S)
        self._pipe.close()

    def _beat(self, plane: DataPlane) -> None:
        asyncio.get_running_loop().call_later(control.HEARTBEAT_S, self._beat, plane)
        if not self._pipe.is_behind and not self._counting.locked():
            tasks.spawn(self._count(plane), "heartbeat")

    async def _count(self, plane: DataPlane) -> None:
        """Send what was counted. One at a time: what was read later must not be heard before."""
        async with self._counting:
            report = await _packed(plane.report_parts())
            self._pipe.send(control.Heartbeat(report, plane.take_spans()))

    async def _send_status(self, plane: DataPlane, number: int) -> None:
        async with self._counting:
            parts = (plane.report_parts(), plane.cluster_parts(), plane.mirror_parts())
            self._pipe.send(control.Status(number, *[await _packed(some) for some in parts]))

    def _on_message(self, message: control.Message) -> None:
        if isinstance(message, control.Start):
            self._starting.set_result(message)
        elif isinstance(message, control.BeginDrain):
            self._begin_leaving(message.grace_s)
        elif isinstance(message, control.SetLog):
            log.set_form(message.log.format, message.log.level)
            _log.debug(event("log level is set", to=message.log.level))
            self._pipe.send(control.LogSet(message.id))
        elif self._plane is not None:
            self._on_request(self._plane, message)
        else:
            self._early.append(message)

    def _on_request(self, plane: DataPlane, message: control.Message) -> None:
        match message:
            case control.GetStatus(id=number):
                tasks.spawn(self._send_status(plane, number), "send-status")
            case control.SetOverrides(id=number):
                plane.steer(message.overrides)
                self._pipe.send(control.OverridesSet(number))
            case control.Prepare():
                self._preparing = tasks.spawn(self._prepare(plane, message), "prepare")
            case control.Commit(generation=number) if number == self._prepared:
                self._prepared = None
                tasks.spawn(self._commit(plane, message), "commit")
            case control.Abandon():
                self._abandon(plane)
            case control.ReloadCertificates():
                plane.reload_certificates()
            case control.ReopenLog() if self._access_log is not None:
                self._access_log.reopen()

    async def _prepare(self, plane: DataPlane, message: control.Prepare) -> None:
        number = message.generation
        try:
            await plane.prepare(number, message.settings, map(control.part_from, message.parts))
        except Exception as error:  # noqa: BLE001 whatever it is, the supervisor has to hear of it
            _log.debug(event("generation cannot be prepared", generation=number), exc_info=error)
            plane.abandon()
            self._pipe.send(control.Rejected(number, str(error) or repr(error)))
        else:
            self._prepared = number
            self._pipe.send(control.Prepared(number))

    async def _commit(self, plane: DataPlane, message: control.Commit) -> None:
        await plane.commit(message.overrides)
        self._grace_s = plane.snapshot.settings.drain.grace_s
        self._pipe.send(control.Committed(message.generation))

    def _abandon(self, plane: DataPlane) -> None:
        if self._preparing is not None:
            self._preparing.cancel()
        self._prepared = None
        plane.abandon()

    def _on_closed(self) -> None:
        self._closed.set()
        if not self._starting.done():
            self._starting.set_result(None)
        elif not self._leaving.done():
            _log.warning(event("supervisor is gone, draining", grace_s=self._grace_s))
            self._begin_leaving(self._grace_s)

    def _begin_leaving(self, grace_s: float) -> None:
        if not self._leaving.done():
            self._leaving.set_result(grace_s)


async def _packed(parts: Iterable[object]) -> Parts:
    """Read and pickle `parts`, a slice at a stretch."""
    packed: list[bytes] = []

    def pack() -> Iterator[None]:
        for part in parts:
            packed.extend(control.pack([part]))
            yield

    await in_slices(pack())
    return tuple(packed)


def _pairs(fd: int | None) -> socket.socket | None:
    """Return the end of the comparer's pipe that was inherited; a full one is not waited for."""
    if fd is None:
        return None
    pairs = socket.socket(fileno=fd)
    pairs.setblocking(False)
    return pairs


if __name__ == "__main__":
    sys.exit(main(sys.argv))
