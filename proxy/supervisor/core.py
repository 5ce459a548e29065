"""The supervisor's decisions: start, watch, reload, drain, and what the admin server shows.

A generation is loaded once, off this loop, and sent whole to each worker. Signal handlers only note what is
wanted.
"""

from __future__ import annotations

import asyncio
import logging
import os
import resource
import secrets
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from proxy import control, tasks
from proxy.admin.server import AdminServer
from proxy.admin.subject import Snapshot, State
from proxy.config.model import Address, Config, Settings
from proxy.supervisor import banner, sockets
from proxy.supervisor.cpus import worker_count
from proxy.supervisor.process import Generation, WorkerProcess
from proxy.supervisor.slot import Patience, Slot
from proxy.supervisor.sockets import StartError
from proxy.supervisor.tally import merge_rows, retire
from proxy.telemetry import log
from proxy.telemetry.metrics import Report, merge
from proxy.version import version

_SNAP_S = 0.5
_WATCH_S = 0.5
_log = logging.getLogger(__name__)


def run(config: Config, *, generation_source: Callable[[], Config], patience: Patience | None = None) -> int:
    """Run the proxy until a signal ends it; returns the process's exit code.

    `generation_source` loads the configuration anew for a reload; when it raises, nothing changes.
    """
    log.configure()
    _raise_file_limit()
    try:
        return asyncio.run(_run(config, generation_source, patience or Patience()))
    except StartError as error:
        _log.error("%s", error)
        return 1


async def _run(config: Config, generation_source: Callable[[], Config], patience: Patience) -> int:
    supervisor = Supervisor(config, generation_source, patience)
    try:
        return await supervisor.run()
    finally:
        await supervisor.close()


class Supervisor:
    """Owns the slots and the admin server, which reads it as its `Subject`."""

    def __init__(self, config: Config, generation_source: Callable[[], Config], patience: Patience) -> None:
        settings = config.settings
        loop = asyncio.get_running_loop()
        self._generation_source = generation_source
        self._generation = Generation(0, config, _mark_key(settings))
        self._retired: Report = {}
        self._reload_failures = 0
        self._stop: asyncio.Future[None] = loop.create_future()
        self._stop_now: asyncio.Future[None] = loop.create_future()
        self._reload_wanted = asyncio.Event()
        self._started = time.monotonic()
        self._admin = AdminServer(self)
        bound = sockets.bind_slots(
            [listener.address for listener in settings.listeners], settings.workers or worker_count()
        )
        self._listening = [sockets.bound_address(sock) for sock in bound[0]]
        self._slots = [Slot(index, mine, patience, self._on_gone) for index, mine in enumerate(bound)]

    async def run(self) -> int:
        """Start, serve, drain; returns 0, or 1 when a second signal cut the drain short."""
        self._handle_signals()
        config = self._generation.config
        admin = await self._open_admin(config.settings)
        tasks.spawn(self._watch(), "watch-workers")
        starting = tasks.spawn(self._roll_out(config), "start-workers")
        await _first_of(starting, self._stop)
        if not self._stop.done():
            problem = starting.result()
            if problem is not None:
                raise problem
            self._announce(config, admin)
            tasks.spawn(banner.warn_of_unreachable_primaries(config), "reach-primary")
            tasks.spawn(self._reload_when_wanted(), "reload")
            await self._stop
        return await self._drain()

    async def close(self) -> None:
        """End what is left, the graceful way or not."""
        for process in self._processes():
            process.kill()
        await asyncio.gather(*(process.gone for process in self._processes()))
        await self._admin.close()

    @property
    def state(self) -> State:
        """Envoy's word for what the proxy is doing."""
        if self._stop.done():
            return "DRAINING"
        return "LIVE" if any(slot.worker is not None for slot in self._slots) else "INITIALIZING"

    async def snapshot(self) -> Snapshot:
        """Ask every worker how it stands; one that does not answer soon counts as it last said."""
        processes = self._processes()
        await asyncio.gather(*(process.snap(_SNAP_S) for process in processes))
        return Snapshot(
            self._report(processes),
            merge_rows((process.clusters for process in processes), "name"),
            merge_rows((process.mirrors for process in processes), "name"),
        )

    def server_info(self) -> dict[str, object]:
        """Describe the processes for `/server_info`."""
        now = asyncio.get_running_loop().time()
        return {
            "version": version(),
            "state": self.state,
            "pid": os.getpid(),
            "uptime_s": round(time.monotonic() - self._started, 1),
            "generation": self._generation.number,
            "listeners": [str(address) for address in self._listening],
            "workers": [
                {
                    "slot": slot.index,
                    "pid": process.pid,
                    "state": process.state,
                    "generation": process.generation.number,
                    "uptime_s": round(now - process.started, 1),
                }
                for slot in self._slots
                for process in slot.processes
            ],
        }

    def _report(self, processes: list[WorkerProcess]) -> Report:
        report = merge({}, self._retired)
        for process in processes:
            merge(report, process.report)
        own: Report = {
            "worker_restarts_total": {},
            "config_reload_failures_total": {(): self._reload_failures},
            "task_failures_total": {(name,): count for name, count in tasks.failures.items()},
        }
        for slot in self._slots:
            merge(own, {"worker_restarts_total": {(why,): count for why, count in slot.restarts.items()}})
        merge(report, own)
        report["workers"] = {(): sum(process.state == "serving" for process in processes)}
        report["config_generation"] = {(): self._generation.number}
        report["build_info"] = {(version(),): 1}
        return report

    def _processes(self) -> list[WorkerProcess]:
        return [process for slot in self._slots for process in slot.processes]

    def _on_gone(self, process: WorkerProcess) -> None:
        retire(self._retired, process.report, process.generation.config)

    def _handle_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._on_stop_signal)
        loop.add_signal_handler(signal.SIGHUP, self._reload_wanted.set)
        loop.add_signal_handler(signal.SIGUSR1, self._tell_all, control.ReopenLog())

    def _on_stop_signal(self) -> None:
        if not self._stop.done():
            self._stop.set_result(None)
        elif not self._stop_now.done():
            self._stop_now.set_result(None)

    def _tell_all(self, message: control.ToWorker) -> None:
        for process in self._processes():
            process.send(message)

    async def _open_admin(self, settings: Settings) -> Address:
        sock = sockets.listen(settings.admin.address, "admin")
        metrics = sockets.listen(settings.metrics, "metrics") if settings.metrics else None
        await self._admin.start(sock, metrics)
        return sockets.bound_address(sock)

    def _announce(self, config: Config, admin: Address) -> None:
        for line in banner.lines(config, version(), self._listening, admin):
            _log.info("%s", line)
        _log.info("ready with %d worker%s", len(self._slots), "s" if len(self._slots) > 1 else "")

    async def _watch(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + _WATCH_S
            await asyncio.sleep(_WATCH_S)
            late_s = loop.time() - due  # while we were stopped ourselves, nobody could be heard
            for slot in self._slots:
                slot.check(loop.time() - late_s)

    async def _roll_out(self, config: Config) -> BaseException | None:
        """Put `config` into force in every slot, or in none; returns why in none."""
        generation = Generation(self._generation.number + 1, config, self._generation.mark_key)
        grace_s = config.settings.drain.grace_s
        results = await asyncio.gather(
            *(slot.prepare(generation) for slot in self._slots), return_exceptions=True
        )
        problems = [result for result in results if isinstance(result, BaseException)]
        for slot in self._slots:
            if problems:
                slot.abandon(grace_s)
            else:
                slot.commit(grace_s)
        if problems:
            return problems[0]
        self._generation = generation
        return None

    async def _reload_when_wanted(self) -> None:
        while True:
            await self._reload_wanted.wait()
            self._reload_wanted.clear()
            problem = await self._reload()
            if problem is not None:
                self._reload_failures += 1
                _log.error("reload refused, generation %d stays: %s", self._generation.number, problem)

    async def _reload(self) -> str | None:
        """Load the configuration and put it into force; returns why not."""
        present = self._generation.config
        try:
            config = await asyncio.to_thread(self._generation_source)
        except Exception as error:  # noqa: BLE001 whatever is wrong with it, the present one serves on
            return str(error) or repr(error)
        for warning in config.warnings:
            _log.warning("%s", warning)
        if config == present:
            self._tell_all(control.ReloadCertificates())
            _log.info("reload: the configuration is unchanged; certificates are read again")
            return None
        fixed = _needs_restart(present.settings, config.settings)
        if fixed:
            return f"{', '.join(fixed)} cannot change while running; restart the proxy for that"
        problem = await self._roll_out(config)
        if problem is None:
            _log.info("reload: generation %d is in force", self._generation.number)
        return str(problem) if problem else None

    async def _drain(self) -> int:
        """Leave as the drain settings say; returns the exit code."""
        loop = asyncio.get_running_loop()
        drain = self._generation.config.settings.drain
        deadline = loop.time() + drain.grace_s
        delay_s = min(drain.delay_s, drain.grace_s)
        _log.info("draining: accepting for %g s more, done within %g s", delay_s, drain.grace_s)
        await asyncio.wait({self._stop_now}, timeout=delay_s)
        left_s = deadline - loop.time()
        for slot in self._slots:
            slot.close(max(0.0, left_s - min(1.0, left_s / 10)))  # the worker is done before we have to be
        gone = asyncio.gather(*(process.gone for process in self._processes()))
        await _first_of(gone, self._stop_now, timeout_s=left_s)
        if self._stop_now.done():
            _log.warning("second signal: exiting at once")
            return 1
        _log.info("drained" if gone.done() else "grace is over: cutting what is left")
        return 0


async def _first_of(*futures: asyncio.Future[Any], timeout_s: float | None = None) -> None:
    await asyncio.wait(futures, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)


def _needs_restart(present: Settings, wanted: Settings) -> list[str]:
    """Name the settings that differ and are bound at start."""
    fixed = {
        "listener addresses": [listener.address for listener in present.listeners]
        != [listener.address for listener in wanted.listeners],
        "the admin address": present.admin != wanted.admin,
        "the metrics address": present.metrics != wanted.metrics,
        "the number of workers": present.workers != wanted.workers,
        "the mark key": present.mark_key_file != wanted.mark_key_file,
    }
    return [what for what, differs in fixed.items() if differs]


def _mark_key(settings: Settings) -> bytes:
    """Return the key that signs shadows: the shared file's, or a new one for this start."""
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
    """Each client, primary and shadow takes a descriptor: use all that the system allows us."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
