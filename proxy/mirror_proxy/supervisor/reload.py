"""Reload the configuration: load it in a thread, put it into force if it is valid, and keep its problems otherwise.

One reload runs at a time. A request during a reload gets the next one, which reads the files after the request.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterator

from mirror_proxy import control
from mirror_proxy.admin.interface import RejectedReload
from mirror_proxy.config.model import Config, Settings
from mirror_proxy.config.watcher import Watcher
from mirror_proxy.supervisor.admin_listeners import AdminListeners
from mirror_proxy.supervisor.comparer import ComparerManager
from mirror_proxy.supervisor.fleet import Fleet
from mirror_proxy.supervisor.machine import lowered
from mirror_proxy.supervisor.sockets import StartError
from mirror_proxy.telemetry.event import event

_log = logging.getLogger(__name__)


class Reload:
    """Puts the configuration that `source` loads into force; if the source raises, nothing changes.

    `keep_overrides` is called when another configuration is in force.
    """

    def __init__(
        self,
        source: Callable[[], Config],
        fleet: Fleet,
        admin_listeners: AdminListeners,
        comparer: ComparerManager,
        keep_overrides: Callable[[], Awaitable[None]],
        watcher: Watcher,
    ) -> None:
        self._source = source
        self._fleet = fleet
        self._admin_listeners = admin_listeners
        self._comparer = comparer
        self._keep_overrides = keep_overrides
        self._watcher = watcher
        self._lock = asyncio.Lock()
        self._requested = asyncio.Event()
        self.refusal: RejectedReload | None = None
        self.failures = 0
        self.since = time.time()  # start of the configuration in force

    def request(self) -> None:
        """Request a reload without waiting for it."""
        self._requested.set()

    async def run(self) -> None:
        """Watch the files, and reload at each change and request."""
        loop = asyncio.get_running_loop()

        def on_change() -> None:
            loop.call_soon_threadsafe(self.request)

        self._watcher.watch_referenced(named_files(self._fleet.generation.config))
        self._watcher.start(on_change)
        while True:
            await self._requested.wait()
            self._requested.clear()
            await self.reload()

    async def reload(self) -> RejectedReload | None:
        """Load the configuration and put it into force; returns when it is in force, or its problems."""
        async with self._lock:
            try:
                await self._reload()
            except Exception as error:  # noqa: BLE001 whatever is wrong, the present configuration stays
                self._refuse(error)
            else:
                self.refusal = None
            return self.refusal

    def _refuse(self, error: Exception) -> None:
        problems = tuple((str(error) or repr(error)).splitlines())
        self.refusal = RejectedReload(problems, time.time())
        self.failures += 1
        number = self._fleet.generation.number
        for problem in problems:
            _log.error(
                event(
                    "reload is refused, the running configuration stays", generation=number, problem=problem
                )
            )

    async def _reload(self) -> None:
        present = self._fleet.generation.config
        config = await asyncio.to_thread(self._source)
        log_warnings(config)
        is_same = config == present and config.settings.is_buffer_given == present.settings.is_buffer_given
        if is_same and not any(cluster.tls for cluster in config.clusters):
            self._fleet.send(control.ReloadCertificates())
            _log.info(event("configuration is unchanged, certificates are read again"))
            return
        if present.settings.mark_key_file != config.settings.mark_key_file:
            raise StartError("the mark key cannot change while running; restart the proxy for that")
        await self._put_into_force(config)

    async def _put_into_force(self, config: Config) -> None:
        bound = self._admin_listeners.bind(config.settings)
        try:
            await self._fleet.put_into_force(config)
        except BaseException:
            bound.close()
            raise
        self.since = time.time()
        await self._comparer.configure(config)
        await self._admin_listeners.open(bound, config.settings)
        await self._keep_overrides()
        self._fleet.send(control.ReloadCertificates())
        self._watcher.watch_referenced(named_files(config))
        _log.info(event("configuration is reloaded", generation=self._fleet.generation.number))
        for line in lowered(config):
            _log.warning(line)


def log_warnings(config: Config) -> None:
    """Log the warnings of a configuration."""
    for warning in config.warnings:
        _log.warning(event("configuration has a warning", problem=warning))


def named_files(config: Config) -> Iterator[str]:
    """Yield the files that settings name: certificates, keys, authorities, revocation lists, an OpenAPI document."""
    if config.settings.compare.openapi:
        yield config.settings.compare.openapi
    yield from _listener_files(config.settings)
    for cluster in config.clusters:
        tls = cluster.tls
        if tls is not None:
            files = (tls.ca_file, tls.cert_file, tls.key_file, tls.crl_file)
            yield from (file for file in files if file is not None)


def _listener_files(settings: Settings) -> Iterator[str]:
    for listener in settings.listeners:
        if listener.tls is not None:
            yield from listener.tls.files()
