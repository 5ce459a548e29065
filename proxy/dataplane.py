"""One worker's data plane: listeners, snapshot, resolver and clock, without processes or signals."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence
from time import monotonic

from proxy import census, tasks
from proxy.clock import DeadlineWheel
from proxy.config.model import Config, Listener
from proxy.downstream.connection import DownstreamConnection
from proxy.downstream.door import Door
from proxy.downstream.listener import DownstreamListener
from proxy.exchange import Exchange
from proxy.http1.request import RequestHead
from proxy.journal import Journal
from proxy.mirror.shadow import Shadow
from proxy.snapshot import compile_snapshot, log_shadows
from proxy.telemetry.access_log import AccessLog
from proxy.telemetry.metrics import Report
from proxy.telemetry.stats import DownstreamStats
from proxy.upstream.resolver import Resolver

_CERTIFICATE_CHECK_S = 5.0
_FINISH_POLL_S = 0.02


class DataPlane:
    """Serves on the sockets it is given until it is told to finish."""

    def __init__(
        self, config: Config, *, generation: int, mark_key: bytes, access_log: AccessLog | None
    ) -> None:
        self._wheel = DeadlineWheel()
        self._stats = DownstreamStats()
        self._access_log = access_log
        self._listeners: list[DownstreamListener] = []
        self.snapshot = compile_snapshot(config, generation, mark_key, self._wheel, self._stats)
        if access_log is not None:
            self.snapshot.log = Journal(access_log)
            log_shadows(self.snapshot, self.snapshot.log.on_shadow)
        settings = config.settings
        upgrades = frozenset(name.lower().encode() for name in settings.upgrades)
        self._door = Door(self._serve, settings.limits, upgrades, self._wheel, self._stats)
        self._resolver = Resolver(self.snapshot.clusters.values())
        self._certificates: asyncio.Task[None] | None = None

    def _serve(
        self, client: DownstreamConnection, head: RequestHead, pieces: list[bytes], end: bool
    ) -> Exchange | None:
        """Handle a request of a client connection: begin an exchange on the snapshot in force."""
        exchange = Exchange(self.snapshot, client, head)
        exchange.begin(pieces, end)
        return None if exchange.done else exchange

    # --- life ---

    async def start(self, sockets: Sequence[tuple[Listener, socket.socket]]) -> None:
        """Resolve names and begin to accept; raises `OSError` for unusable TLS files."""
        self._wheel.start(asyncio.get_running_loop())
        self._listeners = [DownstreamListener(sock, self._door, listener.tls) for listener, sock in sockets]
        await self._resolver.start()
        for listener in self._listeners:
            await listener.start()
        if any(listener.tls for listener, _ in sockets):
            self._certificates = tasks.spawn(self._watch_certificates(), "certificates")

    def stop_accepting(self) -> None:
        """Take no new connection."""
        for listener in self._listeners:
            listener.stop()

    def begin_drain(self) -> None:
        """From now on responses say `Connection: close` and idle connections are closed; nothing is mirrored."""
        self._door.draining = True
        for connection in list(self._door.connections):
            connection.drain()

    async def finish(self, timeout_s: float) -> None:
        """Wait until nothing is in flight, shadows included; after `timeout_s`, cut off what is left."""
        until = monotonic() + timeout_s
        while (self._door.connections or self._shadows()) and monotonic() < until:  # noqa: ASYNC110 - only at the end
            await asyncio.sleep(_FINISH_POLL_S)
        for shadow in self._shadows():
            shadow.abort("draining")
        for connection in list(self._door.connections):
            connection.transport.abort()
        await asyncio.sleep(0)
        await self._resolver.stop()
        self._wheel.stop()
        if self._certificates is not None:
            self._certificates.cancel()
        for cluster in self.snapshot.clusters.values():
            cluster.close()

    def _shadows(self) -> list[Shadow]:
        return [shadow for mirror in self.snapshot.mirrors for shadow in mirror.live]

    def reload_certificates(self) -> None:
        """Use the certificate files as they are now."""
        for listener in self._listeners:
            listener.reload_certificate()

    async def _watch_certificates(self) -> None:
        while True:
            await asyncio.sleep(_CERTIFICATE_CHECK_S)
            for listener in self._listeners:
                listener.reload_certificate(only_if_changed=True)

    # --- what others see ---

    @property
    def loop_lag_s(self) -> float:
        """How late the loop's tick came at worst since this was last read."""
        lag_s, self._wheel.worst_lag_s = self._wheel.worst_lag_s, 0.0
        return lag_s

    def report(self) -> Report:
        """Read every counter (see `telemetry.metrics.FAMILIES`)."""
        report = census.report(self.snapshot, self._stats)
        if self._access_log is not None:
            report["access_log_dropped_total"] = {(): self._access_log.dropped}
        report["task_failures_total"] = {(name,): count for name, count in tasks.failures.items()}
        report["worker_loop_lag_seconds"] = {(): self.loop_lag_s}
        return report

    def clusters(self) -> list[dict[str, object]]:
        """One row per cluster."""
        return census.clusters(self.snapshot)

    def mirrors(self) -> list[dict[str, object]]:
        """One row per mirror."""
        return census.mirrors(self.snapshot)
