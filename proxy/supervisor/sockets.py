"""Listening sockets, owned by the supervisor so that they outlive any worker.

Each worker slot has its own SO_REUSEPORT socket per listener: closing one would drop the handshakes in its
queue, so a replacement worker takes over the same socket. They are bound here and begin to listen in the
worker: a bound socket gets no connections, so nothing arrives before there is someone to serve it.
"""

from __future__ import annotations

import errno
import os
import socket

from proxy.config.model import Address

_BACKLOG = 128


class StartError(Exception):
    """The proxy cannot start; the text is one plain line that says why and what to do."""


def bind_slots(addresses: list[Address], slots: int) -> list[list[socket.socket]]:
    """Bind one socket per slot and address; returns, for each slot, its sockets in the addresses' order.

    Port 0 takes any free port, the same for every slot. Raises `StartError`.
    """
    by_address = [_bind_shared(address, slots) for address in addresses]
    return [list(sockets) for sockets in zip(*by_address, strict=True)]


def listen(address: Address, what: str) -> socket.socket:
    """Return a listening socket of the supervisor's own, for `what` (a word or two for the error)."""
    sock = _bind(address, what, share=False)
    sock.listen(_BACKLOG)
    return sock


def bound_address(sock: socket.socket) -> Address:
    """Return where `sock` is bound: the port is known even if 0 was asked for."""
    host, port = sock.getsockname()[:2]
    return Address(host, port)


def _bind_shared(address: Address, slots: int) -> list[socket.socket]:
    if address.port:  # SO_REUSEPORT alone would let us share the port with another process of the same user
        _bind(address, "listener", share=False).close()
    sockets = [_bind(address, "listener", share=True)]
    taken = Address(address.host, bound_address(sockets[0]).port)
    sockets += [_bind(taken, "listener", share=True) for _ in range(slots - 1)]
    return sockets


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
