"""A real proxy in a process of its own, with its workers."""

from __future__ import annotations

import http.client
import json
import os
import pickle
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from mirror_proxy.config.model import (
    Address,
    Admin,
    Config,
    Destination,
    Drain,
    Listener,
    MirrorPolicy,
    Route,
    Settings,
    VirtualHost,
)
from tests.support.fetch import fetch
from tests.support.plane import NO_SHED, PATIENT, cluster_at, free_port
from tests.support.waiting import BOUND_S, hurry, until

ROOT = Path(__file__).parents[2]

_SCRIPT = """
import pickle, sys
from pathlib import Path
from mirror_proxy.supervisor import Timeouts, run

def load():
    return pickle.loads(Path(sys.argv[1]).read_bytes())

sys.exit(run(load(), generation_source=load, timeouts=Timeouts(heartbeat_s=float(sys.argv[2]))))
"""


def config_for(
    primary: Address, *, mirror: Address | None = None, route: str = "r", **settings: Any
) -> Config:
    """Build one route to `primary` on a free port; `settings` replace what the tests' defaults are."""
    clusters = [cluster_at("p", primary)]
    mirrors: tuple[MirrorPolicy, ...] = ()
    if mirror is not None:
        clusters.append(cluster_at("m", mirror))
        mirrors = (MirrorPolicy("mirror", "m", mirroring=PATIENT),)
    defaults: dict[str, Any] = {
        "listeners": (Listener(Address("127.0.0.1", free_port())),),
        "admin": Admin(Address("127.0.0.1", free_port())),
        "drain": Drain(0.0, 10.0),
        "shed": NO_SHED,
    }
    routes = (Route(route, (Destination("p", "p"),), mirrors),)
    return Config(Settings(**{**defaults, **settings}), tuple(clusters), (VirtualHost("v", ("*",), routes),))


class RunningProxy:
    """A supervisor process with its workers. `stderr` holds what it has written so far."""

    script = _SCRIPT

    def __init__(
        self,
        config: Config,
        folder: Path,
        heartbeat_s: float,
        files: Sequence[Path] = (),
        descriptors: int | None = None,
        stderr: int | None = None,
    ) -> None:
        self.config = config
        self._file = folder / "config.pickle"
        self._stderr = folder / "stderr"
        self.write(config)
        command = ["-c", self.script, str(self._file), str(heartbeat_s)]
        if files:
            command = ["-m", "mirror_proxy", "run", *map(str, files)]
        with self._stderr.open("wb") as file:
            self.process = subprocess.Popen(
                [sys.executable, *command], stderr=file if stderr is None else stderr, cwd=ROOT
            )
        if descriptors is not None:
            resource.prlimit(self.process.pid, resource.RLIMIT_NOFILE, (descriptors, descriptors))

    def write(self, config: Config | bytes) -> None:
        """Put another configuration where a reload will find it."""
        self._file.write_bytes(config if isinstance(config, bytes) else pickle.dumps(config))

    def reload(self, config: Config) -> None:
        """Have `config` loaded, and wait until workers that others replaced have left."""
        self.write(config)
        assert self.change("POST", "/reload")[0] == 200
        until(
            lambda: all(row["state"] == "serving" for row in self._worker_rows()), "replaced workers to leave"
        )

    @property
    def stderr(self) -> str:
        return self._stderr.read_text()

    def wait_logged(self, *texts: str) -> None:
        """Wait until each of `texts` stands in the log; who answers a request does not wait for its lines."""
        for text in texts:
            until(lambda text=text: text in self.stderr, f"the log to have: {text}")  # type: ignore[misc]

    def wait_ready(self) -> None:
        until(lambda: self.process.poll() is not None or self.ready_status() == 200, "/ready")
        assert self.process.poll() is None, self.stderr

    def ready_status(self) -> int:
        try:
            return self.ask_admin("/ready")[0]
        except OSError:
            return 0

    def ask(self, path: str = "/", **headers: str) -> tuple[int, str]:
        """Send one request to the first listener, on a connection of its own."""
        return fetch(self.config.settings.listeners[0].address, path, **headers)

    def hold(self) -> http.client.HTTPConnection:
        """Send a request that the origin answers once released."""
        address = self.config.settings.listeners[0].address
        client = http.client.HTTPConnection(address.host, address.port, timeout=BOUND_S)
        client.request("GET", "/held")
        return client

    def ask_admin(self, path: str) -> tuple[int, str]:
        return fetch(self.config.settings.admin.address, path)

    def change(self, method: str, path: str, body: object = None) -> tuple[int, Any]:
        """Ask the admin server for a change; return its status and answer."""
        status, answer = fetch(self.config.settings.admin.address, path, method, body)
        return status, json.loads(answer)

    def admin_json(self, path: str) -> Any:
        return json.loads(self.ask_admin(path)[1])

    def hurry_comparer(self) -> None:
        """Have the comparer run although others are busy; it takes only time that is left over."""
        comparer = self.admin_json("/server_info").get("comparer")
        if comparer:
            hurry(comparer["pid"])

    def workers(self) -> list[dict[str, Any]]:
        """Return those that serve, by slot."""
        return sorted(
            (row for row in self._worker_rows() if row["state"] == "serving"), key=lambda row: row["slot"]
        )

    def _worker_rows(self) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = self.admin_json("/server_info")["workers"]
        return rows

    def metric(self, name: str, **labels: str) -> float:
        """Return the sum of the samples called `name` that carry `labels`."""
        families = text_string_to_metric_families(self.ask_admin("/metrics")[1])
        samples = [sample for family in families for sample in family.samples]
        return sum(
            sample.value
            for sample in samples
            if sample.name == f"mirror_proxy_{name}" and labels.items() <= sample.labels.items()
        )

    def children(self) -> list[int]:
        """Return the process ids of all workers, also of those that do not serve."""
        pid = self.process.pid
        try:
            return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
        except OSError:
            return []

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def wait(self) -> int:
        """Wait for the supervisor's exit code."""
        return self.process.wait(BOUND_S)


def is_alive(pid: int) -> bool:
    """Return whether `pid` runs; a zombie does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


@contextmanager
def running(
    config: Config,
    folder: Path,
    *,
    heartbeat_s: float = 10.0,
    ready: bool = True,
    files: Sequence[Path] = (),
    descriptors: int | None = None,
    stderr: int | None = None,
) -> Iterator[RunningProxy]:
    """Run a proxy; whatever the test did to it, its processes are gone afterwards.

    `descriptors` is what each of its processes may have.
    With `files`, it is the command that runs, on those; `config` then only says where to ask. With `stderr`, its
    standard error is that descriptor.
    """
    proxy = RunningProxy(config, folder, heartbeat_s, files, descriptors, stderr)
    try:
        if ready:
            proxy.wait_ready()
        yield proxy
    finally:
        workers = proxy.children()
        proxy.process.kill()
        proxy.process.wait()
        for pid in filter(is_alive, workers):
            os.kill(pid, signal.SIGKILL)
