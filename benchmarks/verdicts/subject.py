"""mirror-proxy as its README starts it, and its report."""

from __future__ import annotations

import http.client
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.ports import HOST, free_port
from benchmarks.process import ProcessTree
from benchmarks.verdicts.service import await_answer

COMMAND = [sys.executable, "-m", "mirror_proxy"]
#: The comparer is done when its count has not changed for this number of seconds.
STILL_S, SETTLE_S = 5, 600


@dataclass(frozen=True, slots=True)
class Upstreams:
    """Ports of v1, of the second v1, and of v2."""

    primary: int
    secondary: int
    mirror: int


@dataclass(frozen=True, slots=True)
class Subject:
    """A running mirror-proxy."""

    port: int
    admin: int

    def report(self, form: str) -> str:
        """Return the report in a format."""
        where = ["--admin", f"{HOST}:{self.admin}", "--format", form]
        done = subprocess.run([*COMMAND, "report", *where], capture_output=True, text=True, check=False)
        if not done.stdout:
            raise RuntimeError(f"report --format {form}: {done.stderr.strip()[-400:]}")
        return done.stdout

    def settle(self) -> None:
        """Wait until the comparer has compared what was captured."""
        deadline, count, since = time.monotonic() + SETTLE_S, -1, time.monotonic()
        while time.monotonic() < deadline:
            now = _compared(self.admin)
            if now != count:
                count, since = now, time.monotonic()
            elif time.monotonic() - since > STILL_S:
                return
            time.sleep(0.5)


@contextmanager
def running(upstreams: Upstreams, home: Path) -> Iterator[Subject]:
    """Run the proxy as the README says, with everything compared, and end it afterwards."""
    home.mkdir(parents=True)
    subject = Subject(free_port(), free_port())
    argv = [
        *COMMAND,
        "run",
        *("--primary", f"http://{HOST}:{upstreams.primary}", "--mirror", f"http://{HOST}:{upstreams.mirror}"),
        *("--compare", "100", "--secondary", f"http://{HOST}:{upstreams.secondary}"),
        *("--compare-store", f"sqlite:///{home / 'compare.db'}"),
        *("--listen", f"{HOST}:{subject.port}", "--admin", f"{HOST}:{subject.admin}", "--drain-delay", "0s"),
    ]
    process = ProcessTree(argv, home / "log")
    try:
        await_answer(process, subject.admin, "/ready", statuses=range(200, 201))
        await_answer(process, subject.admin, "/compare/report", statuses=range(200, 201))
        yield subject
    finally:
        process.kill()


def _compared(admin: int) -> int:
    with closing(http.client.HTTPConnection(HOST, admin, timeout=30)) as connection:
        connection.request("GET", "/metrics")
        text = connection.getresponse().read().decode()
    counts = [line for line in text.splitlines() if line.startswith("mirror_proxy_compare_pairs_total")]
    return round(sum(float(line.rsplit(" ", 1)[1]) for line in counts))


def parse(report: str) -> dict[str, Any]:
    """Return a JSON report's document."""
    document: dict[str, Any] = json.loads(report)
    return document
