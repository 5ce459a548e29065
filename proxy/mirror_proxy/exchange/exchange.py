"""The life of one request: the only place that ties downstream, routing, upstream and mirror together.

Read the methods in order; they are the phases. Decide (synchronous, once), send, return, and `_finish`, which
every exchange reaches exactly once. Nothing else writes an exchange: `headers`, `filters`, `mirroring` and
`upstream.retry` return decisions. No step waits for a mirror: shadows are offered what the primary is sent, and
get the time and status of its response.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterable, Sequence
from time import monotonic
from typing import TYPE_CHECKING

from mirror_proxy import errors, flow
from mirror_proxy.clock import NEVER
from mirror_proxy.downstream.connection import DownstreamConnection
from mirror_proxy.errors import BadMessageError, Failure
from mirror_proxy.exchange import filters, headers, mirroring
from mirror_proxy.exchange.filters import Answer, Delay
from mirror_proxy.exchange.replay import Replay
from mirror_proxy.exchange.tunnel import open_tunnel
from mirror_proxy.flow import Pieces
from mirror_proxy.http1 import framing, serializer, target
from mirror_proxy.http1.mutation import Mutation
from mirror_proxy.http1.request import RequestHead
from mirror_proxy.http1.response import ResponseHead
from mirror_proxy.routing.view import RequestView
from mirror_proxy.upstream import retry
from mirror_proxy.upstream.cluster import UpstreamCluster
from mirror_proxy.upstream.connection import UpstreamConnection
from mirror_proxy.upstream.retry import Retry

if TYPE_CHECKING:
    from mirror_proxy.comparison.capture.recording import Recording
    from mirror_proxy.config.model import HashKey
    from mirror_proxy.mirror.shadow import Shadow
    from mirror_proxy.snapshot.route import CompiledRoute
    from mirror_proxy.snapshot.snapshot import Snapshot
    from mirror_proxy.telemetry.tracer import Trace
    from mirror_proxy.upstream.endpoint import UpstreamEndpoint

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
    done = response_started = request_done = _is_end_shown = False
    route: CompiledRoute | None = None
    endpoint: UpstreamEndpoint | None = None
    tried: tuple[UpstreamEndpoint, ...] = ()
    shadows: Sequence[Shadow] = ()
    #: Name of each mirror that gets no shadow, and the outcome that says why.
    refusals: Sequence[tuple[str, str]] = ()
    deadline = alarm = NEVER
    _upstream: UpstreamConnection | None = None
    _timer: asyncio.TimerHandle | None = None
    _timeout_at = NEVER
    #: Fields that are set last in any response: each replaces the lines of its name; without a name it is added.
    _late_fields: Sequence[tuple[bytes, bytes]] = ()
    was_delayed = wants_fresh = _is_delayed = _is_waiting = _rechunks = False
    _hash: int | None = None
    _recording: Recording | None = None
    _pending: Pieces | None = None
    _replay: Replay | None = None
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
        fields = head.fields
        if snapshot.tracer is not None:
            share = snapshot.settings.tracing.share
            self.trace, fields = snapshot.tracer.begin(head.method, fields, share, is_traced=head.traced)
        fields = headers.for_upstream(fields, head, self.request_id, self.client, snapshot)
        if snapshot.sticky is not None:
            hashed = self._hash_by(snapshot.sticky, fields)
            self.draw = self.draw if hashed is None else hashed
        route = self.route = snapshot.table.match(head, fields, self.client)
        if route is None:
            self.reply(errors.NO_ROUTE)
            return
        self.destination = route.choose(self.draw)
        if data:
            self._keep(data)
        if route.is_direct:
            self._forward(route, fields, data)
        else:
            self._filter(route, fields, data)

    def _hash_by(self, key: HashKey, fields: bytes) -> int | None:
        """Return the hash of what `key` names of the request; a client without its cookie is sent one."""
        hashed, cookie = headers.hash_of(key, self.head, fields, self.client, self.snapshot.trusted_hops)
        if cookie:
            self._late_fields = [*self._late_fields, (b"", cookie)]
        return hashed

    def _filter(self, route: CompiledRoute, fields: bytes, data: bytes) -> None:
        """Answer or delay the request if the route says so, else go on."""
        decision = filters.begin(route, RequestView(self.head, fields, self.client))
        if isinstance(decision, Answer):
            self._answer_for(decision)
        elif isinstance(decision, Delay):
            self.was_delayed = self._is_delayed = True
            self._pending = Pieces(data)
            self._later(decision.wait_s, self._on_delay_end, route, fields)
        else:
            self._filter_on(route, fields, data)

    def _on_delay_end(self, route: CompiledRoute, fields: bytes) -> None:
        self._is_delayed = False
        self.client.resume(flow.CONNECTING)
        if self.trace is not None:
            self.trace.begin_attempt()
        self._filter_on(route, fields, self._take_pending())

    def _filter_on(self, route: CompiledRoute, fields: bytes, data: bytes) -> None:
        view = RequestView(self.head, fields, self.client)
        answer = filters.resume(route, view)
        if answer is not None:
            self._refuse_mirrors(route, "no_primary")
            self._answer_for(answer)
            return
        if route.cors is not None:
            self._late_fields = [*self._late_fields, *route.cors.response(view)]
        self._forward(route, fields, data)

    def _answer_for(self, answer: Answer) -> None:
        self.flag = answer.flag
        mutations = self.destination.response_mutations if answer.is_changed else ()
        self._answer(answer.status, answer.body, answer.lines, mutations)

    def _forward(self, route: CompiledRoute, fields: bytes, data: bytes) -> None:
        """Send what has arrived of the request to its destination, and a shadow to each mirror that takes it."""
        head = self.head
        self.cluster = self.destination.cluster
        if route.changes_request or not head.host_line:
            received = head.target
            fields = headers.changed_by_route(fields, head, route, self.destination)
            if head.target is not received:
                self.original_target = received
        self._wire = serializer.request_head(head, fields)
        if self.cluster.hash_key is not None:
            self._hash = self._hash_by(self.cluster.hash_key, fields)
        if self.request_done and route.timeout_s is not None:
            self._timeout_at = (monotonic() if self.was_delayed else self.started) + route.timeout_s
        if head.authenticates_connection:
            self.client.is_authenticated = True
        if (head.authenticates_connection or self.cluster.names_clients) and self.client.bound is None:
            self.client.bound = {}
        failure = self._attempt(data)
        if route.mirrors:
            self._mirror(route, fields, data, failure)
        if failure is not None:
            self._after_failure(failure, is_stale=False)

    def _mirror(self, route: CompiledRoute, fields: bytes, data: bytes, failure: Failure | None) -> None:
        if failure is not None:
            self._refuse_mirrors(route, "no_primary")
        elif self.client.is_authenticated:
            self._refuse_mirrors(route, "connection_auth")
        elif self.client.downstream.draining:
            self._refuse_mirrors(route, "draining")
        elif route.mirrors[0].budget.is_shedding:  # one for all mirrors of the worker
            self._refuse_mirrors(route, "shed")
        else:
            self.shadows, self.refusals, self._recording = mirroring.begin(self, route, fields, data)

    def _refuse_mirrors(self, route: CompiledRoute, outcome: str) -> None:
        """Count a request that no mirror gets."""
        if self.client.downstream.draining:
            outcome = "draining"
        self.refusals = mirroring.refuse(route, outcome)

    # --- send ---

    def _attempt(self, data: bytes) -> Failure | None:
        """Send over a kept connection, or wait for a new one; say why not when neither can be."""
        connection = None
        if self.client.bound is not None:
            connection = self._take_bound(self.client.bound)
        if connection is None or connection.transport.is_closing():
            connection = self.cluster.take(self.tried, self._hash)
        if connection is None:
            return self._wait(data)
        self._send(connection, data)
        return None

    def _take_bound(self, bound: dict[UpstreamCluster, UpstreamConnection]) -> UpstreamConnection | None:
        """Take the client's own connection, unless another endpoint is to be chosen."""
        connection = bound.pop(self.cluster, None)
        if connection is None:
            return None
        self.cluster.release(connection)
        endpoint = connection.endpoint
        if not self.client.is_authenticated and (endpoint in self.tried or not endpoint.is_fit):
            connection.close()
            return None
        return connection

    def _take_pending(self) -> bytes:
        """Return the body that no upstream connection has taken yet, and clear it."""
        pending, self._pending = self._pending, None
        return pending.joined() if pending is not None else b""

    def _wait(self, data: bytes) -> Failure | None:
        self._pending = Pieces(data)
        client = self.client.addresses if self.cluster.names_clients else None
        failure = self.cluster.wait(self, self.tried, self._hash, client=client)
        if failure is None:
            self._is_waiting = True
            self.cluster.wheel.set(self, min(self._timeout_at, monotonic() + self.snapshot.stream_idle_s))
        return failure

    def _send(self, connection: UpstreamConnection, data: bytes) -> None:
        self._upstream = connection
        self.endpoint = connection.endpoint
        bound = self.client.bound
        if bound is not None and (self.client.is_authenticated or connection.client is not None):
            connection.bind(bound)
        connection.send(self, self.head, self._wire, data, self.request_done)
        self._set_deadline(connection, self.started)

    def _set_deadline(self, connection: UpstreamConnection, now: float) -> None:
        """The nearest of route timeout, per-try timeout and stream idle time."""
        when = now + self.snapshot.stream_idle_s
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
        self._is_waiting = False
        self.cluster.wheel.forget(self)
        self._send(connection, self._take_pending())
        self.client.resume(flow.CONNECTING)

    def on_connect_failure(self, failure: Failure, endpoint: UpstreamEndpoint | None) -> None:
        """Called by the cluster: this connect failed; another attempt avoids the endpoint if it can."""
        self._is_waiting = False
        self.cluster.wheel.forget(self)
        self.endpoint = endpoint
        self._after_failure(failure, is_stale=False)

    # --- client callbacks ---

    def on_request_data(self, data: bytes, end: bool) -> None:
        """Called by the client connection: body for the primary, and by reference for the shadows."""
        self.request_done = end
        if self.done:  # the primary has responded early; the shadows get what still arrives
            for shadow in self.shadows:
                shadow.offer(data, end)
            return
        self._keep(data)
        upstream = self._upstream
        if upstream is not None:
            upstream.send_data(data, end)
        elif data:
            self._pending = self._pending or Pieces()
            self._pending.add(data)
            if self._pending.size > flow.HIGH_WATER:
                self.client.pause(flow.CONNECTING)
        for shadow in self.shadows:
            shadow.offer(data, end)
        if end:
            self._on_request_end()
        elif upstream is not None:
            self._set_deadline(upstream, monotonic())

    def _keep(self, data: bytes) -> None:
        """Count the body's bytes, and keep them for another attempt."""
        self.received_bytes += len(data)
        if self._replay is None:
            self._replay = Replay(self.client.downstream, self.snapshot.retry_buffer_bytes)
        self._replay.add(data)

    def _on_request_end(self) -> None:
        """The route's timeout runs from here (Envoy: from the end of the downstream request)."""
        upstream = self._upstream
        now = monotonic()
        if self.route is not None and self.route.timeout_s is not None:
            self._timeout_at = now + self.route.timeout_s
        if upstream is not None:
            self._set_deadline(upstream, now)
        elif self._is_waiting and self._timeout_at != NEVER:
            self.cluster.wheel.set(self, self._timeout_at)

    def on_request_broken(self, error: BadMessageError) -> None:
        """Called by the client connection: the body is malformed, so nothing more of it is sent."""
        if self.done:
            self._abort_shadows("primary_answered_early")
            return
        self._give_up_upstream()
        self.flag, self.detail = "DPE", error.reason
        self.status = self.status or error.status
        self._finish()
        if self.response_started:
            self.client.break_off(is_shown=self._is_end_shown)
        else:
            self.client.refuse_body(error)

    def on_client_gone(self) -> None:
        """Called by the client connection: the client has left, or has sent all that is waited for."""
        if self.done:
            self._abort_shadows("primary_answered_early")
            return
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
            self._abort_shadows("client_aborted")
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
        if route is not None and route.watches_status and self._retries_response(route, head):
            return
        if self._recording is not None:
            self._recording.begin(head, data, end)
        self.status = head.status
        self.response_started = True
        fields = self._fields_for_client(head)
        if end and not self._rechunks:
            self.sent_bytes = len(data)
            self.client.transport.write(b"%b%b\r\n%b" % (head.status_line, fields, data))
            self._on_response_end()
            return
        self._response = head
        self._is_end_shown = self._rechunks or head.framing == framing.LENGTH
        self.client.write(b"%b%b\r\n" % (head.status_line, fields))
        if data or end:
            self.on_response_data(data, end)

    def _fields_for_client(self, head: ResponseHead) -> bytes:
        """Return the response's block of fields; decide on its framing, and if the client's connection is kept."""
        route, minor, fields = self.route, self.head.minor, head.fields
        if head.framing >= framing.CHUNKED or not minor:
            fields = headers.framed_for_client(head, minor)
            if minor:
                self._rechunks = True
            else:
                self.keep_alive &= head.framing < framing.CHUNKED
        if route is not None and route.changes_response:
            for mutation in self.destination.response_mutations:
                fields = mutation.apply(fields)
        if self._late_fields:
            fields = headers.with_late_fields(fields, self._late_fields)
        if not self.request_done or self.client.downstream.draining:
            self.keep_alive = False
        if not self.keep_alive:
            return fields + b"connection: close\r\n"
        return fields if minor else fields + b"connection: keep-alive\r\n"

    def on_response_data(self, data: bytes, end: bool) -> None:
        """Forward more of the response's body."""
        client = self.client
        if end:
            self._upstream = None  # before a write, whose back-pressure must not reach it any more
        if self._recording is not None:
            self._recording.add(data, end)
        self.sent_bytes += len(data)
        if self._rechunks:
            trailers = self._response.trailers if end else b""
            client.transport.writelines(serializer.chunk(data, end, trailers))
        elif data:
            client.write(data)
        if end:
            self._on_response_end()
        elif self._upstream is not None:
            self._set_deadline(self._upstream, monotonic())

    def _on_response_end(self) -> None:
        if self.request_done:
            self._finish()
            self.client.finish(self.keep_alive)
        else:
            wants_rest = any(not (shadow.outcome or shadow.request_done) for shadow in self.shadows)
            self._finish(wants_rest=wants_rest)
            self.client.finish(self.keep_alive, wants_rest=wants_rest)

    def on_upgraded(self, head: ResponseHead, data: bytes) -> None:
        """Called by the upstream connection: 101. Only the protocol that the client requested becomes a tunnel."""
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
        open_tunnel(self.client, upstream, head, data, self._on_tunnel_end, self.snapshot.stream_idle_s)

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
            self._after_failure(failure, is_stale=is_stale)

    def on_upstream_pressure(self, full: bool) -> None:
        """Called by the upstream connection: slow the client to the primary's pace. No shadow does this."""
        (self.client.pause if full else self.client.resume)(flow.PEER_FULL)

    def on_deadline(self) -> None:
        """Called by the wheel, or by the upstream connection: a timeout has passed."""
        timed_out = monotonic() >= self._timeout_at
        upstream, self._upstream = self._upstream, None
        is_per_try = upstream is not None and not timed_out and self._is_per_try()
        idle = errors.STREAM_IDLE if self.request_done else errors.REQUEST_IDLE  # as Envoy: 504, 408
        failure = errors.TIMEOUT if timed_out or is_per_try else idle
        if upstream is not None:
            upstream.time_out()
        if is_per_try:
            self._after_failure(failure, is_stale=False)
            return
        self._give_up_upstream()
        if self.response_started:
            self._break_off(failure.flag, is_shown=self._is_end_shown)
            return
        if failure is errors.REQUEST_IDLE:
            self._abort_shadows("client_aborted")
        self.reply(failure)

    def _is_per_try(self) -> bool:
        """Return whether a try's own timeout runs: from the end of the request to the response's head, as in Envoy."""
        has_one = self.route is not None and self.route.per_try_timeout_s is not None
        return has_one and self.request_done and not self.response_started

    # --- retry ---

    def _after_failure(self, failure: Failure, *, is_stale: bool) -> None:
        """Try again when the table says so and the body is still here, else answer for the upstream."""
        route = self.route
        assert route is not None  # noqa: S101 - an attempt has a route
        again = retry.decide(
            route.retries,
            failure,
            self.head.method,
            is_stale=is_stale and not self.wants_fresh,
            retries=self.retries,
        )
        if again is None or not (failure.unsent or self._can_repeat()):
            self.reply(failure)
            return
        if not failure.unsent:  # else everything is still pending
            self._take_back()
        self._retry(route, again)

    def _retries_response(self, route: CompiledRoute, head: ResponseHead) -> bool:
        """Drop a response for another attempt; False if the response stands."""
        again = retry.decide_on_response(route.retries, head.status, head.fields, retries=self.retries)
        if again is None or not self._can_repeat():
            return False
        self._take_back()
        self._retry(route, again)
        return True

    def _can_repeat(self) -> bool:
        """Return whether all that was sent of the body is still here."""
        if self._replay is None or self._replay.is_complete:
            return True
        self.cluster.stats.retry_refused += 1
        return False

    def _take_back(self) -> None:
        """Leave the upstream, and make all that was sent pending again."""
        upstream, self._upstream = self._upstream, None
        if upstream is not None:
            upstream.abort()
        self.client.resume(flow.PEER_FULL)  # that upstream's pressure ends with it
        self._pending = Pieces(self._replay.joined() if self._replay is not None else b"")

    def _retry(self, route: CompiledRoute, again: Retry) -> None:
        """Send again: at once on a fresh connection after a stale one, else after the back-off."""
        reasons = self.cluster.stats.retries
        reasons[again.reason] = reasons.get(again.reason, 0) + 1
        if again.reason == retry.STALE:
            self.wants_fresh = True
            self._try_again()
            return
        if self.endpoint is not None and route.retries.ignore_previous_hosts:
            self.tried += (self.endpoint,)
        self.retries += 1
        self._later(again.wait_s, self._try_again)

    def _later(self, wait_s: float, callback: Callable[..., None], *args: object) -> None:
        """Go on after a while, unless the route's timeout comes first; what comes of the body waits."""
        left_s = self._timeout_at - monotonic()
        if left_s <= wait_s:  # and a timer may ring a millisecond early
            wait_s, callback, args = left_s, self.reply, (errors.TIMEOUT,)
        self._timer = asyncio.get_running_loop().call_later(wait_s, callback, *args)

    def _try_again(self) -> None:
        if self.trace is not None:
            self.trace.begin_attempt()
        failure = (self._wait if self.wants_fresh else self._attempt)(self._take_pending())
        if failure is not None:
            self._after_failure(failure, is_stale=False)
        elif self._upstream is not None:
            self.client.resume(flow.CONNECTING)

    # --- failing ---

    def reply(self, failure: Failure) -> None:
        """Answer in the upstream's place; the route's header changes apply."""
        self.flag = failure.flag
        extra = (b"x-envoy-overloaded: true",) if failure.flag == errors.OVERFLOW.flag else ()
        mutations = self.destination.response_mutations if self.route is not None else ()
        self._answer(failure.status, failure.body, extra, mutations)

    def _answer(
        self, status: int, body: bytes, lines: Iterable[bytes], mutations: Iterable[Mutation]
    ) -> None:
        """Write a response of the proxy itself; `lines` come before the late fields, `mutations` change both."""
        self.status = status
        self.keep_alive &= self.request_done and self.head.minor == 1 and not self.client.downstream.draining
        self.client.write(
            serializer.local_reply(
                status,
                body,
                keep_alive=self.keep_alive,
                lines=[*lines, *(line for name, line in self._late_fields if name)],
                mutations=mutations,
                head=self.head.method == b"HEAD",
            )
        )
        self.sent_bytes = len(body)
        self._on_response_end()

    def _break_off(self, flag: str, *, is_shown: bool) -> None:
        """End a response that has begun so that the client sees it broken."""
        self.flag = flag
        if flag != "SI":
            self._abort_shadows("primary_answered_early")
        self._finish()
        self.client.break_off(is_shown=is_shown)

    def _give_up_upstream(self) -> None:
        """Part from the primary, or stop waiting for it."""
        if self._is_waiting:
            self._is_waiting = False
            self.cluster.leave(self)
        if self._timer is not None:
            self._timer.cancel()
        if self._is_delayed and self.route is not None:
            self._is_delayed = False
            self._refuse_mirrors(self.route, "client_aborted")
        upstream, self._upstream = self._upstream, None
        if upstream is not None:
            upstream.abort()

    # --- finish ---

    def _finish(self, *, wants_rest: bool = False) -> None:
        """Count, end the shadows' pairing, log: always, exactly once. No shadow of half a request looks complete.

        `wants_rest`: shadows get what still arrives of the body.
        """
        if self.done:
            return
        self.done = True
        duration_s = monotonic() - self.started
        snapshot = self.snapshot
        snapshot.downstream.requests_active -= 1
        if self._replay is not None:
            self._replay.drop()
        if self.alarm != NEVER:
            self.cluster.wheel.forget(self)
        if self.route is not None:
            self.destination.stats.count(self.status, duration_s)
        if not (self.request_done or wants_rest):
            self._abort_shadows("client_aborted")
        for shadow in self.shadows:
            shadow.on_primary_end(self.status, duration_s)
        if snapshot.on_finish is not None:
            snapshot.on_finish(self, duration_s)

    def _abort_shadows(self, outcome: str) -> None:
        """Break off shadows of a request whose body will not be complete."""
        if not self.request_done:
            for shadow in self.shadows:
                if not shadow.request_done:  # a mirror that takes no bodies has got all
                    shadow.abort(outcome)
