"""The admin server's listeners: after a change of an address, the new listener opens before the old one closes."""

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
        """Close the sockets."""
        for sock in self.sockets.values():
            sock.close()


class AdminListeners:
    """`admin`, and `metrics` where one is configured."""

    def __init__(self, proxy: ProxyInterface) -> None:
        self._server = AdminServer(proxy)
        self._listeners: dict[str, AdminListener] = {}
        self._addresses: dict[str, Address] = {}
        self.admin = Address("", 0)  # as bound

    def bind(self, settings: Settings) -> BoundSockets:
        """Bind the addresses that have no listener yet; raises `StartError`, and binds none then."""
        bound = BoundSockets()
        try:
            for name, address in _addresses(settings).items():
                if self._addresses.get(name) != address:
                    bound.sockets[name] = sockets.listen(address, name)
        except StartError:
            bound.close()
            raise
        return bound

    async def open(self, bound: BoundSockets, settings: Settings) -> None:
        """Open the listeners of the bound sockets, and close those that `settings` lack."""
        wanted = _addresses(settings)
        unwanted = [
            listener
            for name, listener in self._listeners.items()
            if name in bound.sockets or name not in wanted
        ]
        self._listeners = {
            name: listener for name, listener in self._listeners.items() if listener not in unwanted
        }
        for name, sock in bound.sockets.items():
            if name == "admin":
                self.admin = sockets.bound_address(sock)
                self._listeners[name] = await self._server.open(sock)
            else:
                self._listeners[name] = await self._server.open_probes(sock)
        self._addresses = wanted
        for listener in unwanted:  # not awaited: the request for this reload may use it
            tasks.spawn(listener.close(), "close-listener")

    def report(self) -> Report:
        """Return the metrics of all listeners' connections."""
        return self._server.report()

    async def close(self) -> None:
        """Close all listeners."""
        for listener in self._listeners.values():
            await listener.close()
        self._server.close()


def _addresses(settings: Settings) -> dict[str, Address]:
    wanted = {"admin": settings.admin.address}
    return {**wanted, "metrics": settings.metrics} if settings.metrics is not None else wanted
