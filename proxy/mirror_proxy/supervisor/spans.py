"""Queue spans, and export them to the collector in batches from one thread.

A collector that is slow or down costs spans, which are counted, and nothing else. `otlp` is imported only if a
collector is configured: it needs the extra `[otel]`.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import deque
from typing import TYPE_CHECKING

from mirror_proxy.config.model import Config, Settings
from mirror_proxy.supervisor.machine import yield_to_others
from mirror_proxy.supervisor.sockets import StartError
from mirror_proxy.telemetry.event import event
from mirror_proxy.telemetry.metrics import Report
from mirror_proxy.telemetry.span import Span

if TYPE_CHECKING:
    from mirror_proxy.supervisor.otlp import Exporter

MOST_QUEUED = 8192
_BATCH = 512
_log = logging.getLogger(__name__)


def checked(config: Config) -> Config:
    """Return `config` if its spans can be exported; raises `StartError` as `check` does."""
    check(config.settings)
    return config


def check(settings: Settings) -> None:
    """Raise `StartError` if a collector is configured, and its exporter is not installed or cannot be set up."""
    if settings.tracing.otlp_endpoint:
        _exporter(settings).close()


def _exporter(settings: Settings) -> Exporter:
    try:
        from mirror_proxy.supervisor.otlp import Exporter  # noqa: PLC0415  only this setting needs it

        return Exporter(settings.tracing.otlp_endpoint, settings.name)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "opentelemetry":
            raise
        raise StartError('tracing.otlpEndpoint needs the extra: pip install "mirror-proxy[otel]"') from error
    except ValueError as error:
        raise StartError(f"spans cannot be exported: {error}") from error


class SpanQueue:
    """Queues spans for the collector of `settings`, or of the settings of a later `offer`.

    Raises `StartError` as `check` does.
    """

    def __init__(self, settings: Settings) -> None:
        self._queue: deque[Span] = deque()
        self._target = ("", "")
        self._exporter: Exporter | None = None
        self._thread: threading.Thread | None = None
        self._awake = threading.Event()
        self._is_closing = self._is_failing = False
        # Each counter is written by one thread.
        self._refused = self._exported = self._failed = 0
        self._follow(settings)

    def offer(self, spans: tuple[Span, ...], settings: Settings) -> None:
        """Queue spans for the collector of `settings`; drops those that do not fit, and never waits."""
        self._follow(settings)
        room = MOST_QUEUED - len(self._queue) if self._target[0] else 0
        self._queue.extend(spans[:room])
        self._refused += max(0, len(spans) - room)
        if self._queue:
            self._awake.set()

    def report(self) -> Report:
        """Return the number of spans by what became of them here, without those that workers dropped."""
        if self._thread is None:
            return {}
        return {
            "spans_total": {
                ("exported",): self._exported,
                ("failed",): self._failed,
                ("dropped",): self._refused,
            }
        }

    async def close(self, timeout_s: float) -> None:
        """Export the queued spans within `timeout_s`, and drop the rest."""
        if self._thread is None or self._exporter is None:
            return
        self._is_closing = True
        self._awake.set()
        await asyncio.to_thread(self._thread.join, timeout_s)
        if self._thread.is_alive():
            _log.warning(event("last spans are not exported in time", endpoint=self._exporter.endpoint))
        self._exporter.close()

    def _follow(self, settings: Settings) -> None:
        """Use the collector and name of `settings`, also for spans that are queued already."""
        target = (settings.tracing.otlp_endpoint, settings.name)
        if target == self._target:
            return
        self._target = target
        if not target[0]:
            return
        previous, self._exporter = self._exporter, _exporter(settings)
        if previous is not None:
            previous.close()
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="spans", daemon=True)
            self._thread.start()

    def _run(self) -> None:
        yield_to_others()
        while not self._is_closing:
            self._awake.wait()
            self._awake.clear()
            while self._queue:
                self._export([self._queue.popleft() for _ in range(min(_BATCH, len(self._queue)))])

    def _export(self, spans: list[Span]) -> None:
        exporter = self._exporter
        assert exporter is not None  # noqa: S101 - the thread begins with one
        problem = exporter.export(spans)
        if problem:
            self._failed += len(spans)
        else:
            self._exported += len(spans)
        if problem and not self._is_failing:
            _log.warning(event("spans cannot be exported", endpoint=exporter.endpoint, error=problem))
        elif self._is_failing and not problem:
            _log.info(event("spans are exported again", endpoint=exporter.endpoint, lost=self._failed))
        self._is_failing = problem != ""
