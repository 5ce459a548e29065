"""One connection to an upstream: steps 6, 9 and 11 of the walk, for primaries and shadows alike.

Carries one exchange or shadow (its stream) at a time. Reads the response's head and follows its framing to
the end; then it is put back or closed. Receiving never raises into the transport: what is broken becomes a
`Failure` for the stream.
"""

from __future__ import annotations

import asyncio
from time import monotonic
from typing import TYPE_CHECKING, cast

from proxy import errors, flow
from proxy.clock import NEVER
from proxy.errors import BadMessageError, Failure
from proxy.http1 import framing
from proxy.http1.chunked import ChunkedReader
from proxy.http1.request import RequestHead
from proxy.http1.response import ResponseHead, read_response
from proxy.upstream.keepalive import keep_alive
from proxy.upstream.last_words import LastWords
from proxy.upstream.stream import Passage, UpstreamStream

if TYPE_CHECKING:
    from proxy.upstream.cluster import Cluster
    from proxy.upstream.endpoint import Endpoint

MAX_HEAD_BYTES = 64 * 1024
#: More 1xx than this before a response are a fault, or an attack on the stack.
_MAX_INTERIMS = 100

_AWAIT_HEAD, _BODY, _TUNNEL, _IDLE = range(4)


class UpstreamConnection(asyncio.Protocol):
    """Owns one upstream transport; `endpoint` is the pool it goes back to."""

    __slots__ = (
        "_body", "_buffer", "_chunked", "_heard_end", "_interims", "_last_words", "_left", "_passage",
        "_request", "_reusable", "_stream", "_valve", "alarm", "cluster", "deadline", "endpoint", "expires",
        "for_shadow", "request_done", "requests", "transport",
    )  # fmt: skip

    def __init__(self, cluster: Cluster, endpoint: Endpoint, for_shadow: bool = False) -> None:
        """`for_shadow`: whom it was made for; it may carry anybody's requests."""
        self.cluster = cluster
        self.endpoint = endpoint
        self.for_shadow = for_shadow
        self.deadline = self.alarm = self.expires = NEVER
        self.requests = 0
        self.request_done = True
        self._body = _IDLE
        self._buffer = b""
        self._chunked: ChunkedReader | None = None
        self._left = -1
        self._request: RequestHead
        self._reusable = True
        self._interims = 0
        self._heard_end = False
        self._last_words: LastWords | None = None
        self._stream: UpstreamStream | None = None
        self._passage: Passage | None = None
        self.transport: asyncio.Transport

    def __repr__(self) -> str:
        state = ("HEAD", "BODY", "TUNNEL", "IDLE")[self._body]
        return f"<UpstreamConnection {self.endpoint.address} {state} requests={self.requests}>"

    # --- what a stream asks of us ---

    @property
    def buffered_bytes(self) -> int:
        """Bytes of the request that the kernel has not taken yet."""
        return self.transport.get_write_buffer_size()

    def send(
        self, stream: UpstreamStream, head: RequestHead, wire: bytes, pieces: list[bytes], end: bool
    ) -> None:
        """Start a request: `wire` is its serialized head, `pieces` what came of its body."""
        self._stream = stream
        self._request = head
        self._body = _AWAIT_HEAD
        self._reusable = True
        self._interims = 0
        self.request_done = end
        self.requests += 1
        self.endpoint.active += 1
        if not pieces:
            self.transport.write(wire)
        else:
            self.transport.writelines([wire, *pieces])
        if (not end or (pieces and self.buffered_bytes)) and self.cluster.config.tls is None:
            sock = self.transport.get_extra_info("socket")
            self._last_words = LastWords(sock, self.cluster.descriptors)

    def send_data(self, pieces: list[bytes], end: bool) -> None:
        """Send more of the request's body."""
        self.request_done = end
        for piece in pieces:
            self.transport.write(piece)

    def pause(self) -> None:
        """Stop reading the response: the client is not keeping up."""
        self._valve.pause(flow.PEER_FULL)

    def resume(self) -> None:
        """Read on."""
        self._valve.resume(flow.PEER_FULL)

    def set_deadline(self, when: float) -> None:
        """Call the stream's `on_deadline` at monotonic time `when`."""
        self.cluster.wheel.set(self, when)

    def start_tunnel(self, passage: Passage) -> None:
        """Hand every further byte to `passage`."""
        self._stream, self._passage = None, passage
        self._body = _TUNNEL

    def abort(self) -> None:
        """Give the request up: what is unsent stays unsent, and nothing is called back."""
        if self._detach():
            self.transport.abort()

    def time_out(self) -> None:
        """Give the request up because its response took too long; one whose head has come is no fault (as in Envoy)."""
        monitor = self.endpoint.monitor
        if monitor is not None and self._stream is not None and self._body == _AWAIT_HEAD:
            monitor.on_timeout()
        self.abort()

    def is_spent(self, max_requests: int | None) -> bool:
        """Tell whether it has carried enough requests (None or 0: never enough) or lived long enough."""
        enough = bool(max_requests) and self.requests >= (max_requests or 0)
        return self.requests > 0 and (enough or monotonic() >= self.expires)

    def close(self) -> None:
        """Close an idle connection, or a tunnel after its last bytes."""
        self.endpoint.remove(self)
        self.transport.close()

    # --- connection callbacks ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by the loop once connected (and, with TLS, shaken hands)."""
        transport = cast("asyncio.Transport", transport)
        self.transport = transport
        self._valve = flow.ReadValve(transport)
        config, stats = self.cluster.config, self.cluster.stats
        stats.connections += 1
        stats.connections_active += 1
        self.cluster.open_connections += 1
        self.cluster.descriptors.take(self.for_shadow)
        if config.keepalive is not None:
            keep_alive(transport.get_extra_info("socket"), config.keepalive)
        if config.max_connection_duration_s is not None:
            self.expires = monotonic() + config.max_connection_duration_s

    def connection_lost(self, exc: Exception | None) -> None:
        """Called by the loop when the connection is gone, whoever closed."""
        cluster = self.cluster
        cluster.stats.connections_active -= 1
        cluster.open_connections -= 1
        cluster.descriptors.give(self.for_shadow)
        cluster.wheel.forget(self)
        self.endpoint.remove(self)
        passage = self._passage
        if passage is not None:
            self._detach()
            passage.on_upstream_gone()
        elif self._stream is not None:
            if self._last_words is not None and self._body == _AWAIT_HEAD:
                self._hear_out(self._last_words.take())
            if self._stream is not None:
                self._on_cut_short(exc)
        cluster.on_connection_closed()

    def eof_received(self) -> bool:
        """Handle the upstream's FIN; only a tunnel stays half open."""
        self.endpoint.remove(self)
        self._heard_end = True
        return self._passage is not None and self._passage.on_upstream_eof()

    def data_received(self, data: bytes) -> None:
        """Called by the loop with whatever arrived."""
        body = self._body
        if body == _AWAIT_HEAD:
            self._read_head(self._buffer + data if self._buffer else data)
        elif body == _BODY:
            stream = self._stream
            try:
                pieces, end = self._take_body(data)
            except BadMessageError:
                self._fail(errors.PROTOCOL_ERROR)
                return
            if end:
                self._release()
            assert stream is not None  # noqa: S101 - a body has a stream
            stream.on_response_data(pieces, end)
        elif body == _TUNNEL:
            assert self._passage is not None  # noqa: S101 - a tunnel has a passage
            self._passage.on_upstream_data(data)
        else:
            self.close()  # an idle upstream has nothing to say

    # --- flow control callbacks ---

    def pause_writing(self) -> None:
        """Called by the transport above its high-water mark."""
        target = self._stream or self._passage
        if target is not None:
            target.on_upstream_pressure(True)

    def resume_writing(self) -> None:
        """Called by the transport below its low-water mark."""
        target = self._stream or self._passage
        if target is not None:
            target.on_upstream_pressure(False)

    # --- clock callback ---

    def on_deadline(self) -> None:
        """Called by the wheel: the stream's deadline, or the idle connection's expiry."""
        target = self._stream or self._passage
        if target is not None:
            target.on_deadline()
        else:
            self.close()

    # --- reading ---

    def _read_head(self, data: bytes) -> None:
        end = data.find(framing.END_OF_HEAD) + 4
        if end < 4 or end > MAX_HEAD_BYTES:
            self._wait_for_head(data, end)
            return
        self._buffer = b""
        stream = cast("UpstreamStream", self._stream)
        try:
            head = read_response(data if end == len(data) else data[:end], self._request.method)
            if self.endpoint.monitor is not None and (head.status >= 200 or head.status == 101):
                self.endpoint.monitor.on_status(head.status)
            if head.status < 200:
                self._on_interim(stream, head, data[end:])
                return
            self._reusable &= head.keep_alive
            if self._last_words is not None and (head.status >= 400 or self.buffered_bytes):
                self._reusable = False  # an upload refused, perhaps unread: the upstream may well reset
            if head.length == len(data) - end and head.framing == framing.LENGTH:
                pieces, done = (
                    [framing.tail(data, end, framing.LENGTH)],
                    True,
                )  # the whole response at once, as most come
            else:
                pieces, done = self._begin_body(head, data, end)
        except BadMessageError:
            self._fail(errors.PROTOCOL_ERROR)
            return
        if done:
            self._release()
        stream.on_response(head, pieces, done)

    def _wait_for_head(self, data: bytes, end: int) -> None:
        is_large = end > MAX_HEAD_BYTES or len(data) > MAX_HEAD_BYTES
        if is_large or not b"HTTP/1.".startswith(data[:7]) or framing.has_bare_newline(data):
            self._fail(errors.PROTOCOL_ERROR)
        else:
            self._buffer = data

    def _on_interim(self, stream: UpstreamStream, head: ResponseHead, rest: bytes) -> None:
        if head.status == 101:
            stream.on_upgraded(head, rest)
            return
        self._interims += 1
        if self._interims > _MAX_INTERIMS:
            self._fail(errors.PROTOCOL_ERROR)
            return
        stream.on_informational(head)
        if rest and self._stream is stream:
            self._read_head(rest)

    def _begin_body(self, head: ResponseHead, data: bytes, at: int) -> tuple[list[bytes], bool]:
        kind = head.framing
        if kind == framing.NONE or (kind == framing.LENGTH and head.length == 0):
            self._reusable &= at == len(data)
            return [], True
        self._body = _BODY
        self._chunked = None
        if kind == framing.LENGTH:
            self._left = head.length
        elif kind == framing.CHUNKED:
            self._chunked = ChunkedReader(payload_only=self._request.minor == 0, status=502)
        else:
            self._left = -1
            self._reusable = False
        return self._take_body(framing.tail(data, at, kind)) if at < len(data) else ([], False)

    def _take_body(self, data: bytes) -> tuple[list[bytes], bool]:
        if self._chunked is not None:
            end = self._chunked.feed(data)
            if end >= 0:
                self._reusable &= end == len(data)
            return self._chunked.pieces, end >= 0
        if self._left < 0:
            return [data], False
        self._left -= len(data)
        if self._left > 0:
            return [data], False
        if self._left < 0:
            self._reusable = False  # more than it said: what follows cannot be trusted
            data = data[: self._left]
        return [data], True

    # --- endings ---

    def _release(self) -> None:
        """The response is complete: put the connection back, or close it."""
        self.endpoint.active -= 1
        self._stream = None
        if self._last_words is not None:
            self._forget_last_words()
        if self._reusable and self.request_done:
            self._body = _IDLE
            if self._valve.reasons:
                self._valve.resume(flow.PEER_FULL)
            self.cluster.put(self)
        else:
            self.transport.abort()  # nothing more is wanted, neither said nor heard

    def _fail(self, failure: Failure) -> None:
        stream = self._stream
        self.abort()
        if stream is not None:
            if self.endpoint.monitor is not None:
                self.endpoint.monitor.on_failure()
            stream.on_upstream_failure(failure, self.requests > 1)

    def _on_cut_short(self, exc: Exception | None) -> None:
        stream, in_body = self._stream, self._body == _BODY
        self._detach()
        assert stream is not None  # noqa: S101 - checked by the caller
        if in_body and self._chunked is None and self._left < 0 and exc is None and self._heard_end:
            stream.on_response_data([], True)
        else:
            if self.endpoint.monitor is not None:
                self.endpoint.monitor.on_failure()
            stream.on_upstream_failure(
                errors.PROTOCOL_ERROR if self._buffer else errors.RESET, self.requests > 1
            )

    def _hear_out(self, data: bytes) -> None:
        """Read the answer that came before the reset (RFC 9112 §9.5: it may be why)."""
        if data:
            self._reusable = self.request_done = False
            self._read_head(self._buffer + data)

    def _forget_last_words(self) -> None:
        if self._last_words is not None:
            self._last_words.close()
            self._last_words = None

    def _detach(self) -> bool:
        """Part from the stream; False when there was none."""
        if self._stream is None and self._passage is None:
            return False
        self.endpoint.active -= 1
        self._forget_last_words()
        self._stream = self._passage = None
        return True
