"""The admin server's listeners: one with everything, one with only what probes and scrapers need."""

from __future__ import annotations

import ipaddress
import logging
import socket

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from mirror_proxy.admin import changes, guard, views
from mirror_proxy.admin.connections import REASONS, Connections, timed
from mirror_proxy.admin.interface import ProxyInterface
from mirror_proxy.admin.page.live import LIVE, Live
from mirror_proxy.admin.scrapes import Scrapes
from mirror_proxy.admin.work_thread import CHANGES, DIFFERENCES, VIEWS, WorkThread
from mirror_proxy.telemetry.event import limited
from mirror_proxy.telemetry.metrics import Report

_CLOSE_S = 1.0
_LISTENERS = ("admin", "metrics")
#: The kinds of work that threads do, one thread for each.
_KINDS = {VIEWS: "views", CHANGES: "the answers of changes", DIFFERENCES: "differences"}


class AdminListener:
    """One open listener; closing it closes its socket too."""

    def __init__(self, sock: socket.socket, runner: web.AppRunner, connections: Connections) -> None:
        self._sock = sock
        self._runner = runner
        self._connections = connections

    async def close(self) -> None:
        """Stop accepting, and finish; a client must read its response within a second."""
        self._connections.close()
        self._sock.close()
        await self._runner.cleanup()


class AdminServer:
    """Serves `proxy` on sockets that listen already."""

    def __init__(self, proxy: ProxyInterface) -> None:
        self._proxy = proxy
        self._scrapes = Scrapes(proxy)
        self._threads = {key: WorkThread(what) for key, what in _KINDS.items()}
        self._connections: dict[str, Connections] = {}
        self._ended = {name: dict.fromkeys(REASONS, 0) for name in _LISTENERS}

    async def open(self, sock: socket.socket) -> AdminListener:
        """Open the listener with all paths."""
        return await self._open("admin", sock, views.PAGES, changes.CHANGES)

    async def open_probes(self, sock: socket.socket) -> AdminListener:
        """Open the listener with the paths of `views.PROBES` only."""
        return await self._open("metrics", sock, views.PROBES, ())

    def report(self) -> Report:
        """Return the metrics of connections."""
        return {
            "admin_connections_active": {(name,): len(some) for name, some in self._connections.items()},
            "admin_connections_ended_total": {
                (name, reason): count
                for name, ended in self._ended.items()
                for reason, count in ended.items()
                if name in self._connections
            },
        }

    def close(self) -> None:
        """Start no more work in threads."""
        self._scrapes.close()
        for thread in self._threads.values():
            thread.close()

    async def _open(
        self,
        listener: str,
        sock: socket.socket,
        pages: tuple[views.Page, ...],
        taken: tuple[changes.Change, ...],
    ) -> AdminListener:
        is_local = ipaddress.ip_address(sock.getsockname()[0]).is_loopback
        guards = (guard.explain, guard.refuse_foreign_host) if is_local else (guard.explain,)
        app = web.Application(middlewares=(timed, *guards), client_max_size=guard.MAX_BODY_BYTES)
        app[guard.PROXY] = self._proxy
        app[guard.IS_LOCAL] = is_local
        app[views.SCRAPES] = self._scrapes
        for kind, thread in self._threads.items():
            app[kind] = thread
        app[LIVE] = live = Live(self._proxy)
        app.on_shutdown.append(live.close)
        for path, page, _ in pages:
            if page is not None:
                app.router.add_get(path, page)
        for method, path, change in taken:
            app.router.add_route(method, path, guard.guarded(change))
        runner = web.AppRunner(app, access_log=None, logger=_aiohttp_log, shutdown_timeout=_CLOSE_S)
        await runner.setup()
        assert runner.server is not None  # noqa: S101 - setup() has made it
        connections = Connections(sock, runner.server, self._ended[listener])
        self._connections[listener] = connections
        return AdminListener(sock, runner, connections)


class _AiohttpRecords(logging.Filter):
    """Rewrites the records of aiohttp's server as events of our log, limited in number.

    A traceback stays only where a handler of ours failed.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Rewrite `record` (logging): a client can send invalid requests without end."""
        error = record.exc_info[1] if record.exc_info else None
        if isinstance(error, HttpProcessingError):
            record.exc_info = None
        record.msg = limited("admin request failed", error=error or record.getMessage())
        record.args = ()
        return True


_aiohttp_log = logging.getLogger(__name__)
_aiohttp_log.addFilter(_AiohttpRecords())
