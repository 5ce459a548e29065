"""The admin server's listeners: opened at start; when an address changes, the new one opens before the old closes."""

from __future__ import annotations

import socket
from dataclasses import dataclass, field

from mirror_proxy import tasks
from mirror_proxy.admin.interface import ProxyInterface
from mirror_proxy.admin.server import AdminListener, AdminServer
from mirror_proxy.config.model import Address, Settings
from mirror_proxy.supervisor import sockets
from mirror_proxy.supervisor.sockets import StartError
from mirror_proxy.telemetry.metrics import Report


@dataclass(slots=True)
class BoundSockets:
    """Bound sockets of listeners that are not open yet, by the name of the listener."""

    sockets: dict[str, socket.socket] = field(default_factory=dict)

    def close(self) -> None:
        """Give them up."""
        for sock in self.sockets.values():
            sock.close()


class AdminListeners:
    """`admin`, and `metrics` where one is configured."""

    def __init__(self, proxy: ProxyInterface) -> None:
        self._server = AdminServer(proxy)
        self._open: dict[str, AdminListener] = {}
        self._wanted: dict[str, Address] = {}
        self.admin = Address("", 0)  # where it really is

    def bind(self, settings: Settings) -> BoundSockets:
        """Listen where no listener is open yet; raises `StartError`, and listens nowhere then."""
        bound = BoundSockets()
        try:
            for name, address in _addresses(settings).items():
                if self._wanted.get(name) != address:
                    bound.sockets[name] = sockets.listen(address, name)
        except StartError:
            bound.close()
            raise
        return bound

    async def settle(self, bound: BoundSockets, settings: Settings) -> None:
        """Open the listeners of the bound sockets, and close those that are not wanted any more."""
        wanted = _addresses(settings)
        unwanted = [
            listener for name, listener in self._open.items() if name in bound.sockets or name not in wanted
        ]
        self._open = {name: listener for name, listener in self._open.items() if listener not in unwanted}
        for name, sock in bound.sockets.items():
            if name == "admin":
                self.admin = sockets.bound_address(sock)
                self._open[name] = await self._server.open(sock)
            else:
                self._open[name] = await self._server.open_probes(sock)
        self._wanted = wanted
        for listener in unwanted:  # not waited for: who asked for this may be waiting behind it
            tasks.spawn(listener.close(), "close-door")

    def report(self) -> Report:
        """Count the connections of all listeners."""
        return self._server.report()

    async def close(self) -> None:
        """Close all."""
        for listener in self._open.values():
            await listener.close()
        self._server.close()


def _addresses(settings: Settings) -> dict[str, Address]:
    wanted = {"admin": settings.admin.address}
    return {**wanted, "metrics": settings.metrics} if settings.metrics is not None else wanted
