"""TCP keepalive towards upstreams: the kernel finds a peer that is gone without a word."""

from __future__ import annotations

import math
import socket

from proxy.config.model import TcpKeepalive


def keep_alive(sock: socket.socket, keepalive: TcpKeepalive) -> None:
    """Switch keepalive on for `sock`, with the kernel's own values where none are given (tcp(7); whole seconds)."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in (
        (socket.TCP_KEEPCNT, keepalive.probes),
        (socket.TCP_KEEPIDLE, keepalive.time_s),
        (socket.TCP_KEEPINTVL, keepalive.interval_s),
    ):
        if value is not None:
            sock.setsockopt(socket.IPPROTO_TCP, option, max(1, math.ceil(value)))
