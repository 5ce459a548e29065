"""The upstreams of one cell: a v1 that is healthy (or slow), a v2 that is whatever the cell asks for."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks import nginx
from benchmarks.ports import HOST, free_port, listens, pause
from benchmarks.process import ProcessTree

DEAD_NAME = "v2.mirror.invalid"
STARTUP_LOOKS = 500


@contextmanager
def running(mode: str, has_bodies: bool, home: Path) -> Iterator[tuple[str, int]]:
    """Run an upstream that behaves as `mode` says; yield its host and port."""
    port = free_port()
    if mode in ("refused", "dead_dns"):
        yield (HOST if mode == "refused" else DEAD_NAME), port
        return
    home.mkdir()
    if mode == "healthy" and not has_bodies and nginx.EXECUTABLE:
        argv = nginx.write_config(home, nginx.origin(port))
    else:
        argv = [sys.executable, "-m", "benchmarks.upstreams", mode, str(port)]
    process = ProcessTree(argv, home / "log")
    try:
        await_listener(process, port)
        yield HOST, port
    finally:
        process.kill()


def await_listener(process: ProcessTree, port: int) -> None:
    """Return when `port` accepts; fail when the process has ended or takes too long."""
    for _ in range(STARTUP_LOOKS):
        if listens(port):
            return
        if not process.is_running:
            break
        pause()
    raise RuntimeError(f"an upstream did not listen on {HOST}:{port}: {process.last_words()}")
