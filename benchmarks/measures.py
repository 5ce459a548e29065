"""Measures: one scenario on one proxy in one round, with everything started fresh.

Figures by name: `cpu_us` (CPU of the proxy's whole tree per answered request), `rps`, `p50_ms`, `p99_ms`,
`errors`; `growth_mib`, `rss_mib`, `connection_kib`; `lost` requests. A figure that cannot be had is absent.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks import clients, origins, wrk
from benchmarks.ports import free_port
from benchmarks.process import ProcessTree
from benchmarks.proxies import Proxy, Setup
from benchmarks.results import Figures
from benchmarks.scenarios import KIB, MIB, Scenario

IDLE_CONNECTIONS = 2000
BUSY_CONNECTIONS = 32
SETTLE_S = 1.0
LEAST_CPU_S = 0.1  # ten ticks of the kernel's clock: less is a proxy that stood still


@dataclass(frozen=True, slots=True)
class Bench:
    """The bench: cores of the proxy under test, seconds of one load and of the stalled-memory load."""

    proxy_cores: Collection[int]
    seconds: int
    stall_seconds: int


def measure(scenario: Scenario, proxy: Proxy, bench: Bench) -> Figures:
    """Start upstreams and `proxy`, take the scenario's figures, end everything."""
    with _started(scenario, proxy, bench) as (process, port):
        return MEASURES[scenario.kind](scenario, bench, process, port)


@contextmanager
def _started(scenario: Scenario, proxy: Proxy, bench: Bench) -> Iterator[tuple[ProcessTree, int]]:
    with ExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="mirror-proxy-bench-")))
        has_bodies = scenario.body_bytes > 0
        _, primary = stack.enter_context(origins.running(scenario.primary, has_bodies, home / "v1"))
        mirror = None
        if scenario.mirror != "off":
            mirror = stack.enter_context(origins.running(scenario.mirror, has_bodies, home / "v2"))
        setup = Setup(free_port(), primary, mirror, scenario.percent)
        process = stack.enter_context(proxy.start(setup, home / "proxy", bench.proxy_cores))
        yield process, setup.port


def _load(scenario: Scenario, bench: Bench, process: ProcessTree, port: int) -> Figures:
    wrk.load(port, 1, scenario.body_bytes)
    before_s = process.cpu_s()
    load = wrk.load(port, bench.seconds, scenario.body_bytes)
    cpu_s = process.cpu_s() - before_s
    figures = {"rps": load.per_second, "errors": float(load.errors)}
    if load.requests:
        figures |= {"p50_ms": load.p50_ms, "p99_ms": load.p99_ms}
    if load.requests and cpu_s >= LEAST_CPU_S:
        figures["cpu_us"] = cpu_s / load.requests * 1e6
    return figures


def _memory_stalled(scenario: Scenario, bench: Bench, process: ProcessTree, port: int) -> Figures:
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


def _memory_idle(scenario: Scenario, bench: Bench, process: ProcessTree, port: int) -> Figures:
    del scenario, bench, port
    time.sleep(SETTLE_S)
    return {"rss_mib": process.rss_bytes() / MIB}


def _idle_connections(scenario: Scenario, bench: Bench, process: ProcessTree, port: int) -> Figures:
    del scenario, bench
    wrk.load(port, 1)
    before = process.rss_bytes()
    with clients.idle_connections(port, IDLE_CONNECTIONS):
        time.sleep(SETTLE_S)
        return {"connection_kib": (process.rss_bytes() - before) / IDLE_CONNECTIONS / KIB}


def _sigterm(scenario: Scenario, bench: Bench, process: ProcessTree, port: int) -> Figures:
    del scenario, bench
    shutdown = clients.through_shutdown(port, BUSY_CONNECTIONS, process.terminate, after_s=1.0)
    tally = asyncio.run(shutdown)
    return {"lost": float(tally.lost), "answered": float(tally.answered)}


MEASURES: dict[str, Callable[[Scenario, Bench, ProcessTree, int], Figures]] = {
    "load": _load,
    "memory_stalled": _memory_stalled,
    "memory_idle": _memory_idle,
    "idle_connections": _idle_connections,
    "sigterm": _sigterm,
}
