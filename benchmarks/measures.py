"""Measures: one scenario on one proxy in one round, with everything started fresh.

Figures by name: `cpu_us` (CPU of the proxy's whole tree per answered request), `rps`, `p50_ms`, `p99_ms`,
`errors`; `growth_mib`, `rss_mib`, `connection_kib`; `lost` requests; `p99_ratio` (while reloading, to before),
`reload_s`, `failed` requests; `load_s`; those of `benchmarks.comparing`. A figure that cannot be had is absent.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Collection, Coroutine, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks import clients, comparing, origins, routes, wrk
from benchmarks.pace import Span, Timed, keep_pace, next_generation
from benchmarks.ports import free_port
from benchmarks.process import ProcessTree, on_cores
from benchmarks.proxies import ROUTES_FILE, Proxy, Setup
from benchmarks.results import Figures
from benchmarks.scenarios import KIB, MIB, Scenario

IDLE_CONNECTIONS = 2000
BUSY_CONNECTIONS = 32
SETTLE_S = 1.0
PER_SECOND = 500
RELOADS = 5
LEAST_CPU_S = 0.1  # ten ticks of the kernel's clock: less is a proxy that stood still


@dataclass(frozen=True, slots=True)
class Bench:
    """The bench: cores of the proxy under test, seconds of one load and of the stalled-memory load."""

    proxy_cores: Collection[int]
    seconds: int
    stall_seconds: int


@dataclass(frozen=True, slots=True)
class Subject:
    """The proxy that is measured: its processes, what it was told, and the folder of its files."""

    process: ProcessTree
    setup: Setup
    home: Path


def measure(scenario: Scenario, proxy: Proxy, bench: Bench) -> Figures:
    """Start upstreams and `proxy`, take the scenario's figures, end everything."""
    if scenario.kind == "loading":
        return _loading(scenario, bench)
    if scenario.kind == "comparing":
        return comparing.measure(bench)
    with _started(scenario, proxy, bench) as subject:
        return MEASURES[scenario.kind](scenario, bench, subject)


@contextmanager
def _started(scenario: Scenario, proxy: Proxy, bench: Bench) -> Iterator[Subject]:
    with ExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="mirror-proxy-bench-")))
        has_bodies = scenario.body_bytes > 0
        _, primary = stack.enter_context(origins.running(scenario.primary, has_bodies, home / "v1"))
        mirror = None
        if scenario.mirror != "off":
            mirror = stack.enter_context(origins.running(scenario.mirror, has_bodies, home / "v2"))
        setup = Setup(free_port(), primary, mirror, scenario.percent, scenario.routes)
        process = stack.enter_context(proxy.start(setup, home / "proxy", bench.proxy_cores))
        yield Subject(process, setup, home / "proxy")


def _load(scenario: Scenario, bench: Bench, subject: Subject) -> Figures:
    process, port = subject.process, subject.setup.port
    count = routes.COUNT if scenario.routes else 0
    wrk.load(port, 1, scenario.body_bytes, routes=count)
    before_s = process.cpu_s()
    load = wrk.load(port, bench.seconds, scenario.body_bytes, routes=count)
    cpu_s = process.cpu_s() - before_s
    figures = {"rps": load.per_second, "errors": float(load.errors)}
    if load.requests:
        figures |= {"p50_ms": load.p50_ms, "p99_ms": load.p99_ms}
    if load.requests and cpu_s >= LEAST_CPU_S:
        figures["cpu_us"] = cpu_s / load.requests * 1e6
    return figures


def _memory_stalled(scenario: Scenario, bench: Bench, subject: Subject) -> Figures:
    process, port = subject.process, subject.setup.port
    before = peak = process.rss_bytes()
    load = wrk.start(port, bench.stall_seconds, scenario.body_bytes, connections=64)
    try:
        while load.poll() is None:
            peak = max(peak, process.rss_bytes())
            time.sleep(0.1)
    finally:
        load.kill()
        output, _ = load.communicate()
    return {"growth_mib": (peak - before) / MIB, "rps": wrk.parse(output).per_second}


def _memory_idle(scenario: Scenario, bench: Bench, subject: Subject) -> Figures:
    del scenario, bench
    time.sleep(SETTLE_S)
    return {"rss_mib": subject.process.rss_bytes() / MIB}


def _idle_connections(scenario: Scenario, bench: Bench, subject: Subject) -> Figures:
    del scenario, bench
    process, port = subject.process, subject.setup.port
    wrk.load(port, 1)
    before = process.rss_bytes()
    with clients.idle_connections(port, IDLE_CONNECTIONS):
        time.sleep(SETTLE_S)
        return {"connection_kib": (process.rss_bytes() - before) / IDLE_CONNECTIONS / KIB}


def _sigterm(scenario: Scenario, bench: Bench, subject: Subject) -> Figures:
    del scenario, bench
    port, shut_down = subject.setup.port, subject.process.terminate
    shutdown = clients.through_shutdown(port, BUSY_CONNECTIONS, shut_down, after_s=1.0)
    tally = asyncio.run(shutdown)
    return {"lost": float(tally.lost), "answered": float(tally.answered)}


def _reload(scenario: Scenario, bench: Bench, subject: Subject) -> Figures:
    text = routes.write(scenario.routes, subject.setup.primary)
    return asyncio.run(_reloaded(bench, subject, text))


async def _reloaded(bench: Bench, subject: Subject, text: str) -> Figures:
    """Edit the file again and again under steady traffic; compare what that takes with quiet spans in between."""
    timed, setup, generation = Timed(), subject.setup, 1
    quiet: list[Span] = []
    busy: list[Span] = []
    traffic = asyncio.create_task(keep_pace(setup.port, PER_SECOND, BUSY_CONNECTIONS, routes.COUNT, timed))
    try:
        for number in range(RELOADS):
            await asyncio.sleep(SETTLE_S)
            quiet.append(await _span(asyncio.sleep(bench.seconds)))
            edited = f"{text}# edit {number}\n".replace("name: r0", f"name: e{number}")
            await asyncio.to_thread(replace, subject.home / ROUTES_FILE, edited)
            busy.append(await _span(next_generation(setup.admin, generation, within_s=30)))
            generation += 1
    finally:
        traffic.cancel()
        await asyncio.wait([traffic])
    before_s, during_s = timed.p99_s(quiet), timed.p99_s(busy)
    return {
        "p99_ratio": during_s / before_s,
        "before_ms": before_s * 1e3,
        "during_ms": during_s * 1e3,
        "reload_s": median(end - begin for begin, end in busy),
        "failed": float(timed.failed),
    }


async def _span(what: Coroutine[Any, Any, Any]) -> Span:
    """Wait for something; give when that began and ended."""
    began = time.monotonic()
    await what
    return began, time.monotonic()


def replace(path: Path, text: str) -> None:
    """Put another text in a file's place, all at once."""
    beside = path.with_suffix(".new")
    beside.write_text(text)
    beside.replace(path)


def _loading(scenario: Scenario, bench: Bench) -> Figures:
    """Time `check`, from the start of the command to its end."""
    with tempfile.TemporaryDirectory(prefix="mirror-proxy-bench-") as folder:
        path = Path(folder) / ROUTES_FILE
        path.write_text(routes.write(scenario.routes, free_port()))
        argv = [sys.executable, "-m", "mirror_proxy", "check", str(path)]
        with on_cores(bench.proxy_cores):
            began = time.monotonic()
            done = subprocess.run(argv, capture_output=True, text=True, check=False)
            load_s = time.monotonic() - began
    if done.returncode:
        raise RuntimeError(f"the files cannot be loaded: {done.stderr[-400:]}")
    return {"load_s": load_s}


MEASURES: dict[str, Callable[[Scenario, Bench, Subject], Figures]] = {
    "load": _load,
    "memory_stalled": _memory_stalled,
    "memory_idle": _memory_idle,
    "idle_connections": _idle_connections,
    "sigterm": _sigterm,
    "reload": _reload,
}
