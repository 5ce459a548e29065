"""One worker's data plane: listeners, snapshot, resolver and clock, without processes or signals."""

from __future__ import annotations

import asyncio
import gc
import socket
from collections.abc import Iterable, Iterator, Sequence
from time import monotonic, perf_counter

from mirror_proxy import tasks
from mirror_proxy.clock import DeadlineWheel
from mirror_proxy.comparison.capture.pair_sender import PairSender
from mirror_proxy.config.model import Config, ConfigPart, Listener, Settings
from mirror_proxy.descriptors import Descriptors, limit_of_process, share_out
from mirror_proxy.downstream.connection import DownstreamConnection
from mirror_proxy.downstream.listener import DownstreamListener
from mirror_proxy.downstream.state import DownstreamState
from mirror_proxy.exchange.exchange import Exchange
from mirror_proxy.flow import Backlog
from mirror_proxy.http1.request import RequestHead
from mirror_proxy.mirror.loop import LoopGuard
from mirror_proxy.mirror.shedding import Shedding
from mirror_proxy.overrides import Override
from mirror_proxy.snapshot.snapshot import Compiler, Snapshot
from mirror_proxy.snapshot.state import Components, WorkerState
from mirror_proxy.telemetry import log
from mirror_proxy.telemetry.access_log import AccessLog
from mirror_proxy.telemetry.metrics import Report, merge
from mirror_proxy.telemetry.span import Span
from mirror_proxy.telemetry.stats import DownstreamStats
from mirror_proxy.telemetry.tracer import Tracer
from mirror_proxy.upstream.cluster import UpstreamCluster
from mirror_proxy.upstream.resolver import Resolver
from mirror_proxy.worker import counters
from mirror_proxy.worker.records import AccessRecords
from mirror_proxy.worker.spans import ExchangeSpans

_CERTIFICATE_CHECK_S = 5.0
_FINISH_POLL_S = 0.02
_FIRST_CHECKS_S = 2.0
#: How long a worker that serves compiles, or reads its counters, at a stretch (`python -m benchmarks --scenario
#: reload_1000`).
SLICE_S = 0.0003


async def _first_checks(clusters: Iterable[UpstreamCluster]) -> None:
    """Wait until the first health check of every endpoint has ended, or two seconds (Envoy's warming)."""
    try:
        async with asyncio.timeout(_FIRST_CHECKS_S):
            for cluster in clusters:
                await cluster.checked()
    except TimeoutError:
        pass


async def in_slices(steps: Iterable[object]) -> None:
    """Take all steps, and let the loop have its turn whenever a slice is over."""
    end = perf_counter() + SLICE_S
    for _ in steps:
        if perf_counter() >= end:
            await asyncio.sleep(0)
            end = perf_counter() + SLICE_S


class DataPlane:
    """Serves on given sockets until `finish`."""

    def __init__(
        self,
        config: Config,
        *,
        generation: int,
        mark_key: bytes,
        access_log: AccessLog | None,
        pairs: socket.socket | None = None,
    ) -> None:
        """`pairs`, which does not block, leads to the comparer; it is closed at the end. None: nothing is compared."""
        settings = config.settings
        self._wheel = DeadlineWheel()
        backlog = Backlog()
        self._stats = DownstreamStats()
        self._loops = LoopGuard(mark_key)
        self._access_log = access_log
        self._access_records = AccessRecords(access_log) if access_log is not None else None
        self._tracer = Tracer()
        self._listeners: list[DownstreamListener] = []
        self._certificates: asyncio.Task[None] | None = None
        on_shadow_end = self._access_records.on_shadow if self._access_records is not None else None
        self._descriptors = Descriptors(share_out(limit_of_process(), settings.limits.max_connections))
        self._state = WorkerState(
            self._wheel, backlog, mark_key, on_shadow_end, PairSender(pairs), self._descriptors
        )
        self._shedding = Shedding(settings.shed)
        self._wheel.observer = self._on_tick
        self._prepared: Snapshot | None = None
        self.snapshot = self._blank(settings, generation)
        compiler = Compiler(self.snapshot, self._state)
        for _ in compiler.add((config.clusters, config.virtual_hosts)):
            pass
        compiler.finish()
        self._state.adopt(self.snapshot.components, settings)
        self._downstream = DownstreamState(
            self._serve, settings, self._wheel, backlog, self._stats, self._descriptors
        )
        self._resolver = Resolver(self._state.clusters.values())

    def _serve(
        self, client: DownstreamConnection, head: RequestHead, data: bytes, end: bool
    ) -> Exchange | None:
        """Handle a request of a client connection: begin an exchange on the snapshot in force."""
        exchange = Exchange(self.snapshot, client, head)
        exchange.begin(data, end)
        return None if exchange.done else exchange

    def _on_tick(self, late_s: float, now: float) -> None:
        self._state.budget.is_shedding = self._shedding.observe(late_s, now, self._state.mirrors.values())

    def _blank(self, settings: Settings, generation: int) -> Snapshot:
        snapshot = Snapshot(settings, generation, self._loops, self._stats)
        snapshot.on_finish = self._access_records.on_exchange if self._access_records is not None else None
        if settings.tracing.otlp_endpoint:
            snapshot.tracer = self._tracer
            snapshot.on_finish = ExchangeSpans(self._tracer, snapshot.on_finish).on_exchange
        return snapshot

    # --- another configuration ---

    async def prepare(self, generation: int, settings: Settings, parts: Iterable[ConfigPart]) -> None:
        """Compile `parts` while the present snapshot serves, in slices too short to delay a request.

        Each part that is taken, and each step of compiling it, has to fit into a slice. Raises `OSError` when a
        TLS file cannot be used. The first query of each new name, and the first health check of each endpoint of a new
        cluster, has ended when it returns.
        """
        snapshot = self._blank(settings, generation)
        gc.disable()  # a collection would walk everything that is new, in one go
        try:
            await in_slices(self._compile(snapshot, parts))
        finally:
            gc.freeze()
            gc.enable()
        await self._resolver.heard()
        self._prepared = snapshot
        await in_slices(map(self._resolver.introduce, snapshot.components.fresh))
        await _first_checks(snapshot.components.fresh)

    async def commit(self, overrides: Iterable[Override]) -> None:
        """Put what was prepared into force, steered by `overrides`: requests that begin from now on use it.

        Returns when clusters that stay have their new limits and endpoints too.
        """
        snapshot, self._prepared = self._prepared, None
        assert snapshot is not None  # noqa: S101 - commit follows prepare
        snapshot.steer(overrides)
        gone = self._state.adopt(snapshot.components, snapshot.settings)
        self._downstream.apply(snapshot.settings)
        self._shedding.limits = snapshot.settings.shed
        self.snapshot = snapshot
        await in_slices(self._settle(snapshot.components, gone))

    def _settle(self, components: Components, gone: Iterable[UpstreamCluster]) -> Iterator[None]:
        yield
        self._resolver.follow(components.clusters.values(), introduce=False)
        yield
        for cluster, config in components.updates:
            cluster.update(config)
            self._resolver.introduce(cluster)
            yield
        for cluster in components.fresh:  # a name may have changed since it was prepared
            self._resolver.introduce(cluster)
            yield
        for cluster in gone:
            cluster.close()
            yield

    def abandon(self) -> None:
        """Drop what was prepared; names that only it needs are resolved until the next commit."""
        if self._prepared is not None:
            for cluster in self._prepared.components.fresh:
                cluster.close()
            self._prepared = None

    def _compile(self, snapshot: Snapshot, parts: Iterable[ConfigPart]) -> Iterator[None]:
        compiler = Compiler(snapshot, self._state)
        for part in parts:
            for cluster in part[0]:
                self._resolver.want(cluster)
            yield from compiler.add(part)
        compiler.finish()

    def steer(self, overrides: Iterable[Override]) -> None:
        """Have exactly `overrides` in force from now on."""
        self.snapshot.steer(overrides)

    # --- life ---

    async def start(self, sockets: Sequence[tuple[Listener, socket.socket]]) -> None:
        """Resolve names and begin to accept; raises `OSError` for unusable TLS files."""
        self._wheel.start(asyncio.get_running_loop())
        self._listeners = [DownstreamListener(sock, self._downstream, listener) for listener, sock in sockets]
        await self._resolver.start()
        await _first_checks(self._state.clusters.values())
        for listener in self._listeners:
            listener.start()
        if any(listener.tls for listener, _ in sockets):
            self._certificates = tasks.spawn(self._watch_certificates(), "certificates")

    def stop_accepting(self) -> None:
        """Take no new connection."""
        for listener in self._listeners:
            listener.stop()

    def begin_drain(self) -> None:
        """From now on responses say `Connection: close` and idle connections are closed; nothing is mirrored."""
        self._downstream.draining = True
        for connection in list(self._downstream.connections):
            connection.drain()

    async def finish(self, timeout_s: float) -> None:
        """Wait until nothing is in flight, shadows included; after `timeout_s`, cut off what is left."""
        until = monotonic() + timeout_s
        while self._is_busy() and monotonic() < until:  # noqa: ASYNC110 - only at the end
            await asyncio.sleep(_FINISH_POLL_S)
        for shadow in self._state.shadows():
            shadow.abort("draining")
        for connection in list(self._downstream.connections):
            connection.transport.abort()
        await asyncio.sleep(0)
        await self._resolver.stop()
        self._wheel.stop()
        if self._certificates is not None:
            self._certificates.cancel()
        self._state.close()

    def _is_busy(self) -> bool:
        return self._downstream.is_busy or bool(self._state.shadows())

    def reload_certificates(self) -> None:
        """Use the certificate files as they are now."""
        for listener in self._listeners:
            if listener.tls is not None:
                listener.tls.reload()

    async def _watch_certificates(self) -> None:
        while True:
            await asyncio.sleep(_CERTIFICATE_CHECK_S)
            for listener in self._listeners:
                if listener.tls is not None:
                    listener.tls.reload(only_if_changed=True)

    # --- what others see ---

    @property
    def loop_lag_s(self) -> float:
        """How late the loop's tick came at worst since this was last read."""
        lag_s, self._wheel.worst_lag_s = self._wheel.worst_lag_s, 0.0
        return lag_s

    @property
    def captured_bytes(self) -> int:
        """What is kept in memory of answers that are to be compared."""
        return self._state.pair_sender.used_bytes

    def report(self) -> Report:
        """Read every counter (see `telemetry.metrics.FAMILIES`)."""
        report: Report = {}
        for part in self.report_parts():
            merge(report, part)
        return report

    def report_parts(self) -> Iterator[Report]:
        """Read the same in parts, between which the loop may turn; the last is about this worker itself."""
        yield from counters.parts(self._state, self.snapshot.generation, self._stats)
        yield from counters.steered(self.snapshot.components)
        yield self._own()

    def _own(self) -> Report:
        report: Report = {}
        if self._access_log is not None:
            report["access_log_dropped_total"] = {(): self._access_log.dropped}
        report["descriptors_exhausted_total"] = {(): self._descriptors.exhausted}
        dropped = self._state.pair_sender.dropped
        report["compare_dropped_total"] = {(reason,): count for reason, count in dropped.items()}
        report["task_failures_total"] = {(name,): count for name, count in tasks.failures.items()}
        report["log_dropped_total"] = {(): log.dropped()}
        for listener in self._listeners:
            if listener.tls is not None:
                merge(report, counters.expiries(listener.tls.expiries()))
        report["worker_loop_lag_seconds"] = {(): self.loop_lag_s}
        report["workers_shedding"] = {(): int(self._shedding.is_on)}
        if self._tracer.dropped:
            report["spans_total"] = {("dropped",): self._tracer.dropped}
        return report

    def take_spans(self) -> tuple[Span, ...]:
        """Hand over the spans that have ended since the last time."""
        return self._tracer.take()

    def clusters(self) -> list[counters.Row]:
        """One row per cluster."""
        return [row for rows in self.cluster_parts() for row in rows]

    def cluster_parts(self) -> Iterator[list[counters.Row]]:
        """Give the same in parts."""
        return counters.clusters(self._state)

    def mirrors(self) -> list[counters.Row]:
        """One row per mirror."""
        return [row for rows in self.mirror_parts() for row in rows]

    def mirror_parts(self) -> Iterator[list[counters.Row]]:
        """Give the same in parts."""
        return counters.mirrors(self.snapshot.components)
