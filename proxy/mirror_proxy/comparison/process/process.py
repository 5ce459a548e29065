"""The comparer's process: read pairs, compare them in the background, and answer the supervisor's queries.

Started as `python -m mirror_proxy.comparison.process --control FD --pairs FD`; the first message is `Configure`, the
last one sent is `Drained`. Pairs are compared on the loop in short slices, so that queries are answered in between;
missing heartbeats show a loop that hangs. When the control pipe closes, the supervisor has ended: the comparer writes
what it has and exits. It has the lowest priority for the processor and the highest for the out-of-memory killer.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import os
import socket
import time
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, NoReturn

from mirror_proxy import control, tasks
from mirror_proxy.comparison.process.pair_comparer import PairComparer
from mirror_proxy.comparison.process.pair_reader import PairReader
from mirror_proxy.comparison.process.query_result import Result, pieces
from mirror_proxy.comparison.process.store_writer import StoreWriter
from mirror_proxy.comparison.store import StoreError
from mirror_proxy.control import Pipe
from mirror_proxy.telemetry import log
from mirror_proxy.telemetry.event import event
from mirror_proxy.telemetry.metrics import Report

SLICE_S = 0.02
_NICENESS = 19
_OUT_OF_MEMORY = "1000"  # the kernel ends this process before any other
_FLUSH_S = 1.0
_ORPHAN_S = 2.0

_log = logging.getLogger(__name__)


def main(argv: list[str]) -> NoReturn:
    """Run a comparer until it has drained, and end the process."""
    options = dict(itertools.pairwise(argv))
    log.start("comparer", options.get("--log-format", "text"), options.get("--log-level", "info"))
    _lower_priority()
    end, pairs = (socket.socket(fileno=int(options[name])) for name in ("--control", "--pairs"))
    asyncio.run(_run(end, pairs))
    logging.shutdown()
    os._exit(0)  # an ordinary exit would wait for a thread that waits for a database


async def _run(end: socket.socket, pairs: socket.socket) -> None:
    await Comparer(pairs).run(end)


def _lower_priority() -> None:
    """Take the lowest priority; where that is not allowed, the system has set it."""
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, 0, _NICENESS)
    with contextlib.suppress(OSError):
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(_OUT_OF_MEMORY)


class Comparer:
    """The life of one comparer, from `Configure` to `Drained`."""

    def __init__(self, pairs: socket.socket) -> None:
        self._pipe = Pipe(self._on_message, self._on_closed)
        self._reader = PairReader(pairs)
        self._writer = StoreWriter(time.time, self._on_written)
        self._comparer = PairComparer(self._writer, time.time)
        self._drain: asyncio.Future[float] = asyncio.Future()
        self._closed = asyncio.Event()
        self._is_configured = False
        self._is_writing = False

    async def run(self, end: socket.socket) -> None:
        """Compare until the control pipe `end` requests a drain."""
        await asyncio.get_running_loop().create_unix_connection(lambda: self._pipe, sock=end)
        comparing = tasks.spawn(self._compare_pairs(), "compare")
        grace_s = await self._drain
        comparing.cancel()
        until = time.monotonic() + grace_s
        if self._is_configured:
            await self._compare_rest(until)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._writer.close(), max(0.0, until - time.monotonic()))
        self._pipe.send(control.Drained(control.pack([self._report()])))
        # A write into a pipe that the supervisor has closed would lose the last message.
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._closed.wait(), _FLUSH_S)
        self._pipe.close()
        self._reader.close()

    async def _compare_pairs(self) -> None:
        while True:
            await self._reader.has_some.wait()
            self._compare_slice(SLICE_S)
            await asyncio.sleep(0)

    def _compare_slice(self, slice_s: float) -> None:
        end = time.perf_counter() + slice_s
        while time.perf_counter() < end:
            datagram = self._reader.take()
            if datagram is None:
                return
            self._comparer.compare(datagram)

    async def _compare_rest(self, until: float) -> None:
        """Compare the pairs that are still in the pipe, while there is time."""
        self._reader.read()
        while self._reader.has_some.is_set() and time.monotonic() < until:
            self._compare_slice(SLICE_S)
            self._reader.read()
            await asyncio.sleep(0)

    def _beat(self) -> None:
        asyncio.get_running_loop().call_later(control.HEARTBEAT_S, self._beat)
        if not self._pipe.is_behind:
            self._pipe.send(control.Heartbeat(control.pack([self._report()])))
        if not self._is_writing:
            self._is_writing = True
            tasks.spawn(self._write(), "write-store")

    async def _write(self) -> None:
        try:
            await self._writer.write()
        finally:
            self._is_writing = False

    def _report(self) -> Report:
        return {
            **self._comparer.report(),
            "compare_store_failures_total": {(): self._writer.failures},
            "compare_store_full_total": {(): self._writer.full},
            "compare_store_lost_total": {(): self._writer.lost},
            "task_failures_total": {(name,): count for name, count in tasks.failures.items()},
            "log_dropped_total": {(): log.dropped()},
        }

    def _on_message(self, message: control.Message) -> None:
        match message:
            case control.Configure():
                self._configure(message)
            case control.StoreCounts(number, counts):
                self._writer.count(number, counts)
            case control.Query():
                tasks.spawn(self._answer(message.id, self._writer.query(message.selection)), "answer")
            case control.ChangeRuns():
                self._comparer.sample_anew()
                tasks.spawn(self._answer(message.id, self._writer.change_runs(message.change)), "answer")
            case control.SetLog(number, wanted):
                log.set_form(wanted.format, wanted.level)
                _log.debug(event("log level is set", to=wanted.level))
                self._pipe.send(control.LogSet(number))
            case control.BeginDrain(grace_s):
                self._begin_drain(grace_s)

    def _configure(self, message: control.Configure) -> None:
        self._comparer.configure(message.compare)
        self._comparer.sample_anew()
        self._reader.max_bytes = message.buffered_bytes // 2
        self._writer.set_example_bytes(message.buffered_bytes // 2)
        self._writer.configure(message.compare, message.present)
        if not self._is_configured:
            self._is_configured = True
            self._reader.open()
            self._pipe.send(control.Ready())
            self._beat()

    async def _answer(self, number: int, asked: Coroutine[Any, Any, Result]) -> None:
        try:
            result = await asked
        except StoreError as error:
            self._pipe.send(control.QueryResult(number, (), str(error)))
        else:
            self._pipe.send(control.QueryResult(number, control.pack(pieces(result))))

    def _on_written(self, number: int) -> None:
        self._pipe.send(control.CountsStored(number))

    def _on_closed(self) -> None:
        self._closed.set()
        if not self._drain.done():
            _log.warning(event("supervisor is gone, writing what is left"))
            self._begin_drain(_ORPHAN_S)

    def _begin_drain(self, grace_s: float) -> None:
        if not self._drain.done():
            self._drain.set_result(grace_s)
