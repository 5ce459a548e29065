"""The supervisor process: start, watch and drain all others, and answer the admin server.

Signal handlers only set futures and events.
"""

from __future__ import annotations

import asyncio
import logging
import os
import resource
import secrets
import signal
import sys
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from mirror_proxy import control, tasks, version
from mirror_proxy.admin.interface import LoadedConfig, MirrorOverride, ProxySnapshot, RejectedReload, State
from mirror_proxy.admin.shared import Shared
from mirror_proxy.admin.work_thread import WorkThread
from mirror_proxy.comparison.diff.example import Example, Search
from mirror_proxy.comparison.diff.record import Record, RecordSearch
from mirror_proxy.comparison.diff.run import Run, RunChange, RunTotals, TotalsSearch
from mirror_proxy.comparison.diff.totals import Totals, of_report
from mirror_proxy.config.model import Config, Settings
from mirror_proxy.config.watcher import Watcher
from mirror_proxy.overrides import Runtime
from mirror_proxy.ramp.manager import RampManager, RampSources
from mirror_proxy.supervisor import banner
from mirror_proxy.supervisor.admin_listeners import AdminListeners
from mirror_proxy.supervisor.child import reap_orphans
from mirror_proxy.supervisor.comparer import ComparerManager
from mirror_proxy.supervisor.counters import WorkerCounters, merged_rows
from mirror_proxy.supervisor.fleet import Fleet
from mirror_proxy.supervisor.logs import LogSettings
from mirror_proxy.supervisor.machine import fitted, lowered, yield_to_others
from mirror_proxy.supervisor.process import WorkerInputs, WorkerProcess
from mirror_proxy.supervisor.reload import Reload, log_warnings
from mirror_proxy.supervisor.slot import Timeouts
from mirror_proxy.supervisor.sockets import StartError
from mirror_proxy.supervisor.spans import SpanQueue, checked
from mirror_proxy.supervisor.steering import Steering
from mirror_proxy.telemetry import log
from mirror_proxy.telemetry.event import event
from mirror_proxy.telemetry.metrics import Report, merge
from mirror_proxy.telemetry.span import Span

_REFRESH_S = 0.5
_WATCH_S = 0.5
#: Time for the collector to take the last spans.
_FLUSH_S = 1.0
#: Time for the comparer, at least, to store the last pairs and counts of the workers.
_WRITE_S = 0.5

#: Loading a configuration may take seconds of processor time: these threads yield to workers
#: (`python -m benchmarks --scenario reload_1000`).
_THREADS = 2
#: A thread gives the interpreter to the loop after this time; a turn of the loop needs it several times.
_SWITCH_S = 0.001

_log = logging.getLogger(__name__)


def run(
    config: Config,
    *,
    generation_source: Callable[[], Config],
    watcher: Watcher | None = None,
    timeouts: Timeouts | None = None,
) -> int:
    """Run the proxy until a signal ends it; returns the exit code.

    `generation_source` loads the configuration for a reload; if it raises, nothing changes. `watcher`, not started yet,
    reports changed files.
    """
    log.start("supervisor", config.settings.log.format, config.settings.log.level)
    log_warnings(config)
    _raise_file_limit()
    sys.setswitchinterval(_SWITCH_S)
    try:
        return asyncio.run(_run(fitted(config), generation_source, watcher, timeouts or Timeouts()))
    except StartError as error:
        _log.error(event("proxy cannot start", error=error))
        return 1


async def _run(
    config: Config, source: Callable[[], Config], watcher: Watcher | None, timeouts: Timeouts
) -> int:
    asyncio.get_running_loop().set_default_executor(
        ThreadPoolExecutor(_THREADS, "background", yield_to_others)
    )
    supervisor = Supervisor(config, source, timeouts, watcher)
    try:
        return await supervisor.run()
    finally:
        await supervisor.close()


class Supervisor:
    """Connects the parts of the supervisor, and is the admin server's `ProxyInterface`."""

    def __init__(
        self,
        config: Config,
        source: Callable[[], Config],
        timeouts: Timeouts,
        watcher: Watcher | None = None,
    ) -> None:
        loop = asyncio.get_running_loop()
        runtime = Runtime()
        self._stop: asyncio.Future[None] = loop.create_future()
        self._stop_now: asyncio.Future[None] = loop.create_future()
        self._started = time.monotonic()
        self._spans = SpanQueue(config.settings)
        self._counters = WorkerCounters()
        self._snapshots = Shared(self._take_snapshot, "snapshot")
        self.logs = LogSettings(
            config.settings.log, lambda: (*self._fleet.processes, *self._comparer.processes)
        )
        self._comparer = ComparerManager(timeouts, self._counted, self.logs.current)
        pairs_of = self._comparer.pairs_of
        inputs = WorkerInputs(lambda: runtime.overrides, pairs_of, self._on_spans, self.logs.current)
        self._fleet = Fleet(config, _mark_key(config.settings), timeouts, inputs, self._counters)
        self._admin_listeners = AdminListeners(self)
        self._steering = Steering(runtime, self._config, self._fleet.apply_overrides)
        self.ramps = RampManager(self._steering, self._ramp_sources(), WorkThread("ramps").run)
        self._watcher = watcher or Watcher(())
        self._reload = Reload(
            lambda: fitted(checked(source())),
            self._fleet,
            self._admin_listeners,
            self._comparer,
            self._keep_overrides,
            self._watcher,
        )

    async def run(self) -> int:
        """Start, serve, drain; returns 0, or 1 if a second signal ended the drain."""
        self._handle_signals()
        config = self._config()
        await self._admin_listeners.open(self._admin_listeners.bind(config.settings), config.settings)
        await self._comparer.configure(config)
        tasks.spawn(self._watch(), "watch-workers")
        starting = tasks.spawn(self._start(), "start-workers")
        await _first_of(starting, self._stop)
        if not self._stop.done():
            problem = starting.result()
            if problem is not None:
                raise problem
            self._announce(config)
            tasks.spawn(banner.warn_of_unreachable_primaries(config), "reach-primary")
            tasks.spawn(self._reload.run(), "reload")
            self._steering.start()
            await self._stop
        return await self._drain()

    async def _start(self) -> StartError | None:
        try:
            await self._fleet.start()
        except StartError as error:
            return error
        return None

    async def close(self) -> None:
        """End all processes, listeners and threads that are left."""
        self._watcher.stop()
        self._fleet.kill()
        await asyncio.gather(*(process.exited for process in self._fleet.processes))
        await self._comparer.close()
        await self._admin_listeners.close()
        self._counters.close()
        await self._spans.close(0.0 if self._stop_now.done() else _FLUSH_S)

    # --- for the admin server ---

    @property
    def state(self) -> State:
        """The state of the proxy, in Envoy's terms."""
        if self._stop.done():
            return "DRAINING"
        return "LIVE" if self._fleet.is_serving else "INITIALIZING"

    @property
    def loaded(self) -> LoadedConfig:
        """The configuration in force."""
        now = self._fleet.generation
        return LoadedConfig(now.config, now.number, self._reload.since)

    @property
    def refusal(self) -> RejectedReload | None:
        """The problems of the last reload, if it was refused."""
        return self._reload.refusal

    async def snapshot(self) -> ProxySnapshot:
        """Return the state of all workers; a worker that does not answer in time counts with its last report."""
        return await self._snapshots.get()

    def server_info(self) -> dict[str, object]:
        """Describe the processes for `/server_info`."""
        now = asyncio.get_running_loop().time()
        refused = {"refused": list(self.refusal.problems)} if self.refusal is not None else {}
        comparer = self._comparer.row()
        return {
            "version": version(),
            "state": self.state,
            "pid": os.getpid(),
            "uptime_s": round(time.monotonic() - self._started, 1),
            "generation": self._fleet.generation.number,
            "listeners": [str(address) for address in self._fleet.listening],
            **refused,
            "workers": [
                {
                    "slot": process.slot,
                    "pid": process.pid,
                    "state": process.state,
                    "generation": process.generation.number,
                    "uptime_s": round(now - process.started, 1),
                }
                for process in self._fleet.processes
            ],
            **({"comparer": comparer} if comparer is not None else {}),
        }

    def weights_of(self, route: str) -> tuple[Mapping[str, int], float | None]:
        """Return the overridden weights of a route."""
        return self._steering.weights_of(route)

    async def set_weights(self, route: str, weights: Mapping[str, int], ttl_s: float | None) -> None:
        """Change weights of a route."""
        await self._steering.set_weights(route, weights, ttl_s)
        self.ramps.check_overrides()

    def mirror_override(self, mirror: str) -> MirrorOverride:
        """Return the override of a mirror."""
        return self._steering.mirror_override(mirror)

    async def set_mirror(
        self, mirror: str, percent: float | None, paused: bool | None, ttl_s: float | None
    ) -> None:
        """Change a mirror's percent, or pause or resume it."""
        await self._steering.set_mirror(mirror, percent, paused, ttl_s)
        self.ramps.check_overrides()

    async def reset(self, *, route: str | None = None, mirror: str | None = None) -> None:
        """Restore the files' weights or percent."""
        await self._steering.reset(route=route, mirror=mirror)
        self.ramps.check_overrides()

    async def _keep_overrides(self) -> None:
        """After a reload: keep what operators have set, and use the files' log settings otherwise."""
        await self.logs.reload(self._config().settings.log)
        await self._steering.drop_stale()

    async def totals(self, search: TotalsSearch) -> RunTotals:
        """Return the totals up to now."""
        await self._refresh()
        return await self._comparer.totals(search)

    async def runs(self) -> tuple[Run, ...]:
        """Return all runs in the store."""
        return await self._comparer.runs()

    async def change_runs(self, change: RunChange) -> tuple[Run, ...]:
        """Begin, reset or delete runs."""
        await self._refresh()
        return await self._comparer.change_runs(change)

    async def differences(self, search: Search) -> tuple[Example, ...]:
        """Return examples of differences."""
        return await self._comparer.differences(search)

    async def records(self, search: RecordSearch) -> tuple[Record, ...]:
        """Return records of pairs."""
        return await self._comparer.records(search)

    async def difference(self, number: int) -> Example | None:
        """Return one example."""
        return await self._comparer.difference(number)

    async def reload(self) -> RejectedReload | None:
        """Load the configuration again."""
        return await self._reload.reload()

    def drain(self) -> None:
        """Begin to drain, as SIGTERM does."""
        if not self._stop.done():
            self._stop.set_result(None)

    def _config(self) -> Config:
        return self._fleet.generation.config

    def _ramp_sources(self) -> RampSources:
        async def report() -> Report:
            return (await self.snapshot()).report

        async def totals(since: float) -> Totals:
            return (await self.totals(TotalsSearch(since))).totals

        return RampSources(
            self._config,
            lambda: (process.lag_s for process in self._fleet.processes),
            report,
            totals,
        )

    async def _refresh(self) -> None:
        await asyncio.gather(*(process.refresh(_REFRESH_S) for process in self._fleet.processes))

    async def _take_snapshot(self) -> ProxySnapshot:
        await self._refresh()
        processes = self._fleet.processes  # the counters have those that have ended meanwhile
        own, overriding = self._own_report(), self._overriding(processes)
        clusters, mirrors = ([getattr(one, name) for one in processes] for name in ("clusters", "mirrors"))

        def make(report: Report) -> ProxySnapshot:
            merged = {**merge(report, own), **overriding}
            return ProxySnapshot(merged, merged_rows(clusters, "name"), merged_rows(mirrors, "name"))

        return await self._counters.read((process.report for process in processes), make)

    async def _counted(self, before: Totals) -> tuple[Totals, Totals]:
        """Return the workers' totals since the start, by their latest reports, and these minus `before`."""

        def make(report: Report) -> tuple[Totals, Totals]:
            counted = of_report(report)
            return counted, counted - before

        return await self._counters.read((process.report for process in self._fleet.processes), make)

    def _own_report(self) -> Report:
        """Return the metrics of the supervisor and the comparer."""
        report: Report = {
            "worker_restarts_total": {(why,): count for why, count in self._fleet.restarts.items()},
            "config_reload_failures_total": {(): self._reload.failures},
            "task_failures_total": {(name,): count for name, count in tasks.failures.items()},
            "log_dropped_total": {(): log.dropped()},
        }
        merge(report, self._spans.report())
        merge(report, self._admin_listeners.report())
        return merge(report, self._comparer.report)

    def _overriding(self, processes: list[WorkerProcess]) -> Report:
        """Return the metrics that replace those of workers."""
        return {
            "workers": {(): sum(process.state == "serving" for process in processes)},
            "config_generation": {(): self._fleet.generation.number},
            "build_info": {(version(),): 1},
        }

    def _on_spans(self, spans: tuple[Span, ...]) -> None:
        self._spans.offer(spans, self._config().settings)

    # --- signals, watch, drain ---

    def _handle_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._on_stop_signal)
        loop.add_signal_handler(signal.SIGHUP, self._reload.request)
        loop.add_signal_handler(signal.SIGUSR1, self._fleet.send, control.ReopenLog())

    def _on_stop_signal(self) -> None:
        if not self._stop.done():
            self._stop.set_result(None)
        elif not self._stop_now.done():
            self._stop_now.set_result(None)

    def _announce(self, config: Config) -> None:
        for line in banner.lines(config, version(), self._fleet.listening, self._admin_listeners.admin):
            _log.info(line)
        for line in lowered(config):
            _log.warning(line)
        _log.info(event("ready", workers=len(self._fleet.slots)))

    async def _watch(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + _WATCH_S
            await asyncio.sleep(_WATCH_S)
            late_s = loop.time() - due  # while this process was stopped, it received no messages
            self._fleet.check(loop.time() - late_s)
            self._comparer.check(loop.time() - late_s)
            reap_orphans()

    async def _drain(self) -> int:
        """Drain as the settings say; returns the exit code."""
        loop = asyncio.get_running_loop()
        drain = self._config().settings.drain
        deadline = loop.time() + drain.grace_s
        _log.info(event("draining", accept_s=min(drain.delay_s, drain.grace_s), grace_s=drain.grace_s))
        await asyncio.wait({self._stop_now}, timeout=min(drain.delay_s, drain.grace_s))
        left_s = deadline - loop.time()
        workers_s = left_s - min(1.0, left_s / 10)  # they exit before the supervisor has to
        self._fleet.close(max(0.0, workers_s))
        exited = asyncio.gather(*(process.exited for process in self._fleet.processes))
        await _first_of(exited, self._stop_now, timeout_s=left_s)
        if self._stop_now.done():
            _log.warning(event("second signal, exiting at once"))
            return 1
        _log.info(
            event("drained" if exited.done() else "grace period has expired, open connections are closed")
        )
        writing = tasks.spawn(self._comparer.drain(max(_WRITE_S, deadline - loop.time())), "drain-comparer")
        await _first_of(writing, self._stop_now)
        return 0


async def _first_of(*futures: asyncio.Future[Any], timeout_s: float | None = None) -> None:
    await asyncio.wait(futures, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)


def _mark_key(settings: Settings) -> bytes:
    """Return the key that signs shadow requests: the shared file's, or a new one for this start."""
    if settings.mark_key_file is None:
        return secrets.token_bytes(32)
    try:
        key = Path(settings.mark_key_file).read_bytes().strip()
    except OSError as error:
        raise StartError(f"mark key file {settings.mark_key_file}: {error.strerror}") from error
    if len(key) < 16:
        raise StartError(
            f"mark key file {settings.mark_key_file}: {len(key)} bytes are too few; use at least 16"
        )
    return key


def _raise_file_limit() -> None:
    """Use all file descriptors that the system allows: each client, primary and shadow takes one."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
