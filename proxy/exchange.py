"""The life of one request: the only place that ties downstream, routing, upstream and mirror together.

Read the methods in order; they are the phases. Decide (synchronous, once), send, return, and `finish`, which
every exchange reaches exactly once. No step here waits for a mirror: shadows are offered what the primary is
sent, and told when the primary has answered.
"""

from __future__ import annotations

import asyncio
import random
from time import monotonic
from typing import TYPE_CHECKING

from proxy import errors, flow, forwarding
from proxy.clock import NEVER
from proxy.downstream.connection import STREAM_IDLE_S, DownstreamConnection
from proxy.errors import BadMessageError, Failure
from proxy.http1 import serializer, target
from proxy.http1.request import RequestHead
from proxy.http1.response import ResponseHead
from proxy.mirror.shadow import Shadow
from proxy.tunnel import open_tunnel
from proxy.upstream import retry
from proxy.upstream.connection import UpstreamConnection

if TYPE_CHECKING:
    from proxy.route import CompiledRoute
    from proxy.snapshot import Snapshot
    from proxy.upstream.endpoint import Endpoint

_getrandbits = random.getrandbits


class Exchange:
    """One request and its response."""

    # Class-level defaults instead of `__slots__`: half of these few requests ever set, and every store counts
    # (0.4 µs of a request; `python -m benchmarks --scenario get_mirror_100`).
    request_id = b""
    flag = ""
    original_target: bytes | None = None
    status = sent_bytes = received_bytes = 0
    done = response_started = request_done = False
    route: CompiledRoute | None = None
    endpoint: Endpoint | None = None
    tried: tuple[Endpoint, ...] = ()
    shadows: list[Shadow] | None = None
    refusals: list[tuple[str, str]] | None = None
    deadline = alarm = NEVER
    _upstream: UpstreamConnection | None = None
    _timer: asyncio.TimerHandle | None = None
    _timeout_at = NEVER
    rechunks = False
    wants_fresh = _waiting = False
    _retries = _pending_bytes = 0
    _pending: list[bytes] = []  # noqa: RUF012 - replaced, never changed, until `_wait` gives it one of its own
    _replay: list[bytes] | None = None

    def __init__(self, snapshot: Snapshot, client: DownstreamConnection, head: RequestHead) -> None:
        self.snapshot = snapshot
        self.client = client
        self.head = head
        self.started = monotonic()
        self.draw = _getrandbits(64)
        self.keep_alive = head.keep_alive

    # --- decide ---

    def begin(self, pieces: list[bytes], end: bool) -> None:
        """Route, decide on mirrors, and send; `pieces` is what came of the body with the head."""
        snapshot, head = self.snapshot, self.head
        self.request_done = end
        self.request_id = head.request_id or forwarding.new_request_id()
        snapshot.downstream.requests_active += 1
        if snapshot.normalization != "none":
            path = target.normalize(head.target, snapshot.normalization)
            if path is None:
                self._reply(errors.BAD_PATH)
                return
            head.target = path
        fields = forwarding.request_fields(self)
        route = self.route = snapshot.table.match(head, fields, self.client)
        if route is None:
            self._reply(errors.NO_ROUTE)
            return
        self.destination = route.choose(self.draw)
        self.cluster = self.destination.cluster
        if route.changes_request or not head.host_line:
            fields = forwarding.changed_fields(self, route, fields)
        self._wire = serializer.request_head(head, fields)
        if end and route.timeout_s is not None:
            self._timeout_at = self.started + route.timeout_s
        if pieces:
            self._keep(pieces)
        failure = self._attempt(pieces)
        if route.mirrors:
            self._mirror(route, fields, pieces, is_rejected=failure is not None)
        if failure is not None:
            self._on_failed_attempt(failure, reused=False)

    def _mirror(self, route: CompiledRoute, fields: bytes, pieces: list[bytes], *, is_rejected: bool) -> None:
        """Start a shadow for each mirror that takes the request; count why the others do not."""
        snapshot, head = self.snapshot, self.head
        beforehand = "draining" if self.client.door.draining else "no_primary" if is_rejected else None
        is_loop = head.mark is not None and snapshot.is_own_mark(head.mark)
        for mirror in route.mirrors:
            refusal = beforehand or mirror.refusal(head, self.draw, self.started, is_loop)
            if refusal is not None:
                mirror.count(refusal)
                if snapshot.log is not None:
                    self.refusals = [*(self.refusals or ()), (mirror.config.name, refusal)]
                continue
            wire = mirror.form.write(head, fields, self.client.local_ip)
            shadow = Shadow(mirror, head, wire, self.request_id, self.started)
            if self.shadows is None:
                self.shadows = [shadow]
            else:
                self.shadows.append(shadow)
            shadow.begin(pieces, self.request_done)

    # --- send ---

    def _attempt(self, pieces: list[bytes]) -> Failure | None:
        """Send over a kept connection, or wait for a new one; say why not when neither can be."""
        connection = self.cluster.take(self.tried)
        if connection is None:
            return self._wait(pieces)
        self._send(connection, pieces)
        return None

    def _wait(self, pieces: list[bytes]) -> Failure | None:
        self._pending = list(pieces)
        self._pending_bytes = sum(map(len, pieces))
        failure = self.cluster.wait(self, self.tried)
        if failure is None:
            self._waiting = True
            self.cluster.wheel.set(self, min(self._timeout_at, monotonic() + STREAM_IDLE_S))
        return failure

    def _send(self, connection: UpstreamConnection, pieces: list[bytes]) -> None:
        self._upstream = connection
        self.endpoint = connection.endpoint
        if self._pending:
            self._pending, self._pending_bytes = [], 0
        connection.send(self, self.head, self._wire, pieces, self.request_done)
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

    def _keep(self, pieces: list[bytes]) -> None:
        """Keep the body for a retry, as long as it is small enough."""
        size = sum(map(len, pieces))
        self.received_bytes += size
        if self.received_bytes <= self.snapshot.retry_buffer_bytes:
            self._replay = self._replay or []
            self._replay += pieces
        else:
            self._replay = None

    # --- waiter callbacks ---

    def on_connection(self, connection: UpstreamConnection) -> None:
        """Called by the cluster: send what is pending."""
        self._waiting = False
        self.cluster.wheel.forget(self)
        self._send(connection, self._pending)
        self.client.resume(flow.CONNECTING)

    def on_connect_failure(self, failure: Failure, endpoint: Endpoint | None) -> None:
        """Called by the cluster: this connect failed; another attempt avoids the endpoint if it can."""
        self._waiting = False
        self.cluster.wheel.forget(self)
        self.endpoint = endpoint
        self._on_failed_attempt(failure, reused=False)

    # --- client callbacks ---

    def on_request_data(self, pieces: list[bytes], end: bool) -> None:
        """Called by the client connection: body for the primary, and by reference for the shadows."""
        self.request_done = end
        self._keep(pieces)
        upstream = self._upstream
        if upstream is not None:
            upstream.send_data(pieces, end)
        else:
            self._pending = self._pending or []  # never the class's own list
            self._pending += pieces
            self._pending_bytes += sum(map(len, pieces))
            if self._pending_bytes > flow.HIGH_WATER:
                self.client.pause(flow.CONNECTING)
        if self.shadows is not None:
            for shadow in self.shadows:
                shadow.offer(pieces, end)
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
        self.flag = "DPE"
        answered = self.response_started
        self.status = self.status or error.status
        self._finish()
        self.client.refuse_body(error, answered)

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
            self._reply(errors.REQUEST_IDLE)
        else:
            self._break_off("SI")

    # --- return: upstream callbacks ---

    def on_informational(self, head: ResponseHead) -> None:
        """Relay a 1xx (100 Continue, 103 Early Hints) to a client that knows them."""
        if self.head.minor == 1:
            self.client.write(b"%b%b\r\n" % (head.status_line, head.fields))

    def on_response(self, head: ResponseHead, pieces: list[bytes], end: bool) -> None:
        """Forward the response's head, framed for this client, and what came of its body."""
        if end:
            self._upstream = None  # it may already carry another request
        self.status = head.status
        self.response_started = True
        fields = forwarding.response_fields(self, head)
        if end and len(pieces) == 1 and not self.rechunks:
            body = pieces[0]
            self.sent_bytes = len(body)
            self.client.transport.write(b"%b%b\r\n%b" % (head.status_line, fields, body))
            self._on_response_end()
            return
        self.client.write(b"%b%b\r\n" % (head.status_line, fields))
        if pieces or end:
            self.on_response_data(pieces, end)

    def on_response_data(self, pieces: list[bytes], end: bool) -> None:
        """Forward more of the response's body."""
        client = self.client
        if end:
            self._upstream = None
        for piece in pieces:
            self.sent_bytes += len(piece)
            client.write(b"%x\r\n%b\r\n" % (len(piece), piece) if self.rechunks else piece)
        if end:
            if self.rechunks:
                client.write(b"0\r\n\r\n")
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
            self._reply(errors.PROTOCOL_ERROR)
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

    def on_upstream_failure(self, failure: Failure, reused: bool) -> None:
        """Called by the upstream connection: the response will not be complete."""
        self._upstream = None
        if self.response_started:
            self._break_off(failure.flag)
        else:
            self._on_failed_attempt(failure, reused=reused)

    def on_upstream_pressure(self, full: bool) -> None:
        """Called by the upstream connection: slow the client to the primary's pace. No shadow does this."""
        (self.client.pause if full else self.client.resume)(flow.PEER_FULL)

    def on_deadline(self) -> None:
        """Called by the wheel, or by the upstream connection: a timeout has passed."""
        timed_out = monotonic() >= self._timeout_at
        self._give_up_upstream(abort_shadows=False)
        failure = errors.TIMEOUT if timed_out or self._is_per_try() else errors.STREAM_IDLE
        if self.response_started:
            self._break_off(failure.flag)
        else:
            self._reply(failure)

    def _is_per_try(self) -> bool:
        """Tell whether a try's own timeout runs: from the end of the request to the response's head, as in Envoy."""
        has_one = self.route is not None and self.route.per_try_timeout_s is not None
        return has_one and self.request_done and not self.response_started

    # --- failing ---

    def _on_failed_attempt(self, failure: Failure, *, reused: bool) -> None:
        """Try again when the one table says so, else answer for the upstream."""
        route = self.route
        assert route is not None  # noqa: S101 - an attempt has a route
        reason = retry.reason_to_retry(
            route.retries,
            failure,
            self.head.method,
            reused=reused and not self.wants_fresh,
            retries=self._retries,
        )
        if reason is None:
            self._reply(failure)
            return
        if not failure.unsent and self._replay is None and self.received_bytes:
            self.cluster.stats.retry_refused += 1
            self._reply(failure)
            return
        retries = self.cluster.stats.retries
        retries[reason] = retries.get(reason, 0) + 1
        if reason == "stale_connection":
            self.wants_fresh = True
            self.client.resume(flow.PEER_FULL)  # the connection that said so is gone
            refused = self._wait(self._replay or [])
            if refused is not None:
                self._reply(refused)
            return
        if not failure.unsent:  # else everything is still pending
            self.client.resume(flow.PEER_FULL)
            self._pending = list(self._replay or [])
            self._pending_bytes = sum(map(len, self._pending))
        if self.endpoint is not None and route.retries.ignore_previous_hosts:
            self.tried += (self.endpoint,)
        wait_s = retry.back_off_s(route.retries, self._retries)
        self._timer = asyncio.get_running_loop().call_later(wait_s, self._retry)
        self._retries += 1

    def _retry(self) -> None:
        self._timer = None
        failure = self._attempt(self._pending)
        if failure is not None:
            self._on_failed_attempt(failure, reused=False)

    def _reply(self, failure: Failure) -> None:
        """Answer in the upstream's place."""
        self.status = failure.status
        self.flag = failure.flag
        self.keep_alive &= self.request_done and self.head.minor == 1 and not self.client.door.draining
        extra = (b"x-envoy-overloaded: true",) if failure is errors.OVERFLOW else ()
        to_head = self.head.method == b"HEAD"
        self.client.write(
            serializer.local_reply(
                failure.status, failure.body, keep_alive=self.keep_alive, lines=extra, head=to_head
            )
        )
        self.sent_bytes = len(failure.body)
        self._finish()
        self.client.finish(self.keep_alive)

    def _break_off(self, flag: str) -> None:
        """End a response that has begun so that the client sees it broken."""
        self.flag = flag
        self._finish()
        self.client.break_off()

    def _give_up_upstream(self, *, abort_shadows: bool = True) -> None:
        """Part from the primary; a request that is incomplete leaves no shadow that looks complete."""
        if self._waiting:
            self._waiting = False
            self.cluster.leave(self)
        if self._timer is not None:
            self._timer.cancel()
        upstream, self._upstream = self._upstream, None
        if upstream is not None:
            upstream.abort()
        if abort_shadows and self.shadows is not None:
            for shadow in self.shadows:
                if not shadow.request_done:
                    shadow.abort("client_aborted")

    # --- finish ---

    def _finish(self) -> None:
        """Count, tell the shadows, log: always, exactly once."""
        if self.done:
            return
        self.done = True
        duration_s = monotonic() - self.started
        snapshot = self.snapshot
        snapshot.downstream.requests_active -= 1
        if self.alarm != NEVER:
            self.cluster.wheel.forget(self)
        if self.route is not None:
            self.destination.stats.count(self.status, duration_s)
        if self.shadows is not None:
            for shadow in self.shadows:
                if not self.request_done:
                    shadow.abort("client_aborted")
                shadow.on_primary_end(self.status, duration_s)
        if snapshot.log is not None:
            snapshot.log.on_exchange(self, duration_s)
