"""One client connection: steps 1 and 11 of the walk.

Reads requests one at a time (a pipelined one waits its turn), hands each to the handler it was given, feeds
its body, and writes what the exchange answers. It knows nothing of routes, upstreams or mirrors.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from time import monotonic
from typing import Any, cast

from mirror_proxy import flow
from mirror_proxy.clock import NEVER
from mirror_proxy.downstream.state import DownstreamState
from mirror_proxy.downstream.stream import DownstreamStream, DownstreamTunnel
from mirror_proxy.errors import BadMessageError
from mirror_proxy.http1 import framing, serializer
from mirror_proxy.http1.chunked import ChunkedReader
from mirror_proxy.http1.proxy_protocol import ClientAddresses
from mirror_proxy.http1.request import RequestHead, read_request

#: Time for which a client that was refused may keep sending; its bytes are read and dropped.
LINGER_S = 1.0
#: How long a draining worker waits for another request on an idle connection before it closes it.
LAST_REQUEST_S = 1.0

#: What a proxy on a unix socket adds to x-forwarded-for of shadows.
LOOPBACK = b"127.0.0.1"

_ABORT = struct.pack("ii", 1, 0)


class DownstreamConnection(asyncio.Protocol):
    """Owns one client transport."""

    __slots__ = (
        "_addresses", "_buffer", "_chunked", "_empty_bytes", "_has_head_begun", "_head", "_is_full", "_is_last",
        "_left", "_lingering", "_reading", "_ready", "_stream", "_tunnel", "_uploading", "alarm", "bound", "deadline",
        "downstream", "forwarded_lines", "idle_since", "is_authenticated", "is_queued", "local_ip", "peer_ip",
        "scheme", "transport",
    )  # fmt: skip

    def __init__(
        self, downstream: DownstreamState, scheme: bytes, addresses: ClientAddresses | None = None
    ) -> None:
        """`addresses` are the client's where a load balancer sends them; otherwise they are the socket's."""
        self.downstream = downstream
        self.scheme = scheme
        self.deadline = self.alarm = NEVER
        #: Idle upstream connections for this connection only, by cluster; None until the first needs to be.
        self.bound: dict[Any, Any] | None = None
        #: Whether a request has authenticated the connection itself, as NTLM does.
        self.is_authenticated = False
        self.idle_since = 0.0
        self.is_queued = False
        self._buffer = bytearray()  # input that is not processed yet
        self._empty_bytes = 0  # bytes of line ends before the next request
        self._has_head_begun = False
        self._head: RequestHead
        self._chunked: ChunkedReader | None = None
        self._left = 0
        self._stream: DownstreamStream | None = None
        self._tunnel: DownstreamTunnel | None = None
        self._uploading = False
        self._lingering = False
        self._ready = False
        self._is_full = False
        self._is_last = False  # input after the current request was dropped
        self._addresses = addresses
        self.peer_ip = addresses.source.encode() if addresses else b""
        self.local_ip = self.forwarded_lines = b""
        self.transport: asyncio.Transport

    # --- for the exchange ---

    @property
    def local_port(self) -> int:
        """The port the client connected to; of a unix socket the default of the scheme."""
        name = self.transport.get_extra_info("sockname")
        if isinstance(name, tuple):
            port: int = name[1]
            return port
        return 443 if self.scheme == b"https" else 80

    @property
    def addresses(self) -> ClientAddresses | None:
        """Both ends of the connection, as a load balancer sent them or as the socket has them; None: a unix socket."""
        if self._addresses is None:
            peer, own = (self.transport.get_extra_info(name) for name in ("peername", "sockname"))
            if isinstance(peer, tuple) and isinstance(own, tuple):
                self._addresses = ClientAddresses(
                    self.peer_ip.decode(), peer[1], self.local_ip.decode(), own[1]
                )
        return self._addresses

    @property
    def is_idle(self) -> bool:
        """Return whether no byte of a request has arrived, and the last response is written."""
        is_waiting = self._ready and not self._buffer and not self.transport.is_closing()
        return is_waiting and not self.transport.get_write_buffer_size()

    def write(self, data: bytes) -> None:
        """Send bytes of a response."""
        self.transport.write(data)

    def pause(self, reason: int) -> None:
        """Stop reading the client's body."""
        self._reading.pause(reason)

    def resume(self, reason: int) -> None:
        """Clear a reason to pause."""
        self._reading.resume(reason)
        if self._reading.reasons == flow.TURN:
            self.downstream.backlog.add(self)

    def finish(self, keep_alive: bool, *, wants_rest: bool = False) -> None:
        """Take the next request or close, after the response is written.

        `wants_rest`: the stream is given what still arrives of the body while the connection lingers.
        """
        if self._uploading and wants_rest:
            self._linger(wants_rest=True)
            return
        self._stream = None
        if self._uploading or self._is_last:
            self._linger()
        elif not keep_alive:
            self.close()
        else:
            self._await_next()

    def close(self) -> None:
        """Close once everything is written; abort if the client does not read for the idle time."""
        self.transport.close()
        if self.transport.get_write_buffer_size():
            self._expect_progress()

    def break_off(self, *, is_shown: bool) -> None:
        """End a response that cannot be completed.

        If its length or chunks show that it is incomplete (`is_shown`), the part that exists is delivered and the
        connection closed. Otherwise only a reset shows it, which discards bytes in flight.
        """
        self._stream = None
        if is_shown:
            self._linger()
            return
        raw = self.transport.get_extra_info("socket")
        if raw is not None and not self.transport.is_closing():
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _ABORT)
        self.transport.abort()

    def start_tunnel(self, tunnel: DownstreamTunnel) -> None:
        """Hand every further byte to `tunnel`, starting with the bytes that have arrived."""
        self._stream = None
        self._tunnel = tunnel
        self.deadline = NEVER  # the upstream connection's deadline ends an idle tunnel
        self._reading.resume(flow.PIPELINE)
        if self._is_last:  # the first bytes of the tunnel were dropped
            self.transport.abort()
        elif self._buffer:
            self.downstream.heads.drop(self)
            data = bytes(self._buffer)
            self._buffer.clear()
            tunnel.on_downstream_data(data)

    def drain(self) -> None:
        """Close an idle connection soon; a request in flight still gets its response, which is the last."""
        if self._ready and not self._buffer:
            self.downstream.wheel.set(self, min(self.deadline, monotonic() + LAST_REQUEST_S))

    # --- connection callbacks ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by the loop once accepted (and, with TLS, shaken hands)."""
        transport = cast("asyncio.Transport", transport)
        downstream = self.downstream
        self.transport = transport
        self._reading = flow.ReadControl(transport)
        downstream.connections.add(self)
        self.peer_ip = self.peer_ip or _ip(transport.get_extra_info("peername"))
        self.local_ip = _ip(transport.get_extra_info("sockname")) or LOOPBACK
        self.forwarded_lines = b"x-forwarded-proto: %b\r\n" % self.scheme
        if self.peer_ip:
            self.forwarded_lines += b"x-forwarded-for: %b\r\n" % self.peer_ip
        self._ready = True
        self.idle_since = now = monotonic()
        downstream.wheel.set(
            self, now + (LAST_REQUEST_S if downstream.draining else downstream.limits.head_timeout_s)
        )

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        """Called by the loop when the connection is closed, by either side."""
        downstream = self.downstream
        downstream.connections.discard(self)
        downstream.stats.connections_active -= 1
        downstream.wheel.forget(self)
        self._ready = False
        self._buffer.clear()
        downstream.heads.drop(self)
        for connection in [*(self.bound or {}).values()]:
            connection.close()
        if self._stream is not None:
            stream, self._stream = self._stream, None
            stream.on_client_gone()
        elif self._tunnel is not None:
            tunnel, self._tunnel = self._tunnel, None
            tunnel.on_client_gone()

    def eof_received(self) -> bool:
        """Handle the client's FIN: outside a tunnel it has left, as Envoy sees it."""
        return self._tunnel is not None and self._tunnel.on_downstream_eof()

    def data_received(self, data: bytes) -> None:
        """Called by the loop with the bytes of one read."""
        if self._ready:
            end = data.find(framing.END_OF_HEAD) + 4
            is_simple = 4 <= end <= self.downstream.limits.max_head_bytes and not data.startswith(
                framing.CRLF
            )
            if is_simple and not (
                self._buffer or self._empty_bytes
            ):  # a whole head in one read, as most come
                self._on_head(data if end == len(data) else data[:end], data, end)
            else:
                # Not searched again, or a head that comes byte by byte would cost the square of its size.
                searched = max(len(self._buffer) - 3, 0)
                self._buffer += data
                self._read_buffered_head(searched)
        elif self._uploading and not self._buffer:
            self._read_body(data)
        elif self._lingering and not self._uploading:
            return
        elif self._tunnel is not None:
            self._tunnel.on_downstream_data(data)
        else:
            self._keep(data, 0)

    # --- flow control callbacks ---

    def pause_writing(self) -> None:
        """Called by the transport above its high-water mark."""
        self._is_full = True
        self._expect_progress()
        target = self._stream or self._tunnel
        if target is not None:
            target.on_client_pressure(True)

    def resume_writing(self) -> None:
        """Called by the transport below its low-water mark."""
        self._is_full = False
        if self._lingering:
            self.downstream.wheel.set(self, monotonic() + LINGER_S)
        elif not self._uploading and not self._ready:
            self.deadline = NEVER
        target = self._stream or self._tunnel
        if target is not None:
            target.on_client_pressure(False)
        elif not (self._ready or self._lingering or self.transport.is_closing()):
            self._await_next()

    # --- backlog callback ---

    def on_turn(self) -> None:
        """Called by the backlog: process the next slice of a body, or the next pipelined request."""
        if self.transport.is_closing() or self._reading.reasons & (flow.PEER_FULL | flow.CONNECTING):
            return
        if self._uploading:
            self._read_body(self._buffer)
        elif (
            self._stream is None
            and self._tunnel is None
            and not (self._ready or self._lingering or self._is_full)
        ):
            self._next()

    # --- clock callback ---

    def on_deadline(self) -> None:
        """Called by the wheel: a head is late, a connection idle, or a stream stuck."""
        target = self._stream or self._tunnel
        if self._lingering:
            self.transport.abort()
        elif self._uploading and self._reading.reasons:
            self._expect_progress()  # reading is paused, so the client cannot progress
        elif target is not None:
            target.on_client_idle(self._uploading)
        elif self._buffer and self._ready:
            self._refuse(BadMessageError(408, "the request's head took too long"))
        elif self.transport.is_closing():
            self.transport.abort()
        else:
            self.close()

    def _expect_progress(self) -> None:
        """Restart the idle time."""
        self.downstream.wheel.set(self, monotonic() + self.downstream.limits.idle_timeout_s)

    # --- reading ---

    def _await_next(self) -> None:
        """Wait for the next request, or read it if it has arrived; not while the client leaves responses unread."""
        if self._is_full:
            return
        if self._buffer:
            self._reading.resume(flow.PEER_FULL | flow.CONNECTING)
            self.downstream.backlog.add(self)
            return
        self._ready = True
        if self._reading.reasons:
            self._reading.resume(flow.EVERY_REASON)
        downstream = self.downstream
        self.idle_since = now = monotonic()
        self.deadline = when = now + (
            LAST_REQUEST_S if downstream.draining else downstream.limits.idle_timeout_s
        )
        if when < self.alarm:
            downstream.wheel.set(self, when)

    def _next(self) -> None:
        """Read the next pipelined request."""
        self._ready = True
        self.downstream.wheel.set(self, monotonic() + self.downstream.limits.head_timeout_s)
        self._read_buffered_head()

    def _read_buffered_head(self, searched: int = 0) -> None:
        """Read a head from the buffer; the first `searched` bytes do not contain its end."""
        buffer, most = self._buffer, self.downstream.limits.max_head_bytes
        if buffer.startswith(framing.CRLF):
            searched = 0
            self._drop_empty_lines()
        end = buffer.find(framing.END_OF_HEAD, searched) + 4
        if self._empty_bytes > most:
            self._refuse(BadMessageError(400, "too many empty lines before a request"))
        elif end > most + 3 or (end < 4 and len(buffer) > most):
            self._refuse(BadMessageError(431, "the request's head is too large"))
        elif end >= 4:
            raw = bytes(buffer[:end])
            del buffer[:end]
            self.downstream.heads.drop(self)
            self._has_head_begun = False
            self._empty_bytes = 0
            self._on_head(raw, buffer, 0)
        elif framing.has_bare_newline(buffer, searched):
            self._refuse(BadMessageError(400, "bare CR or LF in head"))
        else:
            self._await_rest_of_head()

    def _drop_empty_lines(self) -> None:
        """Drop and count empty lines before a request (RFC 9112 §2.2); none restarts a deadline."""
        buffer = self._buffer
        size = len(buffer) - len(buffer.lstrip(framing.CRLF))
        size -= size % 2
        if buffer.startswith(framing.CRLF * (size // 2)):  # else the head is refused for a bare newline
            del buffer[:size]
            self._empty_bytes += size

    def _await_rest_of_head(self) -> None:
        if not self._has_head_begun and self._buffer.strip(b"\r"):
            self._has_head_begun = True
            self.downstream.wheel.set(self, monotonic() + self.downstream.limits.head_timeout_s)
        self._reading.resume(flow.EVERY_REASON)
        if self._has_head_begun:
            self.downstream.heads.set_size(self, len(self._buffer))

    def _on_head(self, raw: bytes, data: bytes | bytearray, at: int) -> None:
        """Take a complete head; the bytes read after it are `data` from `at` on."""
        downstream = self.downstream
        body = b""
        try:
            head = read_request(raw, downstream.limits.max_headers, downstream.upgrades)
            if head.framing != framing.NONE:
                self._begin_body(head)
                body, at = self._take_body(data, at)
        except BadMessageError as error:
            self._uploading = False
            self._refuse(error)
            return
        self._ready = False
        self.deadline = NEVER
        if self._uploading:
            self._expect_progress()
        if at < len(data) or data is self._buffer:
            self._keep(data, at)
        self._stream = downstream.handler(self, head, body, not self._uploading)

    def _begin_body(self, head: RequestHead) -> None:
        self._uploading = True
        self._chunked = None
        if head.framing == framing.LENGTH:
            self._left = head.length
        else:
            head.trailers = b""
            self._head = head
            self._chunked = ChunkedReader()

    def _take_body(self, data: bytes | bytearray, at: int) -> tuple[bytes, int]:
        """Take a slice of the body's payload from `data` at `at`; return the payload and where the slice ends.

        Clears `_uploading` if the body ends there. Raises `BadMessageError` for a malformed chunk.
        """
        chunked = self._chunked
        if chunked is None:
            stop = min(at + self._left, len(data))
            self._left -= stop - at
            self._uploading = self._left > 0
            return framing.cut(data, at, stop), stop
        stop = chunked.feed(data, at)
        if chunked.is_done:
            self._uploading = False
            self._chunked = None
            if self.downstream.trailers:
                self._head.trailers = chunked.trailers
        return chunked.payload, stop

    def _read_body(self, data: bytes | bytearray) -> None:
        """Take a slice of the body from `data`: the bytes just read, or the buffer."""
        stream = self._stream
        if stream is None:
            return  # the response is complete, and nothing wants the rest of the body
        try:
            payload, stop = self._take_body(data, 0)
        except BadMessageError as error:
            if self._lingering:
                self._drop_rest()
            self._uploading = False
            self._lingering = True
            stream.on_request_broken(error)
            return
        if stop < len(data) or data is self._buffer:
            self._keep(data, stop)
        end = not self._uploading
        if self._lingering:
            if end:
                self._drop_rest()
        elif end and not self._is_full:
            self.deadline = NEVER
        else:
            self._expect_progress()
        stream.on_request_data(payload, end)

    def _keep(self, data: bytes | bytearray, at: int) -> None:
        """Keep `data` from `at` on: the rest of a body waits for its turn, a pipelined request for its predecessor."""
        buffer = self._buffer
        framing.keep(buffer, data, at)
        if self._uploading and buffer:
            self._reading.pause(flow.TURN)
            self._reading.resume(flow.PIPELINE)
            self.downstream.backlog.add(self)
            return
        if buffer and (self._is_last or not self.downstream.heads.queue(self, len(buffer))):
            self._is_last = True
            buffer.clear()
        if len(buffer) > flow.HIGH_WATER:
            self._reading.pause(flow.PIPELINE)
            self._reading.resume(flow.TURN)
        else:
            self._reading.resume(flow.PIPELINE | flow.TURN)

    # --- refusing and closing ---

    def _refuse(self, error: BadMessageError) -> None:
        """Respond to a malformed request with one line, and close."""
        bad = self.downstream.stats.bad_requests
        bad[error.status] = bad.get(error.status, 0) + 1
        self._ready = False
        self.write(serializer.local_reply(error.status, error.reason.encode() + b"\n", keep_alive=False))
        self._linger()

    def refuse_head(self) -> None:
        """Refuse an unfinished head to make room for heads of other connections, and close."""
        if self._ready:
            self._refuse(BadMessageError(503, "too many unfinished heads"))
        else:
            self.downstream.heads.drop(self)

    def refuse_body(self, error: BadMessageError) -> None:
        """Respond to a malformed body with the reason, and close."""
        self._stream = None
        self._refuse(error)

    def _drop_rest(self) -> None:
        """Drop what arrives from now on."""
        self._stream = None
        self._uploading = False
        self._buffer.clear()
        self.downstream.heads.drop(self)
        self._reading.resume(flow.EVERY_REASON)

    def _linger(self, *, wants_rest: bool = False) -> None:
        """Close so that the client can read the response although it is still sending (RFC 9112 §9.6)."""
        self._lingering = True
        if not wants_rest:
            self._drop_rest()
        if self.transport.is_closing():
            return
        self._reading.resume(flow.EVERY_REASON)
        if self._buffer:
            self._reading.pause(flow.TURN)
            self.downstream.backlog.add(self)
        if self.transport.can_write_eof():
            self.transport.write_eof()
            if self.transport.get_write_buffer_size():
                self.transport.set_write_buffer_limits(high=0)  # full until all of it is written
            idle_s = self.downstream.limits.idle_timeout_s if self._is_full else LINGER_S
            self.downstream.wheel.set(self, monotonic() + idle_s)
        else:
            self.close()


def _ip(address: object) -> bytes:
    """Render a socket address's host; an IPv4 client on a dual-stack socket as IPv4; nothing for a unix socket."""
    if isinstance(address, str | bytes):
        return b""
    if not isinstance(address, tuple):
        return b"unknown"
    host = str(address[0])
    return host.removeprefix("::ffff:").partition("%")[0].encode()
