"""The life of one request: the only place that ties downstream, routing, upstream and mirror together.

Read the methods in order; they are the phases. Decide (synchronous, once), send, return, and `finish`, which
every exchange reaches exactly once. No step here waits for a mirror: shadows are offered what the primary is
sent, and told when the primary has answered.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence
from time import monotonic
from typing import TYPE_CHECKING

from mirror_proxy import errors, flow
from mirror_proxy.clock import NEVER
from mirror_proxy.downstream.connection import STREAM_IDLE_S, DownstreamConnection
from mirror_proxy.errors import BadMessageError, Failure
from mirror_proxy.exchange import filters, headers, mirroring, retrying
from mirror_proxy.exchange.tunnel import open_tunnel
from mirror_proxy.flow import Pieces
from mirror_proxy.http1 import framing, serializer, target
from mirror_proxy.http1.mutation import Mutation
from mirror_proxy.http1.request import RequestHead
from mirror_proxy.http1.response import ResponseHead
from mirror_proxy.upstream.connection import UpstreamConnection

if TYPE_CHECKING:
    from mirror_proxy.comparison.capture.recording import Recording
    from mirror_proxy.mirror.shadow import Shadow
    from mirror_proxy.snapshot.route import CompiledRoute
    from mirror_proxy.snapshot.snapshot import Snapshot
    from mirror_proxy.telemetry.tracer import Trace
    from mirror_proxy.upstream.endpoint import Endpoint

_getrandbits = random.getrandbits


class Exchange:
    """One request and its response."""

    # Class-level defaults instead of `__slots__`: half of these few requests ever set, and every store counts
    # (0.4 µs of a request; `python -m benchmarks --scenario get_mirror_100`).
    request_id = b""
    flag = detail = ""
    original_target: bytes | None = None
    trace: Trace | None = None
    status = sent_bytes = received_bytes = retries = 0
    done = response_started = request_done = rechunks = _is_end_shown = False
    route: CompiledRoute | None = None
    endpoint: Endpoint | None = None
    tried: tuple[Endpoint, ...] = ()
    shadows: list[Shadow] | None = None
    refusals: list[tuple[str, str]] | None = None
    recording: Recording | None = None
    deadline = alarm = NEVER
    _upstream: UpstreamConnection | None = None
    _timer: asyncio.TimerHandle | None = None
    _timeout_at = NEVER
    #: Fields that our answer or the upstream's gets last: in place of the line of that name, or without one as well.
    late_fields: Sequence[tuple[bytes, bytes]] = ()
    was_held = is_held = wants_fresh = _waiting = False
    _hash: int | None = None
    pending: Pieces | None = None
    replay: Pieces | None = None
    is_kept = True  # `replay` has all of the body that has arrived
    meter = None

    def __init__(self, snapshot: Snapshot, client: DownstreamConnection, head: RequestHead) -> None:
        self.snapshot = snapshot
        self.client = client
        self.head = head
        self.started = monotonic()
        self.draw = _getrandbits(64)
        self.keep_alive = head.keep_alive

    # --- decide ---

    def begin(self, data: bytes, end: bool) -> None:
        """Route, decide on mirrors, and send; `data` is the part of the body that came with the head."""
        snapshot, head = self.snapshot, self.head
        self.request_done = end
        self.request_id = head.request_id or headers.new_request_id()
        snapshot.downstream.requests_active += 1
        if snapshot.normalization != "none":
            path = target.normalize(head.target, snapshot.normalization)
            if path is None:
                self.reply(errors.BAD_PATH)
                return
            head.target = path
        fields = headers.request_fields(self)
        if snapshot.sticky is not None:
            headers.stick(self, snapshot.sticky, fields)
        route = self.route = snapshot.table.match(head, fields, self.client)
        if route is None:
            self.reply(errors.NO_ROUTE)
            return
        self.destination = route.choose(self.draw)
        if data:
            retrying.keep(self, data)
        if route.is_direct:
            self.forward(route, fields, data)
        else:
            filters.begin(self, route, fields, data)

    def forward(self, route: CompiledRoute, fields: bytes, data: bytes) -> None:
        """Send to the destination what has come of the request, and a copy to each mirror that takes it."""
        head = self.head
        self.cluster = self.destination.cluster
        if route.changes_request or not head.host_line:
            fields = headers.changed_fields(self, route, fields)
        self._wire = serializer.request_head(head, fields)
        if self.cluster.hash_key is not None:
            self._hash = headers.hash_of(self, self.cluster.hash_key, fields)
        if self.request_done and route.timeout_s is not None:
            self._timeout_at = (monotonic() if self.was_held else self.started) + route.timeout_s
        if head.authenticates_connection and self.client.bound is None:
            self.client.bound = {}
        failure = self._attempt(data)
        if route.mirrors:
            if failure is not None:
                mirroring.refuse(self, route, "no_primary")
            elif self.client.bound is not None:
                mirroring.refuse(self, route, "connection_auth")
            else:
                mirroring.admit(self, route, fields, data)
        if failure is not None:
            retrying.after_failure(self, failure, is_stale=False)

    # --- send ---

    def _attempt(self, data: bytes) -> Failure | None:
        """Send over a kept connection, or wait for a new one; say why not when neither can be."""
        connection = None
        if self.client.bound is not None:
            connection = self.client.bound.pop(self.cluster, None)
        if connection is None or connection.transport.is_closing():
            connection = self.cluster.take(self.tried, self._hash)
        if connection is None:
            return self._wait(data)
        self._send(connection, data)
        return None

    def hold(self, data: bytes) -> None:
        """Make `data` pending: no upstream connection takes it yet."""
        self.pending = Pieces(data)

    def take_pending(self) -> bytes:
        """Return the pending data, and clear it."""
        pending, self.pending = self.pending, None
        return pending.joined() if pending is not None else b""

    def _wait(self, data: bytes) -> Failure | None:
        self.hold(data)
        failure = self.cluster.wait(self, self.tried, self._hash)
        if failure is None:
            self._waiting = True
            self.cluster.wheel.set(self, min(self._timeout_at, monotonic() + STREAM_IDLE_S))
        return failure

    def _send(self, connection: UpstreamConnection, data: bytes) -> None:
        self._upstream = connection
        self.endpoint = connection.endpoint
        if self.client.bound is not None:
            connection.bind(self.client.bound)
        connection.send(self, self.head, self._wire, data, self.request_done)
        self._set_deadline(connection, self.started)

    def _set_deadline(self, connection: UpstreamConnection, now: float) -> None:
        """The nearest of route timeout, per-try timeout and stream idle time."""
        when = now + STREAM_IDLE_S
        if self._timeout_at < when:  # noqa: PLR1730 - min() is a call, and this is every request's path
            when = self._timeout_at
        route = self.route
        if route is not None and route.per_try_timeout_s is not None and self._is_per_try():
            when = min(when, monotonic() + route.per_try_timeout_s)
        connection.deadline = when
        if when < connection.alarm:
            connection.set_deadline(when)

    # --- waiter callbacks ---

    def on_connection(self, connection: UpstreamConnection) -> None:
        """Called by the cluster: send what is pending."""
        self._waiting = False
        self.cluster.wheel.forget(self)
        self._send(connection, self.take_pending())
        self.client.resume(flow.CONNECTING)

    def on_connect_failure(self, failure: Failure, endpoint: Endpoint | None) -> None:
        """Called by the cluster: this connect failed; another attempt avoids the endpoint if it can."""
        self._waiting = False
        self.cluster.wheel.forget(self)
        self.endpoint = endpoint
        retrying.after_failure(self, failure, is_stale=False)

    # --- client callbacks ---

    def on_request_data(self, data: bytes, end: bool) -> None:
        """Called by the client connection: body for the primary, and by reference for the shadows."""
        self.request_done = end
        retrying.keep(self, data)
        upstream = self._upstream
        if upstream is not None:
            upstream.send_data(data, end)
        elif data:
            self.pending = self.pending or Pieces()
            self.pending.add(data)
            if self.pending.size > flow.HIGH_WATER:
                self.client.pause(flow.CONNECTING)
        for shadow in self.shadows or ():
            shadow.offer(data, end)
        if end:
            self._on_request_end()
        elif upstream is not None:
            self._set_deadline(upstream, monotonic())

    def _on_request_end(self) -> None:
        """The route's timeout runs from here (Envoy: from the end of the downstream request)."""
        upstream = self._upstream
        now = monotonic()
        if self.route is not None and self.route.timeout_s is not None:
            self._timeout_at = now + self.route.timeout_s
        if upstream is not None:
            self._set_deadline(upstream, now)
        elif self._waiting and self._timeout_at != NEVER:
            self.cluster.wheel.set(self, self._timeout_at)

    def on_request_broken(self, error: BadMessageError) -> None:
        """Called by the client connection: the body is malformed, so nothing more of it is sent."""
        self._give_up_upstream()
        self.flag, self.detail = "DPE", error.reason
        self.status = self.status or error.status
        self._finish()
        if self.response_started:
            self.client.break_off(is_shown=self._is_end_shown)
        else:
            self.client.refuse_body(error)

    def on_client_gone(self) -> None:
        """Called by the client connection: nobody waits for the response any more."""
        self._give_up_upstream()
        self.flag = self.flag or "DC"
        self._finish()

    def on_client_pressure(self, full: bool) -> None:
        """Called by the client connection: slow the primary to the client's pace."""
        if self._upstream is not None:
            (self._upstream.pause if full else self._upstream.resume)()

    def on_client_idle(self, uploading: bool) -> None:
        """Called by the client connection: it sent no body, or read no response, for too long."""
        self._give_up_upstream()
        if uploading and not self.response_started:
            self.reply(errors.REQUEST_IDLE)
        else:
            self._break_off("SI", is_shown=False)  # a client that does not read would not see the end either

    # --- return: upstream callbacks ---

    def on_informational(self, head: ResponseHead) -> None:
        """Relay a 1xx (100 Continue, 103 Early Hints) to a client that knows them."""
        if self.head.minor == 1:
            self.client.write(b"%b%b\r\n" % (head.status_line, head.fields))

    def on_response(self, head: ResponseHead, data: bytes, end: bool) -> None:
        """Forward the response's head, framed for this client, and what came of its body."""
        if end:
            self._upstream = None  # it may already carry another request
        route = self.route
        if route is not None and route.watches_status and retrying.after_response(self, route, head):
            return
        if self.recording is not None:
            self.recording.begin(head, data, end)
        self.status = head.status
        self.response_started = True
        fields = headers.response_fields(self, head)
        if end and not self.rechunks:
            self.sent_bytes = len(data)
            self.client.transport.write(b"%b%b\r\n%b" % (head.status_line, fields, data))
            self._on_response_end()
            return
        self._response = head
        self._is_end_shown = self.rechunks or head.framing == framing.LENGTH
        self.client.write(b"%b%b\r\n" % (head.status_line, fields))
        if data or end:
            self.on_response_data(data, end)

    def on_response_data(self, data: bytes, end: bool) -> None:
        """Forward more of the response's body."""
        client = self.client
        if end:
            self._upstream = None  # before a write, whose back-pressure must not reach it any more
        if self.recording is not None:
            self.recording.add(data, end)
        self.sent_bytes += len(data)
        if self.rechunks:
            trailers = self._response.trailers if end else b""
            client.transport.writelines(serializer.chunk(data, end, trailers))
        elif data:
            client.write(data)
        if end:
            self._on_response_end()
        elif self._upstream is not None:
            self._set_deadline(self._upstream, monotonic())

    def _on_response_end(self) -> None:
        self._finish()
        self.client.finish(self.keep_alive)

    def on_upgraded(self, head: ResponseHead, data: bytes) -> None:
        """Called by the upstream connection: 101. Only what the client asked for becomes a tunnel."""
        upstream = self._upstream
        assert upstream is not None  # noqa: S101 - a response has a connection
        if not self.head.upgrade or head.upgrade.lower() != self.head.upgrade:
            upstream.abort()
            self._upstream = None
            self.reply(errors.PROTOCOL_ERROR)
            return
        self.status = 101
        self.response_started = True
        self.snapshot.downstream.tunnels_active += 1
        open_tunnel(self.client, upstream, head, data, self._on_tunnel_end)

    def _on_tunnel_end(self, received_bytes: int, sent_bytes: int) -> None:
        self.received_bytes, self.sent_bytes = received_bytes, sent_bytes
        self.snapshot.downstream.tunnels_active -= 1
        self._upstream = None
        self._finish()

    def on_upstream_failure(self, failure: Failure, is_stale: bool, detail: str) -> None:
        """Called by the upstream connection: the response will not be complete."""
        self._upstream = None
        self.detail = detail
        if self.response_started:
            self._break_off(failure.flag, is_shown=self._is_end_shown)
        else:
            retrying.after_failure(self, failure, is_stale=is_stale)

    def on_upstream_pressure(self, full: bool) -> None:
        """Called by the upstream connection: slow the client to the primary's pace. No shadow does this."""
        (self.client.pause if full else self.client.resume)(flow.PEER_FULL)

    def on_deadline(self) -> None:
        """Called by the wheel, or by the upstream connection: a timeout has passed."""
        timed_out = monotonic() >= self._timeout_at
        upstream, self._upstream = self._upstream, None
        is_per_try = upstream is not None and not timed_out and self._is_per_try()
        failure = errors.TIMEOUT if timed_out or is_per_try else errors.STREAM_IDLE
        if upstream is not None:
            upstream.time_out()
        if is_per_try:
            retrying.after_failure(self, failure, is_stale=False)
            return
        self._give_up_upstream()
        if self.response_started:
            self._break_off(failure.flag, is_shown=self._is_end_shown)
        else:
            self.reply(failure)

    def _is_per_try(self) -> bool:
        """Tell whether a try's own timeout runs: from the end of the request to the response's head, as in Envoy."""
        has_one = self.route is not None and self.route.per_try_timeout_s is not None
        return has_one and self.request_done and not self.response_started

    # --- failing ---

    def take_back(self) -> None:
        """Part from the upstream and have all that was sent pending again."""
        upstream, self._upstream = self._upstream, None
        if upstream is not None:
            upstream.abort()
        self.client.resume(flow.PEER_FULL)  # who would not take it fast enough is gone
        self.hold(self.replay.joined() if self.replay is not None else b"")

    def later(self, wait_s: float, callback: Callable[..., None], *args: object) -> None:
        """Go on after a while, unless the route's timeout comes first; what comes of the body waits."""
        left_s = self._timeout_at - monotonic()
        if left_s <= wait_s:  # and a timer may ring a millisecond early
            wait_s, callback, args = left_s, self.reply, (errors.TIMEOUT,)
        self._timer = asyncio.get_running_loop().call_later(wait_s, callback, *args)

    def try_again(self) -> None:
        """Send what is pending, on a fresh connection if that is wanted."""
        failure = (self._wait if self.wants_fresh else self._attempt)(self.take_pending())
        if failure is not None:
            retrying.after_failure(self, failure, is_stale=False)
        elif self._upstream is not None:
            self.client.resume(flow.CONNECTING)

    def reply(self, failure: Failure) -> None:
        """Answer in the upstream's place, changed as the route changes any response."""
        self.flag = failure.flag
        extra = (b"x-envoy-overloaded: true",) if failure.flag == errors.OVERFLOW.flag else ()
        mutations = self.destination.response_mutations if self.route is not None else ()
        self.answer(failure.status, failure.body, extra, mutations)

    def answer(
        self, status: int, body: bytes, lines: Sequence[bytes], mutations: Sequence[Mutation] = ()
    ) -> None:
        """Answer ourselves, with `lines` besides those that every answer has, then changed by `mutations`."""
        self.status = status
        self.keep_alive &= self.request_done and self.head.minor == 1 and not self.client.downstream.draining
        self.client.write(headers.own_answer(self, status, body, lines, mutations))
        self.sent_bytes = len(body)
        self._finish()
        self.client.finish(self.keep_alive)

    def _break_off(self, flag: str, *, is_shown: bool) -> None:
        """End a response that has begun so that the client sees it broken."""
        self.flag = flag
        self._finish()
        self.client.break_off(is_shown=is_shown)

    def _give_up_upstream(self) -> None:
        """Part from the primary, or stop waiting for it."""
        if self._waiting:
            self._waiting = False
            self.cluster.leave(self)
        if self._timer is not None:
            self._timer.cancel()
        if self.is_held and self.route is not None:
            self.is_held = False
            mirroring.refuse(self, self.route, "client_aborted")
        upstream, self._upstream = self._upstream, None
        if upstream is not None:
            upstream.abort()

    # --- finish ---

    def _finish(self) -> None:
        """Count, tell the shadows, log: always, exactly once. No copy of an incomplete request may look complete."""
        if self.done:
            return
        self.done = True
        duration_s = monotonic() - self.started
        snapshot = self.snapshot
        snapshot.downstream.requests_active -= 1
        if self.replay is not None:
            retrying.let_go(self)
        if self.alarm != NEVER:
            self.cluster.wheel.forget(self)
        if self.route is not None:
            self.destination.stats.count(self.status, duration_s)
        for shadow in self.shadows or ():
            if not self.request_done:
                shadow.abort("client_aborted")
            shadow.on_primary_end(self.status, duration_s)
        if snapshot.on_finish is not None:
            snapshot.on_finish(self, duration_s)
