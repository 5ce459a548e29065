"""The comparer, as the supervisor manages it: replaced when it ends, never waited for long.

The pipe that workers write pairs into belongs to the supervisor and outlives the comparer: the next comparer reads what
is in it, and is sent the counts of the data plane that the last one has not stored. So a comparer that dies or hangs
costs the pairs that it had read in the last second.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, TypeVar

from mirror_proxy import control, tasks
from mirror_proxy.admin.shared import Shared
from mirror_proxy.admin.work_thread import WorkThread
from mirror_proxy.comparison.diff.example import Example, Search
from mirror_proxy.comparison.diff.record import Record, RecordSearch
from mirror_proxy.comparison.diff.run import Run, RunChange, RunList, RunTotals, StoreQuery, TotalsSearch
from mirror_proxy.comparison.diff.totals import Key, Totals
from mirror_proxy.config.model import Config, Log, Settings
from mirror_proxy.errors import RefusedError
from mirror_proxy.supervisor.child import Child
from mirror_proxy.supervisor.runs import present_runs
from mirror_proxy.supervisor.slot import Timeouts
from mirror_proxy.telemetry.event import event
from mirror_proxy.telemetry.metrics import Report, merge


class ComparerProcess(Child):
    """A comparer; `report` is its latest. From `deadline` on it is overdue with its exit.

    `stored` is the id of the latest `control.StoreCounts` that is in its store.
    """

    def __init__(self, log: Callable[[], Log]) -> None:
        super().__init__(log)
        self.report: Report = {}
        self.stored = 0
        self.deadline: float | None = None

    async def spawn(self, pairs: int) -> None:
        """Start the process with `pairs`, the end of the pipe that it reads pairs from. Raises `OSError`."""
        await self._start("mirror_proxy.comparison.process", {"pairs": pairs}, (pairs,), {})

    @property
    def is_behind(self) -> bool:
        """Whether the process has not read all messages yet."""
        return self._pipe.is_behind

    def send(self, message: control.Configure | control.StoreCounts) -> None:
        """Send a message that has no answer, or none that is waited for."""
        self._pipe.send(message)

    def drain(self, grace_s: float) -> None:
        """Let it compare and store what it has, and exit within `grace_s`."""
        if self.deadline is None:
            self.deadline = self._loop.time() + grace_s
            self._pipe.send(control.BeginDrain(grace_s))

    async def query(self, selection: StoreQuery | RunChange, timeout_s: float) -> control.QueryResult | None:
        """Return the result of a `control.Query` or `control.ChangeRuns`; None: no answer within `timeout_s`."""
        number = next(self._ids)
        message = (
            control.ChangeRuns(number, selection)
            if isinstance(selection, RunChange)
            else control.Query(number, selection)
        )
        result = await self._request(message, (control.QueryResult, number), timeout_s)
        return result if isinstance(result, control.QueryResult) else None

    def receive(self, message: control.Message) -> None:
        """Handle a message of the comparer."""
        match message:
            case control.Heartbeat(report):
                self.report = control.read_report(report)
            case control.Drained(report):
                self.report = control.read_report(report)
                self._pipe.close()
            case control.CountsStored(number):
                self.stored = number
            case control.QueryResult():
                self._resolve(control.QueryResult, message.id, message)


#: Size of the pipe: the kernel grants twice as much, at most twice net.core.wmem_max.
PIPE_BYTES = 4 * 1024 * 1024
COUNT_S = 2.0
ANSWER_S = 5.0
LEAVE_S = 2.0
#: The comparer yields to all other processes, so its heartbeat may take this many times longer than a worker's.
_PATIENCE = 3
#: After this time without a message the comparer is not queried, and not waited for while the proxy drains.
_SILENT_S = 3.0
_CHECK_S = 0.1
_MAX_QUERIES = 16

T = TypeVar("T")

_log = logging.getLogger(__name__)


class ComparerManager:
    """Keeps the comparer of one proxy alive, sends it counts, and queries it.

    `counted` returns the data plane's totals since the proxy's start, and these minus the totals that it is given;
    `log` returns the log settings in force.
    """

    def __init__(
        self,
        timeouts: Timeouts,
        counted: Callable[[Totals], Awaitable[tuple[Totals, Totals]]],
        log: Callable[[], Log],
    ) -> None:
        self._log = log
        self._loop = asyncio.get_running_loop()
        self._timeouts = timeouts
        self._counted = counted
        self._all = Shared(lambda: counted(Totals()), "counts")
        self._counting = asyncio.Lock()
        self._reading = WorkThread("the comparer's answers")
        self._is_closed = False
        self._ends: tuple[socket.socket, socket.socket] | None = None
        self._settings: control.Configure | None = None
        self._process: ComparerProcess | None = None
        self._is_running = False
        self._retired: Report = {}
        self._restarts: dict[str, int] = {}
        #: The counts that the comparer was sent, and those in its store, since the start.
        self._sent = self._stored = Totals()
        self._number = 0
        self._next_count = 0.0
        self._queries = 0

    def pairs_of(self, settings: Settings) -> int | None:
        """Return the end of the pipe that workers write pairs into; None: `settings` compare nothing."""
        return self._pipe()[0].fileno() if settings.compare.is_on else None

    async def configure(self, config: Config) -> None:
        """Compare as `config` says from now on."""
        wanted = _configuration(config)
        if wanted is not None and self._settings is None:
            self._sent = self._stored = (await self._counted(Totals()))[0]
        if self._is_closed:
            return
        was, self._settings = self._settings, wanted
        if self._process is not None and wanted != was:
            await self._count(self._process)  # what was counted until now belongs to the runs until now
        if self._process is not None and wanted != was:
            self._send_settings(self._process)
        if wanted is not None and not self._is_running:
            self._is_running = True
            tasks.spawn(self._run(), "keep-comparer")

    def check(self, now: float) -> None:
        """Kill a comparer that hangs or is overdue, and send it the new counts of the data plane."""
        process = self._process
        if process is None:
            return
        patience_s = self._timeouts.heartbeat_s * _PATIENCE
        if now - process.last_message_at > patience_s and not process.is_hung:
            _log.error(
                event("comparer does not answer, killing it", comparer_pid=process.pid, silent_s=patience_s)
            )
            process.is_hung = True
            process.kill()
        elif process.deadline is not None and now > process.deadline:
            process.kill()
        if now >= self._next_count and process.last_message_at > self._next_count - COUNT_S:
            self._next_count = now + COUNT_S
            if not self._counting.locked():
                tasks.spawn(self._count(process), "count")

    @property
    def report(self) -> Report:
        """Metrics of all comparers since the proxy's start."""
        report = merge({}, self._retired)
        if self._process is not None:
            merge(report, self._process.report)
        restarts: Report = {
            "comparer_restarts_total": {(why,): count for why, count in self._restarts.items()}
        }
        return merge(report, restarts)

    def row(self) -> dict[str, object] | None:
        """Describe the process for `/server_info`."""
        process = self._process
        if process is None:
            return None
        return {"pid": process.pid, "uptime_s": round(self._loop.time() - process.started, 1)}

    @property
    def processes(self) -> tuple[ComparerProcess, ...]:
        """The comparer process, if there is one."""
        return (self._process,) if self._process is not None else ()

    # --- queries ---

    async def totals(self, search: TotalsSearch) -> RunTotals:
        """Return totals of runs; if nothing is compared, those of the workers since the proxy's start, of no run.

        Raises `RefusedError` if the comparer does not answer or its store fails.
        """
        if self._settings is None:
            return RunTotals((), (await self._all.get())[0])
        if self._process is not None:
            await self._count(self._process)
        return await self._query(search, _read_totals)

    async def runs(self) -> tuple[Run, ...]:
        """Return all runs in the store. Raises `RefusedError` as `differences` does."""
        return await self._query(RunList(), tuple)

    async def change_runs(self, change: RunChange) -> tuple[Run, ...]:
        """Change runs; return those that were changed. Raises `RefusedError` as `differences` does."""
        if self._process is not None:
            await self._count(self._process)
        return await self._query(change, tuple)

    async def differences(self, search: Search) -> tuple[Example, ...]:
        """Return examples. Raises `RefusedError` if nothing is compared, and as `totals` does."""
        return await self._query(search, tuple)

    async def difference(self, number: int) -> Example | None:
        """Return one example. Raises `RefusedError` as `differences` does."""
        return await self._query(number, lambda found: next(found, None))

    async def records(self, search: RecordSearch) -> tuple[Record, ...]:
        """Return records, none if nothing is compared. Raises `RefusedError` as `totals` does."""
        return () if self._settings is None else await self._query(search, tuple)

    async def _query(self, selection: StoreQuery | RunChange, read: Callable[[Iterator[Any]], T]) -> T:
        """Return what `read` makes of the comparer's result."""
        if self._settings is None:
            raise RefusedError("nothing is compared: set compare.percent, or run with --compare")
        process = self._process
        if process is None:
            raise RefusedError("the comparer is being started; ask again in a moment")
        if self._is_silent(process) or self._queries >= _MAX_QUERIES:
            raise RefusedError("the comparer is behind; ask again in a moment")
        self._queries += 1
        try:
            result = await process.query(selection, ANSWER_S)
        finally:
            self._queries -= 1
        if result is None:
            raise RefusedError("the comparer has not answered; ask again in a moment")
        if result.problem:
            raise RefusedError(result.problem)
        parts = result.parts
        return await self._reading.run(lambda: read(control.unpack(parts)))

    # --- process ---

    async def drain(self, grace_s: float) -> None:
        """Let the comparer store what is left, as long as it sends heartbeats; returns within `grace_s`."""
        process, self._settings = self._process, None
        self._is_closed = True
        if process is None:
            return
        await self._count(process)
        process.drain(grace_s)
        until = self._loop.time() + grace_s
        while not (process.exited.done() or self._is_silent(process) or self._loop.time() > until):
            await asyncio.wait([process.exited], timeout=_CHECK_S)

    async def close(self) -> None:
        """Kill the comparer and close the pipe."""
        self._settings = None
        self._is_closed = True
        self._reading.close()
        if self._process is not None:
            self._process.kill()
            await asyncio.wait([self._process.exited])
        for end in self._ends or ():
            end.close()

    async def _run(self) -> None:
        """Start a comparer, and another when it ends, until nothing is compared."""
        pause_s = 0.0
        while self._settings is not None:
            process = ComparerProcess(self._log)
            try:
                await process.spawn(self._pipe()[1].fileno())
            except OSError as error:
                _log.error(event("comparer cannot be started", error=error))
            else:
                await self._run_one(process)
            is_young = self._loop.time() - process.started < self._timeouts.young_s
            pause_s = self._next_pause(pause_s) if is_young else 0.0
            if self._settings is not None:
                await asyncio.sleep(pause_s)
        self._is_running = False

    async def _run_one(self, process: ComparerProcess) -> None:
        self._process = process
        self._send_settings(process)
        await asyncio.wait([process.exited])
        self._process = None
        self._note_stored(process)
        self._sent = self._stored
        merge(self._retired, process.report)
        if process.deadline is None:
            reason = "hung" if process.is_hung else "died"
            self._restarts[reason] = self._restarts.get(reason, 0) + 1
            _log.error(
                event("comparer is gone, replacing it", comparer_pid=process.pid, exit=process.exit_text)
            )

    def _send_settings(self, process: ComparerProcess) -> None:
        """Send the present settings, or let the comparer exit if nothing is compared."""
        if self._settings is None:
            process.drain(LEAVE_S)
        else:
            process.send(self._settings)

    async def _count(self, process: ComparerProcess) -> None:
        """Send what the data plane has counted since the last message, unless the comparer is behind."""
        async with self._counting:
            if not self._takes_counts(process):
                return
            self._note_stored(process)
            counted, news = await self._counted(self._sent)
            if news.counts and self._takes_counts(process):
                self._sent = counted
                self._number += 1
                process.send(control.StoreCounts(self._number, news))

    def _takes_counts(self, process: ComparerProcess) -> bool:
        return process is self._process and not process.is_behind and process.deadline is None

    def _note_stored(self, process: ComparerProcess) -> None:
        if process.stored == self._number:
            self._stored = self._sent

    def _is_silent(self, process: ComparerProcess) -> bool:
        """Return whether the comparer was ready once and sends no messages any more."""
        is_ready = process.last_message_at > process.started
        return is_ready and self._loop.time() - process.last_message_at > _SILENT_S

    def _next_pause(self, pause_s: float) -> float:
        return min(max(pause_s * 2, self._timeouts.first_pause_s), self._timeouts.longest_pause_s)

    def _pipe(self) -> tuple[socket.socket, socket.socket]:
        """Return the end for workers and the end for the comparer."""
        if self._ends is None:
            self._ends = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            self._ends[0].setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, PIPE_BYTES)
            for end in self._ends:
                end.setblocking(False)
        return self._ends


def _read_totals(parts: Iterator[Any]) -> RunTotals:
    runs: list[Run] = []
    counts: dict[Key, int] = {}
    for part in parts:
        if isinstance(part, Run):
            runs.append(part)
        else:
            counts |= part.counts
    return RunTotals(tuple(runs), Totals(counts))


def _configuration(config: Config) -> control.Configure | None:
    settings = config.settings
    if not settings.compare.is_on:
        return None
    return control.Configure(settings.compare, present_runs(config), settings.memory.comparer_bytes)
