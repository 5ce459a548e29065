"""One client connection: steps 1 and 11 of the walk.

Reads requests one at a time (a pipelined one waits its turn), hands each to the handler it was given, feeds
its body, and writes what the exchange answers. It knows nothing of routes, upstreams or mirrors.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from time import monotonic
from typing import cast

from proxy import flow
from proxy.clock import NEVER
from proxy.downstream.door import Door
from proxy.downstream.stream import Stream, Tunnel
from proxy.errors import BadMessageError
from proxy.http1 import framing, serializer
from proxy.http1.chunked import ChunkedReader
from proxy.http1.request import RequestHead, read_request

#: How long a client that was refused may go on sending before it is cut off, and how much of it is read.
LINGER_S = 1.0
#: How long a draining worker waits for another request on an idle connection before it closes it.
LAST_REQUEST_S = 1.0
#: An exchange on which nothing at all moves for so long is given up (Envoy's stream_idle_timeout).
STREAM_IDLE_S = 300.0

_NOTHING: list[bytes] = []
_ABORT = struct.pack("ii", 1, 0)


class DownstreamConnection(asyncio.Protocol):
    """Owns one client transport."""

    __slots__ = (
        "_buffer", "_chunked", "_is_full", "_left", "_lingering", "_ready", "_stream", "_tunnel",
        "_uploading", "_valve", "alarm", "deadline", "door", "forwarded_lines", "local_ip", "peer_ip", "scheme",
        "transport",
    )  # fmt: skip

    def __init__(self, door: Door, scheme: bytes) -> None:
        self.door = door
        self.scheme = scheme
        self.deadline = self.alarm = NEVER
        self._buffer = bytearray()
        self._chunked: ChunkedReader | None = None
        self._left = 0
        self._stream: Stream | None = None
        self._tunnel: Tunnel | None = None
        self._uploading = False
        self._lingering = False
        self._ready = False
        self._is_full = False
        self.peer_ip = self.local_ip = self.forwarded_lines = b""
        self.transport: asyncio.Transport

    # --- what the exchange asks of us ---

    @property
    def local_port(self) -> int:
        """The port the client connected to."""
        port: int = self.transport.get_extra_info("sockname")[1]
        return port

    @property
    def is_idle(self) -> bool:
        """Tell whether nothing of a request has come, and the last response has gone."""
        is_waiting = self._ready and not self._buffer and not self.transport.is_closing()
        return is_waiting and not self.transport.get_write_buffer_size()

    def write(self, data: bytes) -> None:
        """Send bytes of a response."""
        self.transport.write(data)

    def pause(self, reason: int) -> None:
        """Stop reading the client's body."""
        self._valve.pause(reason)

    def resume(self, reason: int) -> None:
        """Take a reason to pause away."""
        self._valve.resume(reason)

    def finish(self, keep_alive: bool) -> None:
        """The response is written; take the next request or close."""
        self._stream = None
        if self._uploading:
            self._linger()
        elif not keep_alive:
            self.close()
        else:
            self._await_next()

    def close(self) -> None:
        """Close once everything is written; a client that does not read it is cut off after the idle time."""
        self.transport.close()
        if self.transport.get_write_buffer_size():
            self._expect_progress()

    def break_off(self) -> None:
        """End a response that cannot be completed so that the client sees it broken: with a reset."""
        self._stream = None
        raw = self.transport.get_extra_info("socket")
        if raw is not None and not self.transport.is_closing():
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _ABORT)
        self.transport.abort()

    def start_tunnel(self, tunnel: Tunnel) -> None:
        """Hand every further byte to `tunnel`; those already here at once."""
        self._stream = None
        self._tunnel = tunnel
        self.deadline = NEVER  # the upstream connection's says when nothing moves any more
        self._valve.resume(flow.PIPELINE)
        if self._buffer:
            data = bytes(self._buffer)
            self._buffer.clear()
            tunnel.on_downstream_data(data)

    def drain(self) -> None:
        """Close an idle connection soon: a request that is on its way still gets its answer, and is the last."""
        if self._ready and not self._buffer:
            self.door.wheel.set(self, min(self.deadline, monotonic() + LAST_REQUEST_S))

    # --- connection callbacks ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by the loop once accepted (and, with TLS, shaken hands)."""
        transport = cast("asyncio.Transport", transport)
        door = self.door
        self.transport = transport
        self._valve = flow.ReadValve(transport)
        door.connections.add(self)
        self.peer_ip = _ip(transport.get_extra_info("peername"))
        self.local_ip = _ip(transport.get_extra_info("sockname"))
        self.forwarded_lines = b"x-forwarded-proto: %b\r\nx-forwarded-for: %b\r\n" % (
            self.scheme,
            self.peer_ip,
        )
        self._ready = True
        door.wheel.set(self, monotonic() + (LAST_REQUEST_S if door.draining else door.limits.head_timeout_s))

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        """Called by the loop when the client is gone, whoever closed."""
        door = self.door
        door.connections.discard(self)
        door.stats.connections_active -= 1
        door.wheel.forget(self)
        self._ready = False
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
        """Called by the loop with whatever arrived."""
        if self._ready:
            if self._buffer:
                self._read_more_of_head(data)
            else:
                self._read_head(data)
        elif self._uploading:
            self._read_body(data)
        elif self._tunnel is not None:
            self._tunnel.on_downstream_data(data)
        elif not self._lingering:
            self._keep_pipelined(data)

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
            self.door.wheel.set(self, monotonic() + LINGER_S)
        elif not self._uploading and not self._ready:
            self.deadline = NEVER
        target = self._stream or self._tunnel
        if target is not None:
            target.on_client_pressure(False)
        elif not (self._ready or self._lingering or self.transport.is_closing()):
            self._await_next()

    # --- clock callback ---

    def on_deadline(self) -> None:
        """Called by the wheel: a head is late, a connection idle, or a stream stuck."""
        target = self._stream or self._tunnel
        if self._uploading and self._valve.reasons:
            self._expect_progress()  # it is we who do not read
        elif target is not None:
            target.on_client_idle(self._uploading)
        elif self._buffer and self._ready:
            self._refuse(BadMessageError(408, "the request's head took too long"))
        elif self.transport.is_closing() or self._lingering:
            self.transport.abort()
        else:
            self.close()

    def _expect_progress(self) -> None:
        """Begin the idle time anew."""
        self.door.wheel.set(self, monotonic() + self.door.limits.idle_timeout_s)

    # --- reading ---

    def _await_next(self) -> None:
        """Be ready for the next request, or read it if it is here; not while the client leaves responses unread."""
        if self._is_full:
            return
        if self._buffer:
            asyncio.get_running_loop().call_soon(self._next)
            return
        self._ready = True
        if self._valve.reasons:
            self._valve.resume(flow.EVERY_REASON)
        door = self.door
        self.deadline = when = monotonic() + (LAST_REQUEST_S if door.draining else door.limits.idle_timeout_s)
        if when < self.alarm:
            self.door.wheel.set(self, when)

    def _read_head(self, data: bytes) -> None:
        limits = self.door.limits
        end = data.find(framing.END_OF_HEAD)
        if end < 0 or end >= limits.max_head_bytes or data.startswith(b"\r\n"):
            while data.startswith(framing.CRLF):
                data = data[2:]  # RFC 9112 §2.2: empty lines before a request
            end = data.find(framing.END_OF_HEAD)
            if end < 0 or end >= limits.max_head_bytes:
                self._wait_for_head(data, end)
                return
        end += 4
        if self._buffer:
            self._buffer.clear()
        pieces, done = _NOTHING, True
        try:
            if end == len(data):
                head = read_request(data, limits.max_headers, self.door.upgrades)
            else:
                head = read_request(data[:end], limits.max_headers, self.door.upgrades)
            if head.framing != framing.NONE or end != len(data):
                pieces, done = self._begin_body(head, data, end)
        except BadMessageError as error:
            self._refuse(error)
            return
        self._ready = False
        self.deadline = NEVER
        if not done:
            self._expect_progress()
        self._stream = self.door.handler(self, head, pieces, done)

    def _read_more_of_head(self, data: bytes) -> None:
        """Look for the end in what is new only: a head that comes byte by byte must not cost its square."""
        buffer = self._buffer
        at = max(len(buffer) - 3, 0)
        buffer += data
        is_over = len(buffer) > self.door.limits.max_head_bytes
        if is_over or buffer.find(framing.END_OF_HEAD, at) >= 0 or framing.has_bare_newline(buffer, at):
            self._read_head(bytes(buffer))

    def _wait_for_head(self, data: bytes, end: int) -> None:
        limits = self.door.limits
        if end >= 0 or len(data) > limits.max_head_bytes:
            self._refuse(BadMessageError(431, "the request's head is too large"))
            return
        if framing.has_bare_newline(data):
            self._refuse(BadMessageError(400, "bare CR or LF in head"))
            return
        if not self._buffer:
            self.door.wheel.set(self, monotonic() + limits.head_timeout_s)
        self._buffer[:] = data

    def _begin_body(self, head: RequestHead, data: bytes, at: int) -> tuple[list[bytes], bool]:
        """Take what came of the body with the head; return its pieces and whether it is all."""
        kind = head.framing
        if kind == framing.NONE:
            if at < len(data):
                self._keep_pipelined(data[at:])
            return [], True
        self._uploading = True
        self._chunked = None
        if kind == framing.LENGTH:
            self._left = head.length
        else:
            self._chunked = ChunkedReader()
        return self._take_body(framing.tail(data, at, kind)) if at < len(data) else ([], False)

    def _take_body(self, data: bytes) -> tuple[list[bytes], bool]:
        """Cut `data` at the body's end; raises `BadMessageError` for a malformed chunk."""
        if self._chunked is not None:
            end = self._chunked.feed(data)
            pieces = self._chunked.pieces
        else:
            self._left -= len(data)
            if self._left > 0:
                return [data], False
            end = len(data) + self._left
            pieces = [data if self._left == 0 else data[:end]]
        if end < 0:
            return pieces, False
        self._uploading = False
        self._chunked = None
        if end < len(data):
            self._keep_pipelined(data[end:])
        return pieces, True

    def _read_body(self, data: bytes) -> None:
        stream = self._stream
        if stream is None:
            return  # answered early; what is left of the body is read and dropped until the linger ends
        try:
            pieces, end = self._take_body(data)
        except BadMessageError as error:
            self._uploading = False
            self._lingering = True
            stream.on_request_broken(error)
            return
        if end and not self._is_full:
            self.deadline = NEVER
        else:
            self._expect_progress()
        stream.on_request_data(pieces, end)

    def _keep_pipelined(self, data: bytes) -> None:
        self._buffer += data
        if len(self._buffer) > flow.HIGH_WATER:
            self._valve.pause(flow.PIPELINE)

    def _next(self) -> None:
        """Read the next pipelined request."""
        if self.transport.is_closing():
            return
        self._ready = True
        self._valve.resume(flow.EVERY_REASON)
        self.door.wheel.set(self, monotonic() + self.door.limits.head_timeout_s)
        self._read_head(bytes(self._buffer))

    # --- refusing and closing ---

    def _refuse(self, error: BadMessageError) -> None:
        """Answer a request that cannot be read with one line, and close."""
        bad = self.door.stats.bad_requests
        bad[error.status] = bad.get(error.status, 0) + 1
        self._ready = False
        self._buffer.clear()
        self.write(serializer.local_reply(error.status, error.reason.encode() + b"\n", keep_alive=False))
        self._linger()

    def refuse_body(self, error: BadMessageError, answered: bool) -> None:
        """Close after a malformed body; with the reason unless a response has begun (`answered`)."""
        self._stream = None
        if answered:
            self.break_off()
        else:
            self._refuse(error)

    def _linger(self) -> None:
        """Close so that the client can read the answer although it is still sending (RFC 9112 §9.6)."""
        self._uploading = False
        self._lingering = True
        self._buffer.clear()
        if self.transport.is_closing():
            return
        self._valve.resume(flow.EVERY_REASON)
        if self.transport.can_write_eof():
            self.transport.write_eof()
            idle_s = self.door.limits.idle_timeout_s if self._is_full else LINGER_S
            self.door.wheel.set(self, monotonic() + idle_s)
        else:
            self.close()


def _ip(address: object) -> bytes:
    """Render a socket address's host; an IPv4 client on a dual-stack socket as IPv4."""
    if not isinstance(address, tuple):
        return b"unknown"
    host = str(address[0])
    return host.removeprefix("::ffff:").partition("%")[0].encode()
