"""The load: wrk (Debian's package) with one thread, and what it measured."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from benchmarks.ports import HOST

SCRIPT = Path(__file__).with_name("load.lua")


@dataclass(frozen=True, slots=True)
class Load:
    """What wrk did: requests answered with 2xx or 3xx, the time they took, latencies in milliseconds.

    `errors` counts other answers, and connections that failed, broke or timed out.
    """

    requests: int
    duration_s: float
    p50_ms: float
    p99_ms: float
    errors: int

    @property
    def per_second(self) -> float:
        """Return answered requests per second."""
        return self.requests / self.duration_s


def parse(output: str) -> Load:
    """Read the line of JSON that `load.lua` prints after wrk's own summary."""
    line = output.strip().rpartition("\n")[2]
    try:
        told: dict[str, int] = json.loads(line)
    except ValueError:
        raise ValueError(f"wrk ended without its line of figures; its last words: {line or 'none'}") from None
    return Load(
        requests=told["requests"] - told["status"],
        duration_s=told["duration_us"] / 1e6,
        p50_ms=told["p50_us"] / 1e3,
        p99_ms=told["p99_us"] / 1e3,
        errors=sum(told[kind] for kind in ("status", "connect", "read", "write", "timeout")),
    )


def load(
    port: int, seconds: int, body_bytes: int = 0, connections: int = 32, *, routes: int = 0, pause_ms: int = 0
) -> Load:
    """Load the proxy on `port` for whole `seconds`."""
    wrk = start(port, seconds, body_bytes, connections, routes=routes, pause_ms=pause_ms)
    try:
        output, _ = wrk.communicate(timeout=seconds + 30)
    finally:
        wrk.kill()
        wrk.wait()
    return parse(output)


def start(
    port: int, seconds: int, body_bytes: int = 0, connections: int = 32, *, routes: int = 0, pause_ms: int = 0
) -> subprocess.Popen[str]:
    """Start wrk, which asks for so many `routes` in turn; `parse` its standard output when it has ended.

    With `pause_ms` each connection waits so long after an answer, and so all together ask at a rate.
    """
    options = ["-t1", f"-c{connections}", f"-d{seconds}s", "--latency", "-s", str(SCRIPT)]
    return subprocess.Popen(
        ["wrk", *options, f"http://{HOST}:{port}/bench?item=1"],
        env={**os.environ, "BODY_BYTES": str(body_bytes), "ROUTES": str(routes), "PAUSE_MS": str(pause_ms)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
