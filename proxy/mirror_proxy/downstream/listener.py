"""Accept clients on a given socket."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

from mirror_proxy.config.model import Listener
from mirror_proxy.descriptors import is_exhaustion
from mirror_proxy.downstream.connection import LAST_REQUEST_S, DownstreamConnection
from mirror_proxy.downstream.proxy_header import ProxyHeaderReader, ProxySenders
from mirror_proxy.downstream.refusal import PATIENCE_S, RefusedConnection
from mirror_proxy.downstream.state import MOST_REFUSED, DownstreamState
from mirror_proxy.downstream.tls import ServerTls
from mirror_proxy.http1.proxy_protocol import ClientAddresses

BACKLOG = 128
#: Time without accept after no client could be accepted or refused.
PAUSE_S = 0.05

#: Begins to serve, or to refuse, a client with these addresses; None: those of its socket.
Begin = Callable[[socket.socket, ClientAddresses | None], None]

#: Errors of accept when the client has left the queue, or another worker has accepted it.
_GONE = frozenset({errno.EAGAIN, errno.ECONNABORTED, errno.EINTR, errno.EPROTO})


class DownstreamListener:
    """One listening socket of one worker; raises `OSError` or `ssl.SSLError` for bad TLS files.

    The listener calls accept itself, since libuv's server resets clients when no descriptor is left
    (`uv__emfile_trick`). Here such clients wait in the kernel's queue, as do clients over `MOST_REFUSED`.
    """

    def __init__(self, sock: socket.socket, downstream: DownstreamState, config: Listener) -> None:
        self._sock = sock
        self._downstream = downstream
        self.tls = ServerTls(config.tls) if config.tls else None
        self._senders = ProxySenders(config.proxy_protocol) if config.proxy_protocol else None
        self._headers: set[ProxyHeaderReader] = set()
        self._handshake_s = downstream.limits.head_timeout_s if config.tls else None
        self._loop = asyncio.get_running_loop()
        self._pause: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Start accepting."""
        self._sock.setblocking(False)
        self._sock.listen(BACKLOG)
        self._accept_again()

    def stop(self) -> None:
        """Accept the clients in the kernel's queue, then close the socket; connections stay open.

        The kernel resets queued clients when the last descriptor of the socket is closed.
        """
        self._pause_accepting()
        with contextlib.suppress(OSError):  # the queue is empty
            while True:
                self._take(*self._sock.accept(), self._downstream.make_room())
        self._sock.close()
        for header in self._headers:
            header.limit(LAST_REQUEST_S)

    def _on_client(self) -> None:
        """Accept one client; the loop serves every other ready socket before the next one."""
        downstream = self._downstream
        has_room = downstream.make_room()
        if not has_room and downstream.refused >= MOST_REFUSED:
            self._pause_accepting(PAUSE_S)
            return
        try:
            client, peer = self._sock.accept()
        except OSError as error:
            self._on_accept_failure(error)
        else:
            self._take(client, peer, has_room)

    def _on_accept_failure(self, error: OSError) -> None:
        """Ignore a client that left or that another worker accepted; pause after any other error."""
        if is_exhaustion(error):
            self._downstream.descriptors.on_exhausted("accept")
        if error.errno not in _GONE:
            self._pause_accepting(PAUSE_S)

    def _take(self, client: socket.socket, peer: object, has_room: bool) -> None:
        client.setblocking(False)
        downstream = self._downstream
        downstream.stats.connections += 1
        if has_room:
            downstream.on_accepted()
            begin = self._serve
        else:
            downstream.stats.connections_rejected += 1
            downstream.refused += 1
            begin = self._refuse
        if self._senders is not None and self._senders.includes(peer):
            self._read_proxy_header(client, peer, begin, has_room)
        else:
            begin(client, None)

    def _serve(self, client: socket.socket, addresses: ClientAddresses | None) -> None:
        protocol = partial(self._connection, addresses) if addresses else self._connection
        self._attach(client, protocol, self._downstream.on_attached, self._handshake_s)

    def _refuse(self, client: socket.socket, addresses: ClientAddresses | None) -> None:  # noqa: ARG002 - in place of `_serve`
        protocol = partial(RefusedConnection, self._downstream)
        self._attach(client, protocol, self._on_refusal_begun, PATIENCE_S)

    def _read_proxy_header(
        self,
        client: socket.socket,
        peer: object,
        begin: Begin,
        has_room: bool,
    ) -> None:
        """Read the header that the PROXY protocol has first; then begin with the client that it names."""
        assert self._senders is not None  # noqa: S101 - the caller has asked them

        def on_end(is_good: bool, addresses: ClientAddresses | None) -> None:
            self._headers.discard(header)
            if is_good:
                begin(client, addresses)
            elif has_room:
                self._downstream.on_attached(False)
            else:
                self._downstream.on_refused()

        timeout_s = self._downstream.limits.head_timeout_s if has_room else PATIENCE_S
        header = ProxyHeaderReader(
            client, self._downstream.wheel, timeout_s, on_end, partial(self._senders.on_bad_header, peer)
        )
        self._headers.add(header)

    def _attach(
        self,
        client: socket.socket,
        protocol: Callable[[], asyncio.Protocol],
        on_end: Callable[[bool], None],
        handshake_s: float | None,
    ) -> None:
        context, handshake = None, {}
        if self.tls is not None:
            context, handshake = self.tls.context, {"ssl_handshake_timeout": handshake_s}
        _Attachment(self._loop.connect_accepted_socket(protocol, client, ssl=context, **handshake), on_end)

    def _on_refusal_begun(self, is_connected: bool) -> None:
        if not is_connected:
            self._downstream.on_refused()

    def _connection(self, addresses: ClientAddresses | None = None) -> DownstreamConnection:
        return DownstreamConnection(self._downstream, b"https" if self.tls else b"http", addresses)

    def _pause_accepting(self, for_s: float | None = None) -> None:
        """Stop accepting for `for_s` seconds; None: for good."""
        if self._pause is not None:
            self._pause.cancel()
        self._loop.remove_reader(self._sock.fileno())
        self._pause = self._loop.call_later(for_s, self._accept_again) if for_s is not None else None

    def _accept_again(self) -> None:
        self._pause = None
        self._loop.add_reader(self._sock.fileno(), self._on_client)


class _Attachment:
    """Attaches an accepted socket to the loop, TLS handshake included.

    Runs `connecting`, the coroutine of `connect_accepted_socket`, and calls `on_end` with whether it succeeded.

    A task would cost each connection 14 µs more, half of what accepting a client takes in all.
    """

    __slots__ = ("_connecting", "_on_end")

    def __init__(self, connecting: Coroutine[Any, Any, Any], on_end: Callable[[bool], None]) -> None:
        self._connecting = connecting
        self._on_end = on_end
        self._step()

    def _step(self, _waited_for: asyncio.Future[Any] | None = None) -> None:
        is_over = is_connected = False
        try:
            self._connecting.send(None).add_done_callback(self._step)
        except StopIteration:
            is_over = is_connected = True
        except OSError:  # the client is gone, or its handshake failed
            is_over = True
        except BaseException:
            is_over = True
            raise
        finally:
            if is_over:
                self._on_end(is_connected)
