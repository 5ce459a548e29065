"""Accept clients on a socket that somebody else owns; with TLS, re-read the certificate when it changes."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import ssl
from pathlib import Path

from proxy import tasks
from proxy.config.model import ListenerTls
from proxy.downstream.connection import DownstreamConnection
from proxy.downstream.door import Door

_log = logging.getLogger(__name__)


class DownstreamListener:
    """One listening socket of one worker."""

    def __init__(self, sock: socket.socket, door: Door, tls: ListenerTls | None) -> None:
        self._sock = sock
        self._door = door
        self._tls = tls
        self._context = server_context(tls) if tls else None
        self._stamp = _stamp(tls)
        self._handshake_s = door.limits.head_timeout_s if tls else None
        self._server: asyncio.AbstractServer | None = None
        self._late: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Begin to accept."""
        self._server = await asyncio.get_running_loop().create_server(
            self._connection, sock=self._sock, ssl=self._context, ssl_handshake_timeout=self._handshake_s
        )

    def stop(self) -> None:
        """Accept who is connected already, and no more; connections live on.

        Those that the kernel has queued would be reset with the socket, if nobody else has it.
        """
        if self._server is None:
            return
        while True:
            try:
                client, _ = self._sock.accept()
            except OSError:  # nobody is left
                break
            client.setblocking(False)
            self._late.append(tasks.spawn(self._welcome(client), "late-connection"))
        self._server.close()

    @property
    def is_busy(self) -> bool:
        """Tell whether one who was accepted at the end is not a connection yet."""
        return any(not welcoming.done() for welcoming in self._late)

    async def _welcome(self, client: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        with contextlib.suppress(OSError):  # it may be gone, or its handshake fail
            await loop.connect_accepted_socket(
                self._connection, client, ssl=self._context, ssl_handshake_timeout=self._handshake_s
            )

    def _connection(self) -> DownstreamConnection:
        return DownstreamConnection(self._door, b"https" if self._tls else b"http")

    def reload_certificate(self, *, only_if_changed: bool = False) -> None:
        """Use the certificate files as they are now, for new handshakes; a bad pair keeps the old one."""
        if self._tls is None or self._context is None:
            return
        stamp = _stamp(self._tls)
        if only_if_changed and stamp == self._stamp:
            return
        try:
            server_context(self._tls)  # a half-written pair must not damage the one in use
            self._context.load_cert_chain(self._tls.cert_file, self._tls.key_file)
        except (OSError, ssl.SSLError) as error:
            _log.error("certificate %s not reloaded: %s", self._tls.cert_file, error)
        else:
            self._stamp = stamp
            _log.info("certificate %s reloaded", self._tls.cert_file)


def server_context(tls: ListenerTls) -> ssl.SSLContext:
    """Build a listener's TLS context; raises `OSError` or `ssl.SSLError` for bad files."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    for path in filter(None, (tls.cert_file, tls.key_file, tls.client_ca_file)):
        Path(path).open("rb").close()  # ssl's own error does not name the file
    context.load_cert_chain(tls.cert_file, tls.key_file)
    if tls.client_ca_file:
        context.load_verify_locations(tls.client_ca_file)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def _stamp(tls: ListenerTls | None) -> tuple[int, ...]:
    """When the files last changed; a ConfigMap or Secret swaps a symlink, which stat follows."""
    if tls is None:
        return ()
    try:
        return tuple(Path(path).stat().st_mtime_ns for path in (tls.cert_file, tls.key_file))
    except OSError:
        return (0,)
