"""A shadow request on its way to a mirror: steps 8 and 13 of the walk.

Everything here is offered, never awaited: a shadow that falls behind its bound is dropped and counted, and
the exchange never notices. A shadow ends exactly once, with one outcome.
"""

from __future__ import annotations

from time import monotonic

from mirror_proxy.clock import NEVER
from mirror_proxy.errors import Failure
from mirror_proxy.flow import Pieces
from mirror_proxy.http1.request import RequestHead
from mirror_proxy.http1.response import ResponseHead
from mirror_proxy.mirror.policy import Mirror
from mirror_proxy.telemetry import trace
from mirror_proxy.telemetry.outcome import RESPONDED
from mirror_proxy.telemetry.tracer import Branch
from mirror_proxy.upstream.connection import UpstreamConnection
from mirror_proxy.upstream.endpoint import UpstreamEndpoint

_REPLAYABLE = frozenset({b"GET", b"HEAD", b"OPTIONS", b"TRACE", b"PUT", b"DELETE"})


class Shadow:
    """One request as one mirror gets it."""

    __slots__ = (
        "_connection", "_head", "_may_replay", "_pending", "_waiting", "_wire", "alarm", "body_bytes", "branch",
        "buffered_bytes", "deadline", "detail", "duration_s", "meter", "mirror", "outcome", "primary_duration_s",
        "primary_status", "progress_at", "reply_bytes", "request_done", "request_id", "started", "status",
        "wants_fresh",
    )  # fmt: skip

    def __init__(
        self, mirror: Mirror, head: RequestHead, wire: bytes, request_id: bytes, started: float
    ) -> None:
        self.mirror = mirror
        self.meter = mirror.stats
        self.request_id = request_id
        self.started = started
        self.outcome = self.detail = ""
        self.branch: Branch | None = None  # its place in a trace of ours
        self.status = self.primary_status = self.reply_bytes = self.buffered_bytes = 0
        self._head = head
        self._wire = wire
        self._connection: UpstreamConnection | None = None
        self._pending: Pieces | None = None
        self._waiting = self.wants_fresh = False
        self.deadline = self.alarm = NEVER
        #: When the mirror last took a byte of what waits.
        self.progress_at = started

    @property
    def trace_id(self) -> bytes:
        """The trace it belongs to, in hex; empty where there is none."""
        if self.branch is not None:
            return self.branch.trace.trace_id
        return trace.id_in(self._head.fields) if self._head.traced else b""

    # --- what the exchange offers ---

    def begin(self, data: bytes, end: bool) -> None:
        """Send the head and what has arrived of the body."""
        mirror = self.mirror
        mirror.live.add(self)
        if not mirror.takes_bodies:
            data, end = b"", True
        self.request_done = end
        if mirror.is_metered and not self._may_send(data, is_first=True):
            return
        self._may_replay = end and not data and self._head.method in _REPLAYABLE
        connection = mirror.cluster.take()
        if connection is not None:
            self._send(connection, data)
        else:
            self._wait(data)

    def offer(self, data: bytes, end: bool) -> None:
        """Send more of the body, as far as the mirror takes it; the rest waits in the worker's budget."""
        if self.outcome or self.request_done:  # a mirror that takes no bodies has got all
            return
        self.request_done = end
        if self.mirror.is_metered and not self._may_send(data):
            return
        connection = self._connection
        if connection is None:
            self._pending = self._pending or Pieces()
            self._pending.add(data)
            self._account(len(self._wire) + self._pending.size, len(data))
        else:
            connection.send_data(data, end)
            self._account(connection.buffered_bytes, len(data))
            if end:
                connection.set_deadline(monotonic() + self.mirror.settings.timeout_s)

    def abort(self, outcome: str) -> None:
        """Break the shadow request off so that it cannot look complete."""
        if self.outcome:
            return
        if self._waiting:
            self.mirror.cluster.leave(self)
        if self._connection is not None:
            self._connection.abort()
        self._end(outcome)

    def on_primary_end(self, status: int, duration_s: float) -> None:
        """The primary's response has ended; pair the two once the mirror's has as well."""
        self.primary_status = status
        self.primary_duration_s = duration_s
        if self.outcome in RESPONDED:
            self._pair()

    # --- waiter callbacks ---

    def on_connection(self, connection: UpstreamConnection) -> None:
        """Called by the cluster: send what is pending."""
        self._waiting = False
        self.mirror.cluster.wheel.forget(self)
        pending, self._pending = self._pending, None
        self._send(connection, pending.joined() if pending is not None else b"")

    def on_connect_failure(self, failure: Failure, endpoint: UpstreamEndpoint | None) -> None:  # noqa: ARG002 - a waiter's signature
        """Called by the cluster: there will be no connection."""
        self._waiting = False
        self._end(failure.outcome)

    # --- upstream callbacks ---

    def on_informational(self, head: ResponseHead) -> None:
        """Ignore a 1xx."""

    def on_response(self, head: ResponseHead, data: bytes, end: bool) -> None:
        """Note the status; the body is read to its end and dropped."""
        self.status = head.status
        self._may_replay = False
        if end:
            self.reply_bytes = len(data)
            self._end("completed")
        else:
            self.on_response_data(data, end)

    def on_response_data(self, data: bytes, end: bool) -> None:
        """Count the body's bytes."""
        self.reply_bytes += len(data)
        if end:
            self._end("completed")

    def on_upgraded(self, head: ResponseHead, data: bytes) -> None:  # noqa: ARG002 - the stream's signature
        """End the shadow: a 101 answers no shadow request."""
        self.abort("protocol_error")

    def on_upstream_failure(self, failure: Failure, is_stale: bool, detail: str) -> None:
        """The response will not be complete; after a stale connection, try once on a fresh one."""
        self._connection = None
        if is_stale and self._may_replay:
            self._may_replay = False
            self.wants_fresh = True
            self._wait(b"")
        else:
            self.detail = detail
            self._end(failure.outcome)

    def on_upstream_pressure(self, full: bool) -> None:
        """Account for what the kernel took; nobody else is slowed. Whoever fills the connection accounts for it."""
        if not full and self._connection is not None:
            self._account(0)

    def on_deadline(self) -> None:
        """End the shadow; a response that has begun is cut off, as streams are that never end."""
        if self._connection is not None:
            self._connection.time_out()
        self.abort("reply_cut" if self.status else "timeout")

    # --- private ---

    def _may_send(self, data: bytes, *, is_first: bool = False) -> bool:
        """Count bytes of the body, and of the head with the first; end the shadow whose body is too large."""
        mirror, known = self.mirror, max(self._head.length, 0)
        if is_first:
            self.body_bytes = 0
            mirror.byte_rate.spend(len(self._wire) + known)
        if not known:
            mirror.byte_rate.spend(len(data))
        self.body_bytes += len(data)
        most = mirror.settings.max_body_bytes
        if most is None or self.body_bytes <= most:
            return True
        self.abort("over_size")
        return False

    def _send(self, connection: UpstreamConnection, data: bytes) -> None:
        self._connection = connection
        connection.send(self, self._head, self._wire, data, self.request_done)
        if self.request_done:
            connection.deadline = when = monotonic() + self.mirror.settings.timeout_s
            if when < connection.alarm:
                connection.set_deadline(when)
        else:
            connection.deadline = NEVER  # no longer idle; the client sets the pace, not the mirror
        if data or self.buffered_bytes:
            self._account(connection.buffered_bytes, len(self._wire) + len(data) - self.buffered_bytes)

    def _wait(self, data: bytes) -> None:
        mirror = self.mirror
        self._waiting = True
        self._pending = Pieces(data)
        failure = mirror.cluster.wait(self, for_shadow=True)
        if failure is not None:
            self._waiting = False
            self._end(failure.outcome)
            return
        mirror.cluster.wheel.set(self, monotonic() + mirror.settings.timeout_s)
        size = len(self._wire) + len(data)
        self._account(size, size)

    def refresh(self, now: float) -> None:
        """Read anew how many bytes wait, for the budget; the mirror may have taken some since the last time."""
        connection = self._connection
        if connection is not None and connection.buffered_bytes < self.buffered_bytes:
            self.progress_at = now
            self._set_buffered(connection.buffered_bytes)

    def _account(self, buffered_bytes: int, added_bytes: int = 0) -> None:
        """Note how many bytes wait after `added_bytes` more; make room, maybe at this shadow's cost."""
        taken_bytes = self.buffered_bytes + added_bytes - buffered_bytes
        if buffered_bytes != self.buffered_bytes:
            self._set_buffered(buffered_bytes)
        mirror = self.mirror
        most = mirror.settings.max_lag_bytes
        if most is not None and buffered_bytes > most:
            self.abort("lagged")
            return
        budget = mirror.budget
        if budget.used_bytes > budget.scarce_bytes:  # else nobody asks when the mirror took something
            now = monotonic()
            if taken_bytes > 0:
                self.progress_at = now
            if budget.used_bytes > budget.limit:
                budget.make_room(now)

    def _set_buffered(self, buffered_bytes: int) -> None:
        budget = self.mirror.budget
        budget.used_bytes += buffered_bytes - self.buffered_bytes
        if not buffered_bytes:
            budget.waiting.discard(self)
        elif not self.buffered_bytes:
            budget.waiting.add(self)
        self.buffered_bytes = buffered_bytes

    def _end(self, outcome: str) -> None:
        if self.outcome:
            return
        self.outcome = outcome
        now = monotonic()
        self.duration_s = now - self.started
        self._connection = None
        self._pending = None
        if self.buffered_bytes:
            self._set_buffered(0)
        mirror = self.mirror
        if self.alarm != NEVER:
            mirror.cluster.wheel.forget(self)
        mirror.on_shadow_end(self, now)
        if self.primary_status and outcome in RESPONDED:
            self._pair()

    def _pair(self) -> None:
        stats = self.mirror.stats
        if self.outcome == "completed":
            stats.count_pair(self.primary_status, self.status, self.duration_s - self.primary_duration_s)
        else:
            stats.count_statuses(self.primary_status, self.status)
