"""A session of the demo on one loop: three origins, the supervisor as `run` starts it, traffic, and the display.

The proxy is the real one, with a worker process and the configuration that its flags make. v2 is a little slower than
v1 and sometimes wrong, so that there is something to see. The second v1 shows which differences are noise.
"""

from __future__ import annotations

import asyncio
import logging
import math
import signal
import sys
import tempfile
import time
from pathlib import Path

from mirror_proxy import tasks
from mirror_proxy.config import flags, loader, overlay, settings
from mirror_proxy.config.model import Address, Config
from mirror_proxy.config.problems import ConfigError, Problems
from mirror_proxy.demo import display
from mirror_proxy.demo.display import Display
from mirror_proxy.demo.origin import Origin, serving
from mirror_proxy.demo.traffic import TrafficGenerator
from mirror_proxy.supervisor import Timeouts, sockets
from mirror_proxy.supervisor.core import Supervisor
from mirror_proxy.supervisor.sockets import StartError
from mirror_proxy.telemetry import log
from mirror_proxy.telemetry.event import event
from mirror_proxy.telemetry.lines import Lines
from mirror_proxy.telemetry.metrics import Report
from mirror_proxy.text import as_line, format_span

PERCENT = 50
PRIMARY, MIRROR = "v1", "v2"
VERSION_FIELDS = ("$.version", "$.shadow")

_POLL_S = 0.05
_EVERY_S = 1.0
_FLUSH_S = 0.5
_log = logging.getLogger(__name__)


def run(listen: Address, admin: Address, seconds: float | None) -> int:
    """Run the demo; returns 0, 1 when it cannot start or was cut short, 2 when the addresses are no use."""
    log.start("demo")
    try:
        with tempfile.TemporaryDirectory(prefix="mirror-proxy-demo-") as folder:
            session = DemoSession(_with_port(listen), _with_port(admin), Path(folder) / "access.log")
            return asyncio.run(session.run(seconds))
    except ConfigError as error:
        sys.stderr.write(f"{as_line(str(error))}\n")
        return 2
    except (StartError, OSError) as error:
        _log.error(event("proxy cannot start", error=error))
        return 1


def _with_port(address: Address) -> Address:
    """Return `address` with a free port in place of port 0, so that the port is known."""
    if address.port:
        return address
    with sockets.listen(address, "demo") as sock:
        return sockets.bound_address(sock)


class DemoSession:
    """Everything that the demo runs."""

    def __init__(self, listen: Address, admin: Address, access_log: Path) -> None:
        self._listen = listen
        self._admin = admin
        self._access_log = access_log
        self._out = Lines(sys.stdout.fileno())
        self._display = Display(self._out.offer, is_live=sys.stdout.isatty())
        self._traffic = TrafficGenerator(f"http://{listen}", PRIMARY)

    async def run(self, seconds: float | None) -> int:
        """Run until a signal or for `seconds`; returns the supervisor's exit code."""
        primary = Origin(PRIMARY, delay_ms=2)
        secondary = Origin(PRIMARY, delay_ms=2)
        mirror = Origin(MIRROR, delay_ms=6, error_percent=4, wrong_percent=3)
        async with serving(primary) as v1, serving(secondary) as v1b, serving(mirror) as v2:
            config = self._config(v1, v1b, v2)
            supervisor = Supervisor(config, lambda: config, Timeouts())
            shown = tasks.spawn(self._show_traffic(supervisor, seconds), "demo")
            try:
                code = await supervisor.run()
                report = (await supervisor.snapshot()).report  # what reads counters ends with the supervisor
            finally:
                shown.cancel()
                await supervisor.close()
            self._conclude(report)
            self._out.close(_FLUSH_S)
            return code

    def _config(self, v1: Address, v1b: Address, v2: Address) -> Config:
        """Load the configuration of these flags of `mirror-proxy run`, with the fields that name a version ignored."""
        arguments = {
            "primary": f"http://{v1}",
            "mirror": [f"http://{v2}"],
            "percent": [str(PERCENT)],
            "secondary": f"http://{v1b}",
            "compare": "100",
            "compare_store": f"sqlite:///{self._access_log.with_name('compared.db')}",
            "listen": [str(self._listen)],
            "admin": str(self._admin),
            "access_log": str(self._access_log),
            "drain_delay": "1s",
            "grace": "5s",
        }
        given = flags.Given(arguments, {}, Problems())
        ignored = settings.settings_document(
            {"compare": {"ignore": [{"path": path} for path in VERSION_FIELDS]}}, overlay.COMMAND_LINE
        )
        return loader.load(overlay=[*overlay.documents(given, ()), ignored])

    async def _show_traffic(self, supervisor: Supervisor, seconds: float | None) -> None:
        """Send traffic and display the counters, from when the proxy serves until it drains."""
        while supervisor.state == "INITIALIZING":  # noqa: ASYNC110 it has a state, and no event for changes
            await asyncio.sleep(_POLL_S)
        self._introduce()
        logging.getLogger("mirror_proxy").addHandler(self._display)
        await asyncio.gather(
            self._traffic.run(lambda: supervisor.state == "LIVE"), self._refresh(supervisor, seconds)
        )

    async def _refresh(self, supervisor: Supervisor, seconds: float | None) -> None:
        started = time.monotonic()
        left_s = math.inf if seconds is None else seconds
        while supervisor.state == "LIVE" and left_s > 0:
            await asyncio.sleep(min(_EVERY_S, left_s))
            elapsed = format_span(round(time.monotonic() - started))
            report = (await supervisor.snapshot()).report
            if self._display.is_live:
                self._display.refresh([elapsed, *display.table(report)])
            else:
                self._display.print_lines(f"{elapsed}: {display.line(report)}")
            left_s -= _EVERY_S
        if supervisor.state == "LIVE":
            signal.raise_signal(signal.SIGTERM)

    def _introduce(self) -> None:
        self._display.print_lines(
            "",
            f"{PERCENT} % of the requests to http://{self._listen} are copied to {MIRROR}; try, meanwhile:",
            f"  curl http://{self._listen}/hello",
            f"  http://{self._admin}/        (the page: what v2 does otherwise, and what steers it)",
            f"  mirror-proxy report --admin {self._admin}",
            f"  tail -f {self._access_log}",
            "",
        )

    def _conclude(self, report: Report) -> None:
        traffic = self._traffic
        self._display.print_lines(
            "",
            *display.table(report),
            f"{'clients':<10}  {traffic.responses} answers, all from {PRIMARY}; {traffic.failures} failures",
        )
