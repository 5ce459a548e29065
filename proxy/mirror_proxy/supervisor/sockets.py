"""Sockets of listeners, owned by the supervisor so that they outlive any worker.

Each worker slot has its own SO_REUSEPORT socket per listener. Closing it would drop the handshakes in its queue, so a
replacement worker takes over the same socket. The supervisor binds sockets and workers listen on them: a bound socket
gets no connections, so no connection arrives before a worker can serve it.

If the number of workers is reduced, the remaining workers take over the sockets of the others: no socket is closed
while its listener is configured. All slots share the one socket of a listener on a unix socket.
"""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Sequence
from dataclasses import dataclass

from mirror_proxy.config.model import Address
from mirror_proxy.supervisor.unix_socket import UnixSocket, UnixSocketError

_BACKLOG = 128

#: For each listener, in their order, the sockets that one slot's worker accepts on.
SlotSockets = tuple[tuple[socket.socket, ...], ...]
#: A listener's configured address, and its index among the listeners of that address (port 0 may occur twice).
_ListenerKey = tuple[Address, int]


class StartError(Exception):
    """The proxy cannot start; the text has the reason and the next step in one line."""


@dataclass(frozen=True, slots=True)
class SocketAllocation:
    """The sockets of each slot for one configuration; `fresh` are those that were bound for it."""

    slots: list[SlotSockets]
    fresh: list[socket.socket]
    bound: dict[_ListenerKey, list[socket.socket]]
    addresses: list[Address]


class SocketPool:
    """The sockets of all listeners; `addresses` are their bound addresses, with the port in place of 0."""

    def __init__(self) -> None:
        self._bound: dict[_ListenerKey, list[socket.socket]] = {}
        self.addresses: list[Address] = []

    def allocate(self, addresses: Sequence[Address], slots: int) -> SocketAllocation:
        """Bind the sockets that `slots` workers on `addresses` lack; raises `StartError`, and binds nothing then.

        Pass the result to `commit` or `release`.
        """
        fresh: list[socket.socket] = []
        bound: dict[_ListenerKey, list[socket.socket]] = {}
        try:
            for number, address in enumerate(addresses):
                key = (address, addresses[:number].count(address))
                have = list(self._bound.get(key, ()))
                bound[key] = have
                while len(have) < (1 if address.is_unix else slots):
                    have.append(_bind_another(address, have))
                    fresh.append(have[-1])
        except StartError:
            _close(fresh)
            raise
        shares = [_share_out(sockets, slots) for sockets in bound.values()]
        where = [bound_address(sockets[0]) for sockets in bound.values()]
        return SocketAllocation([tuple(mine) for mine in zip(*shares, strict=True)], fresh, bound, where)

    def commit(self, allocation: SocketAllocation) -> None:
        """Make `allocation` the present one; the sockets of listeners that it lacks are closed."""
        for key, sockets in self._bound.items():
            if key not in allocation.bound:
                _close(sockets)
        self._bound = allocation.bound
        self.addresses = allocation.addresses

    @staticmethod
    def release(allocation: SocketAllocation) -> None:
        """Close the sockets that were bound for `allocation`."""
        _close(allocation.fresh)

    def close(self) -> None:
        """Close all sockets."""
        for sockets in self._bound.values():
            _close(sockets)


def listen(address: Address, what: str) -> socket.socket:
    """Return a listening socket of the supervisor itself; `what` names it in an error."""
    sock = _bind(address, what, share=False)
    sock.listen(_BACKLOG)
    return sock


def bound_address(sock: socket.socket) -> Address:
    """Return the bound address of `sock`, with its real port."""
    if isinstance(sock, UnixSocket):
        return sock.address
    host, port = sock.getsockname()[:2]
    return Address(host, port)


def _share_out(sockets: list[socket.socket], slots: int) -> list[tuple[socket.socket, ...]]:
    """Give each slot the same number of sockets of its own; all slots share the remaining ones."""
    whole = len(sockets) // slots * slots
    return [tuple(sockets[slot:whole:slots] + sockets[whole:]) for slot in range(slots)]


def _close(sockets: Sequence[socket.socket]) -> None:
    for sock in sockets:
        sock.close()


def _bind_another(address: Address, have: Sequence[socket.socket]) -> socket.socket:
    if address.is_unix:
        try:
            return UnixSocket(address)
        except UnixSocketError as error:
            raise StartError(f"listener {address}: {error}") from error
    if have:
        return _bind(Address(address.host, bound_address(have[0]).port), "listener", share=True)
    if address.port:  # SO_REUSEPORT alone would let us share the port with another process of the same user
        _bind(address, "listener", share=False).close()
    return _bind(address, "listener", share=True)


def _bind(address: Address, what: str, *, share: bool) -> socket.socket:
    family, where = _resolve(address, what)
    try:
        sock = socket.socket(family, socket.SOCK_STREAM)
    except OSError as error:
        raise StartError(f"{what} {address}: {error.strerror}") from error
    sock.setblocking(False)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if share:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    if family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)  # Envoy's default (ipv4_compat: false)
    try:
        sock.bind(where)
    except OSError as error:
        sock.close()
        raise StartError(f"{what} {address}: {_advice(error)}") from error
    return sock


def _resolve(address: Address, what: str) -> tuple[int, tuple[str, int]]:
    try:
        found = socket.getaddrinfo(
            address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
    except socket.gaierror as error:
        raise StartError(f"{what} {address}: the host does not resolve: {error.strerror}") from error
    family, _, _, _, where = found[0]
    return family, (str(where[0]), int(where[1]))


def _advice(error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return "the port is already in use; stop what uses it or choose another port"
    if error.errno == errno.EACCES:
        return "no permission to bind; ports below 1024 need CAP_NET_BIND_SERVICE, or choose a higher port"
    if error.errno == errno.EADDRNOTAVAIL:
        return "no interface of this machine has that address; 0.0.0.0 or [::] means all"
    return os.strerror(error.errno) if error.errno else str(error)
