"""Comparing: what it costs clients and workers, and what one that stands still, a scraper or an open page costs.

Copies of the proxy, on the same upstreams, take short spans of the same steady load in turn, at half of what one
bears. Two of them compare nothing: how far those are apart is the band in which nothing can be told.
"""

from __future__ import annotations

import http.client
import os
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from benchmarks import origins, wrk
from benchmarks.ports import HOST, free_port
from benchmarks.process import ProcessTree
from benchmarks.proxies import MirrorProxy, Setup
from benchmarks.results import Figures

if TYPE_CHECKING:
    from benchmarks.measures import Bench

PERCENT = 10
#: How long a connection waits after an answer, by which so many ask at half of what one copy bears.
PAUSE_MS = 8
SPAN_S = 1
SETTLE_S = 0.2
WORKER, COMPARER = "mirror_proxy.worker.worker", "mirror_proxy.comparison.process"
OFF, AGAIN, ON, STOPPED, WATCHED = "off", "again", "on", "stopped", "watched"


@dataclass(slots=True)
class _Copy:
    """One of the copies: its processes, and what it took so far."""

    process: ProcessTree
    setup: Setup
    loads: list[wrk.Load] = field(default_factory=list)
    cpu_s: float = 0.0

    @property
    def p99_ms(self) -> float:
        return median(load.p99_ms for load in self.loads)

    @property
    def cpu_us(self) -> float:
        return self.cpu_s / sum(load.requests for load in self.loads) * 1e6


def measure(bench: Bench) -> Figures:
    """Take turns for `bench.seconds` spans each; ratios are to the copy that compares nothing."""
    with _copies(bench) as copies:
        capacity = wrk.load(copies[OFF].setup.port, max(2, bench.seconds)).per_second
        connections = max(1, round(capacity / 2 * PAUSE_MS / 1000))
        for turn in range(-1, bench.seconds * 2):
            names = list(copies)
            first = turn % len(names)
            for name in (*names[first:], *names[:first]):
                _take_turn(name, copies[name], connections, is_warm_up=turn < 0)
    off = copies[OFF]
    figures = {
        "off_rps": median(load.per_second for load in off.loads),
        "off_p99_ms": off.p99_ms,
        "off_cpu_us": off.cpu_us,
        "errors": float(sum(load.errors for one in copies.values() for load in one.loads)),
    }
    for name in (AGAIN, ON, STOPPED, WATCHED):
        figures[f"{name}_p99_x"] = copies[name].p99_ms / off.p99_ms
        figures[f"{name}_cpu_x"] = copies[name].cpu_us / off.cpu_us
    return figures


@contextmanager
def _copies(bench: Bench) -> Iterator[dict[str, _Copy]]:
    with ExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="mirror-proxy-bench-")))
        _, primary = stack.enter_context(origins.running("healthy", False, home / "v1"))
        mirror = stack.enter_context(origins.running("healthy", False, home / "v2"))
        plain = Setup(0, primary, mirror)
        copies = {}
        for name in (OFF, AGAIN, ON, STOPPED, WATCHED):
            setup = replace(
                plain, port=free_port(), admin=free_port(), compare=0 if name in (OFF, AGAIN) else PERCENT
            )
            process = stack.enter_context(MirrorProxy().start(setup, home / name, bench.proxy_cores))
            copies[name] = _Copy(process, setup)
        stack.enter_context(_watching(copies[WATCHED].setup.admin))
        yield copies


def _take_turn(name: str, one: _Copy, connections: int, *, is_warm_up: bool) -> None:
    """Load one copy for a span; a comparer that is to stand still may be a new one, so it is stopped anew."""
    if name == STOPPED:
        for pid in one.process.pids(COMPARER):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGSTOP)
    before_s = one.process.cpu_s(WORKER)
    load = wrk.load(one.setup.port, SPAN_S, connections=connections, pause_ms=PAUSE_MS)
    if not is_warm_up:
        one.cpu_s += one.process.cpu_s(WORKER) - before_s
        one.loads.append(load)
    time.sleep(SETTLE_S)


@contextmanager
def _watching(admin: int) -> Iterator[None]:
    """Scrape every second, and keep a page open that follows what happens."""
    done = threading.Event()
    watchers = [threading.Thread(target=target, args=(admin, done)) for target in (_scrape, _follow)]
    for watcher in watchers:
        watcher.start()
    try:
        yield
    finally:
        done.set()
        for watcher in watchers:
            watcher.join()


def _scrape(admin: int, done: threading.Event) -> None:
    while not done.wait(1.0):
        with closing(http.client.HTTPConnection(HOST, admin, timeout=10)) as connection:
            connection.request("GET", "/metrics")
            connection.getresponse().read()


def _follow(admin: int, done: threading.Event) -> None:
    with closing(http.client.HTTPConnection(HOST, admin, timeout=10)) as connection:
        connection.request("GET", "/events", headers={"Accept": "text/event-stream"})
        stream = connection.getresponse()
        if stream.status != 200:
            sys.stderr.write(f"the page cannot be followed: status {stream.status}\n")
            return
        while not done.is_set() and stream.readline():
            pass
