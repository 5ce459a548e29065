"""One attack on one proxy: what a hostile sender (`sender`) does to another client (`observer`) and to memory.

The proxy has one core. Everything else shares the others, where the sender yields to the rest.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks import observer, origins
from benchmarks.payloads import KIB, MIB
from benchmarks.ports import HOST, free_port, pause
from benchmarks.process import ProcessTree
from benchmarks.proxies import Proxy, Setup
from benchmarks.results import Figures

LOOK_S = 0.1
SENDER_NICENESS = 10
#: The figures to reach: another client's worst wait, its p99 beside one hostile connection and beside several, and the
#: memory gained as a multiple of what may wait.
WORST_MS, P99_MS, BUSY_P99_MS, MEMORY_FACTOR = 50, 5, 15, 4
#: What a proxy may hold: for a connection one read beyond the high-water mark, for a mirror's lag, and for comparing
#: in the worker and in the comparer.
READ_BYTES, HIGH_WATER, LAG_BYTES, COMPARE_BYTES = 256 * KIB, 64 * KIB, MIB, 48 * MIB


@dataclass(frozen=True, slots=True)
class Attack:
    """Who sends what, over how many connections."""

    role: str
    kind: str
    connections: int

    @property
    def name(self) -> str:
        """Return the name of the row."""
        return f"{self.role} {self.kind} {self.connections}"

    @property
    def is_mirrored(self) -> bool:
        """Return whether attacked requests are mirrored."""
        return self.role not in {"client", "primary"}

    @property
    def is_compared(self) -> bool:
        """Return whether their responses are compared."""
        return self.role.endswith("-compared")

    @property
    def allowed_bytes(self) -> int:
        """Return what may wait in the proxy: in both directions of a connection, for a mirror, and to be compared."""
        connection = 2 * (READ_BYTES + HIGH_WATER)
        if self.is_mirrored:
            connection += READ_BYTES + HIGH_WATER + LAG_BYTES
        return self.connections * connection + COMPARE_BYTES * self.is_compared


def measure(attack: Attack, proxy: Proxy, cores: Collection[int], seconds: float) -> Figures:
    """Start the upstreams and `proxy`, attack for the given seconds, stop all of them, and return the figures."""
    with ExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="mirror-proxy-bench-")))
        hostile = free_port()
        setup = _setup(attack, hostile, home, stack)
        process = stack.enter_context(proxy.start(setup, home / "proxy", cores))
        watching = stack.enter_context(_running("observer", home, 0, setup.port, seconds))
        _await_word(watching, observer.READY)
        before, pids, waited_s = process.rss_bytes(), set(process.pids()), process.waited_s()
        what = (attack.role, attack.kind, attack.connections, seconds, setup.port, hostile)
        sending = stack.enter_context(_running("sender", home, SENDER_NICENESS, *what))
        peak = before
        while watching.is_running or sending.is_running:
            peak = max(peak, process.rss_bytes())
            time.sleep(LOOK_S)
        sent = {f"sent_{name}": count for name, count in _last_line(sending).items()}
        return {
            **_last_line(watching),
            **sent,
            "sent_mib": sent["sent_bytes"] / MIB,
            "ended": float(len(pids - set(process.pids()))),
            "waited_ms": (process.waited_s() - waited_s) * 1e3,
            "growth_mib": (peak - before) / MIB,
            "allowed_mib": attack.allowed_bytes / MIB,
        }


def _setup(attack: Attack, hostile: int, home: Path, stack: ExitStack) -> Setup:
    """Start the upstreams that are healthy; return what the proxy is told. A hostile upstream listens on `hostile`."""
    _, primary = stack.enter_context(origins.running("sink", True, home / "v1"))
    mirror = None
    if attack.role.startswith("mirror"):
        mirror = (HOST, hostile)
    elif attack.is_mirrored:
        mirror = stack.enter_context(origins.running("sink", True, home / "v2"))
    return Setup(
        free_port(),
        primary,
        mirror,
        compare=100 if attack.is_compared else 0,
        attacked=hostile if attack.role == "primary" else primary,
    )


@contextmanager
def _running(module: str, home: Path, niceness: int, *arguments: object) -> Iterator[ProcessTree]:
    argv = [sys.executable, "-m", f"benchmarks.{module}", *map(str, arguments)]
    process = ProcessTree(argv, home / f"{module}.log", niceness=niceness)
    try:
        yield process
    finally:
        process.kill()


def _await_word(process: ProcessTree, word: str) -> None:
    while process.last_words() != word:
        if not process.is_running:
            raise RuntimeError(f"a process of the benchmark ended: {process.last_words()}")
        pause()


def _last_line(process: ProcessTree) -> Figures:
    """Return the figures that a process of the benchmark printed last."""
    words = process.last_words()
    try:
        figures: Figures = json.loads(words.rpartition("\n")[2])
    except ValueError:
        raise ValueError(f"a process of the benchmark printed no figures, but: {words}") from None
    return figures


def misses(attack: Attack, figures: Figures) -> list[str]:
    """Return which of the figures to reach are missed."""
    bounds = {
        "worst_ms": WORST_MS,
        "p99_ms": P99_MS if attack.connections == 1 else BUSY_P99_MS,
        "failed": 0,
        "ended": 0,
        "growth_mib": MEMORY_FACTOR * figures["allowed_mib"],
    }
    return [name for name, bound in bounds.items() if figures[name] > bound]
