"""TCP keepalive towards upstreams: the kernel finds a peer that is gone without a word."""

from __future__ import annotations

import math
import socket

from mirror_proxy.config.model import TcpKeepalive

MAX_PROBES = 127  # Linux, include/net/tcp.h: MAX_TCP_KEEPCNT
MAX_SECONDS = 32767  # MAX_TCP_KEEPIDLE and MAX_TCP_KEEPINTVL


def keep_alive(sock: socket.socket, keepalive: TcpKeepalive) -> None:
    """Switch keepalive on for `sock`, with the kernel's own values where none are given (tcp(7); whole seconds).

    The kernel refuses more than it can hold; the most that it takes is set instead.
    """
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value, most in (
        (socket.TCP_KEEPCNT, keepalive.probes, MAX_PROBES),
        (socket.TCP_KEEPIDLE, keepalive.time_s, MAX_SECONDS),
        (socket.TCP_KEEPINTVL, keepalive.interval_s, MAX_SECONDS),
    ):
        if value is not None:
            sock.setsockopt(socket.IPPROTO_TCP, option, min(max(1, math.ceil(value)), most))
