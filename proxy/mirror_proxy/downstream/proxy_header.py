"""Read the PROXY protocol's header of a client connection, before TLS and HTTP."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable
from ipaddress import ip_address, ip_network
from time import monotonic

from mirror_proxy.clock import NEVER, DeadlineWheel
from mirror_proxy.config.model import ProxyProtocol
from mirror_proxy.http1 import proxy_protocol
from mirror_proxy.http1.proxy_protocol import BadProxyHeaderError, ClientAddresses
from mirror_proxy.telemetry.event import event

#: Senders that are set up wrongly must not fill the log.
_LOG_EVERY_S = 10.0

_log = logging.getLogger(__name__)


class ProxySenders:
    """The senders of which a listener requires a header; of a unix socket's clients, all."""

    def __init__(self, config: ProxyProtocol) -> None:
        self._networks = [ip_network(network) for network in config.networks]
        self._next_log = 0.0

    def includes(self, peer: object) -> bool:
        """Return whether the peer of this socket address must send a header."""
        if not isinstance(peer, tuple):
            return True
        address = ip_address(peer[0].partition("%")[0])
        return any(address in network for network in self._networks)

    def on_bad_header(self, peer: object, reason: str) -> None:
        """Log a header that was refused, now and then."""
        if monotonic() >= self._next_log:
            self._next_log = monotonic() + _LOG_EVERY_S
            where = peer[0] if isinstance(peer, tuple) else "unix"
            _log.warning(event("PROXY header is refused", peer=where, reason=reason))


class ProxyHeaderReader:
    """Reads one header, and none of the bytes after it.

    `on_end` is called with whether the client may be served, and with the addresses that the header names; the socket
    of a client that may not is closed. `on_bad_header` is called with the reason where the bytes are no header, or do
    not come in time.
    """

    __slots__ = ("_header", "_loop", "_on_bad_header", "_on_end", "_sock", "_wheel", "alarm", "deadline")

    def __init__(
        self,
        sock: socket.socket,
        wheel: DeadlineWheel,
        timeout_s: float,
        on_end: Callable[[bool, ClientAddresses | None], None],
        on_bad_header: Callable[[str], None],
    ) -> None:
        self.deadline = self.alarm = NEVER
        self._sock = sock
        self._wheel = wheel
        self._on_end = on_end
        self._on_bad_header = on_bad_header
        self._header = b""
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(sock.fileno(), self._on_readable)
        self.limit(timeout_s)

    def limit(self, timeout_s: float) -> None:
        """Allow the header this much more time."""
        self._wheel.set(self, min(self.deadline, monotonic() + timeout_s))

    def on_deadline(self) -> None:
        """Called by the wheel: the header is late."""
        self._refuse("timeout")

    def _on_readable(self) -> None:
        try:
            is_whole = self._read()
            client = proxy_protocol.client_of(self._header) if is_whole else None
        except BadProxyHeaderError as error:
            self._refuse(str(error))
        except BlockingIOError:
            return
        except OSError:  # the client is gone, such as a health check that connects only
            self._end(False)
        else:
            if is_whole:
                self._end(True, client)

    def _read(self) -> bool:
        """Read what has come of the header, or a level-triggered loop would spin; return whether that is all."""
        seen = self._sock.recv(proxy_protocol.MAX_V2_BYTES, socket.MSG_PEEK)
        if not seen:
            raise ConnectionAbortedError
        header = self._header + seen
        size, is_whole = proxy_protocol.belonging(header)
        self._sock.recv(size - len(self._header))
        self._header = header[:size]
        return is_whole

    def _refuse(self, reason: str) -> None:
        self._on_bad_header(reason)
        self._end(False)

    def _end(self, is_good: bool, client: ClientAddresses | None = None) -> None:
        self._wheel.forget(self)
        self._loop.remove_reader(self._sock.fileno())
        if not is_good:
            self._sock.close()
        self._on_end(is_good, client)
