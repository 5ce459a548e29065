"""One connection to an upstream: steps 6, 9 and 11 of the walk, for primaries and shadows alike.

Carries one exchange or shadow (its stream) at a time. Reads the response's head and follows its framing to
the end; then the connection is put back or closed. Receiving never raises into the transport: an error becomes a
`Failure` for the stream. Input that takes long to process is processed in slices (see `flow.Backlog`).
"""

from __future__ import annotations

import asyncio
import math
import socket
from time import monotonic, perf_counter
from typing import TYPE_CHECKING, cast

from mirror_proxy import errors, flow
from mirror_proxy.clock import NEVER
from mirror_proxy.config.model import TcpKeepalive
from mirror_proxy.errors import BadMessageError, Failure
from mirror_proxy.http1 import framing, serializer
from mirror_proxy.http1.chunked import ChunkedReader
from mirror_proxy.http1.proxy_protocol import ClientAddresses
from mirror_proxy.http1.request import RequestHead
from mirror_proxy.http1.response import ResponseHead, end_of_head, may_begin, read_response
from mirror_proxy.upstream.early_response import EarlyResponse
from mirror_proxy.upstream.stream import Meter, UpstreamStream, UpstreamTunnel

if TYPE_CHECKING:
    from mirror_proxy.upstream.cluster import UpstreamCluster
    from mirror_proxy.upstream.endpoint import UpstreamEndpoint

#: More 1xx than this before a response are an error; their bytes count towards `limits.maxResponseHeadBytes`.
_MAX_INTERIMS = 100
_INTERIMS_PER_SLICE = 4

#: The most that the kernel takes (Linux, include/net/tcp.h).
_MAX_KEEPALIVE_PROBES = 127
_MAX_KEEPALIVE_S = 32767

_AWAIT_HEAD, _BODY, _TUNNEL, _IDLE = range(4)


class UpstreamConnection(asyncio.Protocol):
    """Owns one upstream transport; `endpoint` is the pool it goes back to."""

    __slots__ = (
        "_body", "_bound", "_buffer", "_chunked", "_early_response", "_has_left", "_head", "_head_bytes", "_heard_end",
        "_interims", "_is_lost", "_left", "_meter", "_reading", "_request", "_reusable", "_stream", "_tunnel", "alarm",
        "client", "cluster", "deadline", "endpoint", "expires", "for_shadow", "is_queued", "request_done", "requests",
        "transport",
    )  # fmt: skip

    def __init__(
        self,
        cluster: UpstreamCluster,
        endpoint: UpstreamEndpoint,
        for_shadow: bool = False,
        client: ClientAddresses | None = None,
    ) -> None:
        """`for_shadow`: made for a shadow; the connection may carry requests of primaries later, and vice versa.

        `client` is named in the PROXY header that the connection began with; None: there is none, or it names none.
        """
        self.client = client
        self.cluster = cluster
        self.endpoint = endpoint
        self.for_shadow = for_shadow
        self.deadline = self.alarm = self.expires = NEVER
        self.requests = 0
        self.request_done = True
        self._body = _IDLE
        self.is_queued = False
        self._bound: dict[UpstreamCluster, UpstreamConnection] | None = None
        self._buffer = bytearray()  # input that is not processed yet
        self._chunked: ChunkedReader | None = None
        self._left = -1
        self._request: RequestHead
        self._head: ResponseHead
        self._reusable = True
        self._interims = self._head_bytes = 0
        self._heard_end = self._is_lost = self._has_left = False
        self._meter: Meter | None = None
        self._early_response: EarlyResponse | None = None
        self._stream: UpstreamStream | None = None
        self._tunnel: UpstreamTunnel | None = None
        self.transport: asyncio.Transport

    def __repr__(self) -> str:
        state = ("HEAD", "BODY", "TUNNEL", "IDLE")[self._body]
        return f"<UpstreamConnection {self.endpoint.address} {state} requests={self.requests}>"

    # --- for the stream ---

    @property
    def buffered_bytes(self) -> int:
        """Bytes of the request that the kernel has not taken yet."""
        return 0 if self._is_lost else self.transport.get_write_buffer_size()

    def send(self, stream: UpstreamStream, head: RequestHead, wire: bytes, data: bytes, end: bool) -> None:
        """Start a request: `wire` is its serialized head, `data` the part of its body that has arrived."""
        self._stream = stream
        self._meter = stream.meter
        self._request = head
        self._body = _AWAIT_HEAD
        self._reusable = True
        self._interims = self._head_bytes = 0
        self.request_done = end
        self.requests += 1
        self.endpoint.active += 1
        if head.framing == framing.CHUNKED:
            self.transport.writelines([wire, *serializer.chunk(data, end, head.trailers if end else b"")])
        elif data:
            self.transport.writelines([wire, data])
        else:
            self.transport.write(wire)
        if (not end or (data and self.buffered_bytes)) and self.cluster.config.tls is None:
            sock = self.transport.get_extra_info("socket")
            self._early_response = EarlyResponse(sock, self.cluster.descriptors)

    def send_data(self, data: bytes, end: bool) -> None:
        """Send more of the request's body; drop it once the connection is lost and only its input is left."""
        self.request_done = end
        if self._is_lost:
            return
        if self._request.framing == framing.CHUNKED:
            trailers = self._request.trailers if end else b""
            self.transport.writelines(serializer.chunk(data, end, trailers))
        else:
            self.transport.write(data)

    def pause(self) -> None:
        """Stop reading the response: the client does not keep up."""
        self._reading.pause(flow.PEER_FULL)

    def resume(self) -> None:
        """Read on."""
        self._reading.resume(flow.PEER_FULL)
        if self._reading.reasons == flow.TURN:
            self.cluster.backlog.add(self)

    def set_deadline(self, when: float) -> None:
        """Call the stream's `on_deadline` at monotonic time `when`."""
        self.cluster.wheel.set(self, when)

    def start_tunnel(self, tunnel: UpstreamTunnel) -> None:
        """Hand every further byte to `tunnel`."""
        self._stream, self._tunnel = None, tunnel
        self._body = _TUNNEL

    def abort(self) -> None:
        """End the request: unsent bytes are dropped, and the stream gets no callback."""
        if self._detach():
            self._leave()
            self.transport.abort()

    def bind(self, bound: dict[UpstreamCluster, UpstreamConnection]) -> None:
        """Carry requests of one client connection only, which owns `bound`.

        When idle, the connection waits in `bound`, not in the pool; the client connection closes it.
        """
        self._bound = bound

    def time_out(self) -> None:
        """End the request because its response took too long; after the head, that is no failure (as in Envoy)."""
        monitor = self.endpoint.monitor
        if monitor is not None and self._stream is not None and self._body == _AWAIT_HEAD:
            monitor.on_timeout()
        self.abort()

    def is_spent(self, max_requests: int | None) -> bool:
        """Return whether the connection has carried `max_requests` (None or 0: no limit) or has expired."""
        enough = bool(max_requests) and self.requests >= (max_requests or 0)
        return self.requests > 0 and (enough or monotonic() >= self.expires)

    def close(self) -> None:
        """Close an idle connection, or a tunnel after its last bytes."""
        self.endpoint.remove(self)
        if self._bound is not None:
            self._unbind(self._bound)
        self._leave()
        if self._tunnel is None and self.buffered_bytes:  # of a request that is answered: maybe never read
            self.transport.abort()
        else:
            self.transport.close()

    # --- connection callbacks ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by the loop once connected (and, with TLS, shaken hands)."""
        transport = cast("asyncio.Transport", transport)
        self.transport = transport
        self._reading = flow.ReadControl(transport)
        config, stats = self.cluster.config, self.cluster.stats
        stats.connections += 1
        stats.connections_active += 1
        self.cluster.open_connections += 1
        self.cluster.descriptors.take(self.for_shadow)
        if config.keepalive is not None and not self.endpoint.address.is_unix:
            _keep_alive(transport.get_extra_info("socket"), config.keepalive)
        if config.max_connection_duration_s is not None:
            self.expires = monotonic() + config.max_connection_duration_s

    def connection_lost(self, exc: Exception | None) -> None:
        """Called by the loop when the connection is closed, by either side."""
        cluster = self.cluster
        cluster.stats.connections_active -= 1
        cluster.descriptors.give(self.for_shadow)
        cluster.wheel.forget(self)
        self.endpoint.remove(self)
        if self._bound is not None:
            self._unbind(self._bound)
        self._leave()
        cluster.on_connection_closed()  # before the stream, which may want the place for another attempt
        tunnel = self._tunnel
        if tunnel is not None:
            self._detach()
            tunnel.on_upstream_gone()
        elif self._stream is not None:
            self._on_lost(exc)

    def eof_received(self) -> bool:
        """Handle the upstream's FIN; only a tunnel stays half open."""
        self.endpoint.remove(self)
        self._heard_end = True
        return self._tunnel is not None and self._tunnel.on_upstream_eof()

    def data_received(self, data: bytes) -> None:
        """Called by the loop with the bytes of one read."""
        meter, body = self._meter, self._body
        began = perf_counter() if meter is not None else 0.0
        if body == _BODY and not self._buffer:
            self._read_body(data)
        elif body == _BODY:
            self._keep(data, 0)
        elif body == _AWAIT_HEAD and not self._buffer:
            self._read_head(data)
        elif body == _AWAIT_HEAD:
            searched = len(self._buffer)
            self._buffer += data
            self._read_buffered_head(searched)
        elif body == _TUNNEL:
            assert self._tunnel is not None  # noqa: S101 - a tunnel has a tunnel
            self._tunnel.on_upstream_data(data)
        else:
            self.close()  # no request is under way, so the bytes belong to none
        if meter is not None:
            meter.spent_s += perf_counter() - began

    # --- backlog callback ---

    def on_turn(self) -> None:
        """Called by the backlog: process the next slice of the input."""
        if self._stream is None or self._reading.reasons & flow.PEER_FULL:
            return
        began = perf_counter()
        meter = self._meter
        if self._body == _BODY:
            self._read_body(self._buffer)
        else:
            self._read_buffered_head()
        if meter is not None:
            meter.spent_s += perf_counter() - began

    # --- flow control callbacks ---

    def pause_writing(self) -> None:
        """Called by the transport above its high-water mark."""
        target = self._stream or self._tunnel
        if target is not None:
            target.on_upstream_pressure(True)

    def resume_writing(self) -> None:
        """Called by the transport below its low-water mark."""
        target = self._stream or self._tunnel
        if target is not None:
            target.on_upstream_pressure(False)

    # --- clock callback ---

    def on_deadline(self) -> None:
        """Called by the wheel: the stream's deadline, or the idle connection's expiry."""
        target = self._stream or self._tunnel
        if target is not None:
            target.on_deadline()
        else:
            self.close()

    # --- reading ---

    def _read_head(self, data: bytes) -> None:
        """Read a head from the bytes just read, where nearly every head is whole; otherwise from the buffer."""
        end = data.find(framing.END_OF_HEAD) + 4
        if end < 4 or end > self.cluster.max_response_head_bytes:
            self._buffer += data
            self._read_buffered_head()
            return
        head = self._take_head(data if end == len(data) else data[:end])
        if head is None:
            return
        if head.status >= 200:
            self._on_response(head, data, head.size)
            return
        self._buffer += memoryview(data)[head.size :]
        if self._on_interim(head) and self._buffer:
            self._read_buffered_head()

    def _read_buffered_head(self, searched: int = 0) -> None:
        """Read 1xx and a head from the buffer; the first `searched` bytes do not contain the end of a head."""
        buffer = self._buffer
        for _ in range(_INTERIMS_PER_SLICE):
            end = end_of_head(buffer, searched)
            if end < 0:
                self._await_rest_of_head()
                return
            raw = bytes(buffer[:end])
            del buffer[:end]
            head = self._take_head(raw)
            if head is None:
                return
            if head.status >= 200:
                self._on_response(head, buffer, 0)
                return
            if not self._on_interim(head):
                return
            if not buffer:
                self._end_turn()
                return
            searched = 0
        self._await_turn()

    def _await_rest_of_head(self) -> None:
        buffer = self._buffer
        if len(buffer) + self._head_bytes > self.cluster.max_response_head_bytes:
            self._fail(errors.PROTOCOL_ERROR, "response head too large")
        elif not may_begin(buffer):
            self._fail(errors.PROTOCOL_ERROR, "malformed status line")
        else:
            self._end_turn()

    def _take_head(self, raw: bytes) -> ResponseHead | None:
        """Parse a complete head; None after an error, which the stream has been given."""
        if self._head_bytes + len(raw) > self.cluster.max_response_head_bytes:
            self._fail(errors.PROTOCOL_ERROR, "response head too large")
            return None
        try:
            head = read_response(raw, self._request.method, self.cluster.max_headers)
        except BadMessageError as error:
            self._fail(errors.PROTOCOL_ERROR, error.reason)
            return None
        self._head_bytes += head.size
        is_stale = head.status == 408 and not head.keep_alive and self.requests > 1 and self.request_done
        if is_stale and not self._interims:  # sent while the connection was idle (RFC 9110 §15.5.9)
            self._fail(errors.RESET, "")
            return None
        if self.endpoint.monitor is not None and (head.status >= 200 or head.status == 101):
            self.endpoint.monitor.on_status(head.status)
        return head

    def _on_interim(self, head: ResponseHead) -> bool:
        """Forward a 1xx; the bytes after it are in the buffer. Returns False when the request is over."""
        stream = cast("UpstreamStream", self._stream)
        if head.status == 101:
            rest = bytes(self._buffer)
            self._buffer.clear()
            self._reading.resume(flow.TURN)
            stream.on_upgraded(head, rest)
            return False
        self._reusable &= head.keep_alive  # a 1xx that announces a body may send one
        self._interims += 1
        if self._interims > _MAX_INTERIMS:
            self._fail(errors.PROTOCOL_ERROR, "too many 1xx responses")
            return False
        stream.on_informational(head)
        return self._stream is stream

    def _on_response(self, head: ResponseHead, data: bytes | bytearray, at: int) -> None:
        """Take the final head; the bytes read after it are `data` from `at` on."""
        stream, size = self._stream, len(data)
        assert stream is not None  # noqa: S101 - it awaits the head
        self._reusable &= head.keep_alive
        if self._early_response is not None and (head.status >= 400 or self.buffered_bytes):
            self._reusable = False  # the upload is refused, maybe unread: the upstream may reset
        if head.framing == framing.NONE:
            payload, stop, end = b"", at, True
        elif head.length == size - at and head.framing == framing.LENGTH:  # whole, as most bodies come
            payload, stop, end = framing.cut(data, at, size), size, True
        else:
            self._begin_body(head)
            try:
                payload, stop, end = self._take_body(data, at)
            except BadMessageError as error:
                self._fail(errors.PROTOCOL_ERROR, error.reason)
                return
        if end:
            self._reusable &= stop == size  # bytes after a response belong to no request
            self._release()
            stream.on_response(head, payload, True)
            return
        stream.on_response(head, payload, False)
        if self._stream is stream and (stop < size or data is self._buffer):
            self._keep(data, stop)

    def _begin_body(self, head: ResponseHead) -> None:
        self._body = _BODY
        self._chunked = None
        head.trailers = b""
        self._left = head.length if head.framing == framing.LENGTH else -1
        if head.framing == framing.CHUNKED:
            self._head = head
            self._chunked = ChunkedReader(502)
        elif head.framing == framing.UNTIL_CLOSE:
            self._reusable = False

    def _take_body(self, data: bytes | bytearray, at: int) -> tuple[bytes, int, bool]:
        """Take a slice of the body's payload from `data` at `at`; return it, where it ends, and if the body ends too.

        Raises `BadMessageError` for a malformed chunk.
        """
        chunked = self._chunked
        if chunked is not None:
            stop = chunked.feed(data, at)
            if chunked.is_done and self.cluster.trailers:
                self._head.trailers = chunked.trailers
            return chunked.payload, stop, chunked.is_done
        stop = len(data)
        if self._left >= 0:
            stop = min(at + self._left, stop)
            self._left -= stop - at
        return framing.cut(data, at, stop), stop, self._left == 0

    def _read_body(self, data: bytes | bytearray) -> None:
        """Take a slice of the body from `data`: the bytes just read, or the buffer."""
        stream = self._stream
        assert stream is not None  # noqa: S101 - a body has a stream
        try:
            payload, stop, end = self._take_body(data, 0)
        except BadMessageError as error:
            self._fail(errors.PROTOCOL_ERROR, error.reason)
            return
        if end:
            self._reusable &= stop == len(data)
            self._release()
            stream.on_response_data(payload, True)
            return
        if payload:
            stream.on_response_data(payload, False)
        if self._stream is stream and (stop < len(data) or data is self._buffer):
            self._keep(data, stop)

    def _keep(self, data: bytes | bytearray, at: int) -> None:
        """Keep `data` from `at` on, to process it in its turn."""
        framing.keep(self._buffer, data, at)
        if self._buffer:
            self._await_turn()
        else:
            self._end_turn()

    def _await_turn(self) -> None:
        self._reading.pause(flow.TURN)
        self.cluster.backlog.add(self)

    def _end_turn(self) -> None:
        """End the turn, since no complete slice is left: read on, or end the response of a lost connection."""
        if self._is_lost:
            self._on_cut_short()
        elif self._reading.reasons:
            self._reading.resume(flow.TURN)

    # --- endings ---

    def _release(self) -> None:
        """Put the connection back after a complete response, or close it."""
        self.endpoint.active -= 1
        self._stream = None
        if self._buffer:
            self._buffer.clear()
        if self._early_response is not None:
            self._drop_early_response()
        if self._reusable and self.request_done:
            self._body = _IDLE
            if self._reading.reasons:
                self._reading.resume(flow.EVERY_REASON)
            if self._bound is None:
                self.cluster.put(self)
            elif self.cluster.reserve(self):
                self._bound[self.cluster] = self
                self.deadline = NEVER
        else:
            self._leave()
            self.transport.abort()  # nothing more is sent or read

    def _unbind(self, bound: dict[UpstreamCluster, UpstreamConnection]) -> None:
        self.cluster.release(self)
        if bound.get(self.cluster) is self:
            del bound[self.cluster]

    def _leave(self) -> None:
        """Give up the place in the cluster, once: the next connection need not wait until this one is closed."""
        if not self._has_left:
            self._has_left = True
            self.cluster.on_connection_left()

    def _fail(self, failure: Failure, detail: str) -> None:
        stream = self._stream
        is_stale = self._is_stale
        self.abort()
        if stream is not None:
            if detail:
                self.cluster.on_protocol_error(detail)
            if self.endpoint.monitor is not None:
                self.endpoint.monitor.on_failure()
            stream.on_upstream_failure(failure, is_stale, detail)

    @property
    def _is_stale(self) -> bool:
        """Return whether a failure now is of a reused connection before any response: the upstream had closed it."""
        return self.requests > 1 and self._body == _AWAIT_HEAD and not self._interims

    def _on_lost(self, exc: Exception | None) -> None:
        """Process the input that is left, and whatever can still be read, then end the response."""
        self._is_lost = True
        self._reusable = False
        self._heard_end &= exc is None
        if self._early_response is not None:
            words = self._early_response.take()  # maybe an early response (RFC 9112 §9.5)
            self._buffer += words
            if words:
                self._reading.pause(flow.TURN)
        if self._reading.reasons & flow.TURN:
            self.cluster.backlog.add(self)
        else:
            self._on_cut_short()

    def _on_cut_short(self) -> None:
        """End the response with the connection: complete if its framing is until-close, otherwise broken."""
        stream = cast("UpstreamStream", self._stream)
        is_whole = self._body == _BODY and self._chunked is None and self._left < 0 and self._heard_end
        is_stale, has_begun = self._is_stale, bool(self._buffer)
        self._detach()
        if is_whole:
            stream.on_response_data(b"", True)
            return
        if self.endpoint.monitor is not None:
            self.endpoint.monitor.on_failure()
        if has_begun:
            stream.on_upstream_failure(errors.PROTOCOL_ERROR, is_stale, "connection closed within the head")
        else:
            stream.on_upstream_failure(errors.RESET, is_stale, "")

    def _drop_early_response(self) -> None:
        if self._early_response is not None:
            self._early_response.close()
            self._early_response = None

    def _detach(self) -> bool:
        """Detach from the stream; False if there was none."""
        if self._stream is None and self._tunnel is None:
            return False
        self.endpoint.active -= 1
        self._drop_early_response()
        self._buffer.clear()
        self._stream = self._tunnel = None
        return True


def _keep_alive(sock: socket.socket, keepalive: TcpKeepalive) -> None:
    """Switch keepalive on for `sock`, with the kernel's own values where none are given (tcp(7); whole seconds).

    The kernel refuses more than it can hold; the most that it takes is set instead.
    """
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value, most in (
        (socket.TCP_KEEPCNT, keepalive.probes, _MAX_KEEPALIVE_PROBES),
        (socket.TCP_KEEPIDLE, keepalive.time_s, _MAX_KEEPALIVE_S),
        (socket.TCP_KEEPINTVL, keepalive.interval_s, _MAX_KEEPALIVE_S),
    ):
        if value is not None:
            sock.setsockopt(socket.IPPROTO_TCP, option, min(max(1, math.ceil(value)), most))
