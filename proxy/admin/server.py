"""The admin server's two doors: everything, and only what probes and scrapers need."""

from __future__ import annotations

import ipaddress
import socket

from aiohttp import web

from proxy.admin import guard, views
from proxy.admin.subject import Subject

_CLOSE_S = 1.0


class AdminServer:
    """Serves `subject` on sockets that already listen."""

    def __init__(self, subject: Subject) -> None:
        self._subject = subject
        self._runners: list[web.AppRunner] = []

    async def start(self, everything: socket.socket, probes: socket.socket | None) -> None:
        """Open the doors; `probes` has only what `views.PROBES` names."""
        await self._open(everything, views.PAGES)
        if probes is not None:
            await self._open(probes, views.PROBES)

    async def close(self) -> None:
        """Close both; a client that has not read its answer within a second loses it."""
        for runner in self._runners:
            await runner.cleanup()

    async def _open(self, sock: socket.socket, pages: tuple[views.Page, ...]) -> None:
        is_local = ipaddress.ip_address(sock.getsockname()[0]).is_loopback
        guards = (guard.explain, guard.refuse_foreign_host) if is_local else (guard.explain,)
        app = web.Application(middlewares=guards)
        app[views.SUBJECT] = self._subject
        for path, page, _ in pages:
            app.router.add_get(path, page)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=_CLOSE_S)
        await runner.setup()
        self._runners.append(runner)
        await web.SockSite(runner, sock).start()
