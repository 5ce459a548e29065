"""Connect to upstreams that require a header of the PROXY protocol before TLS and HTTP."""

from __future__ import annotations

import asyncio
import socket

from mirror_proxy.config.model import Address
from mirror_proxy.http1 import proxy_protocol
from mirror_proxy.http1.proxy_protocol import ClientAddresses, ProxyVersion
from mirror_proxy.upstream import unix


async def connect(address: Address, version: ProxyVersion, client: ClientAddresses | None) -> socket.socket:
    """Return a connected socket on which a header that names `client` has been sent; the caller sets a timeout."""
    sock = await unix.connect(address.socket_path) if address.is_unix else await _connect_by_tcp(address)
    try:
        header = without_client(version, sock) if client is None else proxy_protocol.write(version, client)
        await asyncio.get_running_loop().sock_sendall(sock, header)
    except BaseException:
        sock.close()
        raise
    return sock


def without_client(version: ProxyVersion, sock: socket.socket) -> bytes:
    """Return the header of a connection for shadows or a health check, which have no client.

    Version 2 says `LOCAL`, and version 1 names the connection's own ends (Envoy:
    source/extensions/transport_sockets/proxy_protocol/proxy_protocol.cc).
    """
    own, peer = sock.getsockname(), sock.getpeername()
    if version == "V2" or not isinstance(own, tuple):
        return proxy_protocol.write(version, None)
    return proxy_protocol.write(version, ClientAddresses(own[0], own[1], peer[0], peer[1]))


async def _connect_by_tcp(address: Address) -> socket.socket:
    sock = socket.socket(socket.AF_INET6 if ":" in address.host else socket.AF_INET)
    try:
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        await asyncio.get_running_loop().sock_connect(sock, (address.host, address.port))
    except BaseException:
        sock.close()
        raise
    return sock
