"""The admin server's doors: opened at start, and another opened, then the old one closed, when an address changes."""

from __future__ import annotations

import socket
from dataclasses import dataclass, field

from mirror_proxy import tasks
from mirror_proxy.admin.server import AdminServer, Door
from mirror_proxy.admin.subject import Subject
from mirror_proxy.config.model import Address, Settings
from mirror_proxy.supervisor import sockets
from mirror_proxy.supervisor.sockets import StartError
from mirror_proxy.telemetry.metrics import Report


@dataclass(slots=True)
class Bound:
    """Sockets that listen for doors that are not open yet, by the door's name."""

    sockets: dict[str, socket.socket] = field(default_factory=dict)

    def close(self) -> None:
        """Give them up."""
        for sock in self.sockets.values():
            sock.close()


class Doors:
    """`admin`, and `metrics` where one is configured."""

    def __init__(self, subject: Subject) -> None:
        self._server = AdminServer(subject)
        self._open: dict[str, Door] = {}
        self._wanted: dict[str, Address] = {}
        self.admin = Address("", 0)  # where it really is

    def bind(self, settings: Settings) -> Bound:
        """Listen where no door is open yet; raises `StartError`, and listens nowhere then."""
        bound = Bound()
        try:
            for name, address in _addresses(settings).items():
                if self._wanted.get(name) != address:
                    bound.sockets[name] = sockets.listen(address, name)
        except StartError:
            bound.close()
            raise
        return bound

    async def settle(self, bound: Bound, settings: Settings) -> None:
        """Open the doors that were bound for, and close those that are not wanted any more."""
        wanted = _addresses(settings)
        unwanted = [door for name, door in self._open.items() if name in bound.sockets or name not in wanted]
        self._open = {name: door for name, door in self._open.items() if door not in unwanted}
        for name, sock in bound.sockets.items():
            if name == "admin":
                self.admin = sockets.bound_address(sock)
                self._open[name] = await self._server.open(sock)
            else:
                self._open[name] = await self._server.open_probes(sock)
        self._wanted = wanted
        for door in unwanted:  # not waited for: who asked for this may be waiting behind it
            tasks.spawn(door.close(), "close-door")

    def report(self) -> Report:
        """Count the connections of all doors."""
        return self._server.report()

    async def close(self) -> None:
        """Close all."""
        for door in self._open.values():
            await door.close()
        self._server.close()


def _addresses(settings: Settings) -> dict[str, Address]:
    wanted = {"admin": settings.admin.address}
    return {**wanted, "metrics": settings.metrics} if settings.metrics is not None else wanted
