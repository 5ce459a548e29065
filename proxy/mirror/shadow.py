"""One copied request on its way to a mirror: steps 15 and 16 of the walk.

Everything here is offered, never awaited: a shadow that falls behind its bound is dropped and counted, and
whoever offered never knows. It ends exactly once, with one outcome.
"""

from __future__ import annotations

from time import monotonic

from proxy.clock import NEVER
from proxy.errors import Failure
from proxy.http1.framing import RequestHead, ResponseHead
from proxy.mirror.policy import Mirror
from proxy.upstream.connection import UpstreamConnection

#: More of a reply than this is not read: the connection is closed instead.
MAX_REPLY_BYTES = 1024 * 1024

_REPLAYABLE = frozenset({b"GET", b"HEAD", b"OPTIONS", b"TRACE", b"PUT", b"DELETE"})


class Shadow:
    """One request's copy for one mirror."""

    __slots__ = (
        "_connection", "_held", "_held_bytes", "_head", "_replay", "_request_done", "_waiting", "alarm", "deadline",
        "duration_s", "mirror", "outcome", "primary_duration_s", "primary_status", "reply_bytes", "request_id",
        "started", "status",
    )  # fmt: skip

    def __init__(self, mirror: Mirror, head: RequestHead, request_id: bytes, started: float) -> None:
        self.mirror = mirror
        self.request_id = request_id
        self.started = started
        self.deadline = self.alarm = NEVER
        self.outcome = ""
        self.status = 0
        self.duration_s = 0.0
        self.reply_bytes = 0
        self.primary_status = 0
        self.primary_duration_s = 0.0
        self._head = head
        self._connection: UpstreamConnection | None = None
        self._held: list[bytes] = []
        self._held_bytes = 0
        self._replay: list[bytes] | None = None
        self._request_done = False
        self._waiting = False

    # --- what the exchange offers ---

    def begin(self, data: list[bytes], end: bool) -> None:
        """Send the copy: `data` is its head and what there is of its body."""
        mirror = self.mirror
        mirror.live.add(self)
        self._request_done = end
        if end and self._head.method in _REPLAYABLE:
            self._replay = data
        connection = mirror.cluster.take()
        if connection is not None:
            self._send(connection, data)
            return
        self._wait(data)

    def offer(self, pieces: list[bytes], end: bool) -> None:
        """More of the body; dropped, and the shadow with it, when it is too far behind."""
        if self.outcome:
            return
        self._request_done = end
        connection = self._connection
        if connection is None:
            self._held += pieces
            self._account(sum(map(len, self._held)))
        else:
            connection.send_data(pieces, end)
            self._account(connection.buffered_bytes)
            if end:
                connection.set_deadline(monotonic() + self.mirror.settings.timeout_s)

    def abort(self, outcome: str) -> None:
        """Break the copy off so that it cannot look complete."""
        if self.outcome:
            return
        if self._waiting:
            self.mirror.cluster.leave(self)
        if self._connection is not None:
            self._connection.abort()
        self._end(outcome)

    @property
    def is_request_done(self) -> bool:
        """True once the whole request was offered."""
        return self._request_done

    def on_primary_end(self, status: int, duration_s: float) -> None:
        """The primary answered; pair the two once both have."""
        self.primary_status = status
        self.primary_duration_s = duration_s
        if self.outcome == "completed":
            self._pair()

    # --- waiter callbacks ---

    def on_connection(self, connection: UpstreamConnection) -> None:
        """Called by the cluster: send what was held."""
        self._waiting = False
        self.mirror.cluster.wheel.forget(self)
        held, self._held = self._held, []
        self._send(connection, held)
        self._account(connection.buffered_bytes)

    def on_connect_failure(self, failure: Failure) -> None:
        """Called by the cluster: there will be no connection."""
        self._waiting = False
        self._end(failure.outcome)

    # --- upstream callbacks ---

    def on_informational(self, head: ResponseHead) -> None:
        """Ignore a 1xx."""

    def on_response(self, head: ResponseHead, pieces: list[bytes], end: bool) -> None:
        """Note the status; the rest is read only so far as to reuse the connection."""
        self.status = head.status
        self._replay = None
        self.on_response_data(pieces, end)

    def on_response_data(self, pieces: list[bytes], end: bool) -> None:
        """Discard the reply's body, up to a cap."""
        for piece in pieces:
            self.reply_bytes += len(piece)
        if end or self.reply_bytes > MAX_REPLY_BYTES:
            if not end and self._connection is not None:
                self._connection.abort()
            self._end("completed")

    def on_upgraded(self, head: ResponseHead, data: bytes) -> None:  # noqa: ARG002 - the stream's signature
        """A 101 nobody asked for."""
        self.abort("protocol_error")

    def on_upstream_failure(self, failure: Failure, reused: bool) -> None:
        """The reply will not come; a kept connection that turned out closed is worth one fresh try."""
        replay, self._replay = self._replay, None
        self._connection = None
        if reused and replay is not None and failure.outcome == "reset":
            self._wait(replay)
        else:
            self._end(failure.outcome)

    def on_upstream_pressure(self, full: bool) -> None:
        """Account for what the kernel took; never passed on to anyone."""
        if self._connection is not None:
            self._account(0 if not full else self._connection.buffered_bytes)

    def on_deadline(self) -> None:
        """The mirror took too long."""
        self.abort("timeout")

    # --- private ---

    def _send(self, connection: UpstreamConnection, data: list[bytes]) -> None:
        self._connection = connection
        connection.send(self, self._head, data, self._request_done)
        if self._request_done:
            connection.set_deadline(monotonic() + self.mirror.settings.timeout_s)
        if len(data) > 1:
            self._account(connection.buffered_bytes)

    def _wait(self, data: list[bytes]) -> None:
        mirror = self.mirror
        self._waiting = True
        self._held = data.copy()
        failure = mirror.cluster.wait(self)
        if failure is not None:
            self._waiting = False
            self._end(failure.outcome)
            return
        mirror.cluster.wheel.set(self, monotonic() + mirror.settings.timeout_s)
        self._account(sum(map(len, data)))

    def _account(self, held_bytes: int) -> None:
        """Note how much waits for this shadow; drop it when that is too much."""
        mirror = self.mirror
        change = held_bytes - self._held_bytes
        if change:
            self._held_bytes = held_bytes
            mirror.buffered_bytes += change
            mirror.budget.held += change
            if held_bytes > mirror.settings.max_lag_bytes:
                self.abort("lagged")
            elif change > 0 and mirror.budget.held > mirror.budget.limit:
                self.abort("over_buffer")

    def _end(self, outcome: str) -> None:
        if self.outcome:
            return
        self.outcome = outcome
        now = monotonic()
        self.duration_s = now - self.started
        self._connection = None
        self._held = []
        if self._held_bytes:
            self._account(0)
        mirror = self.mirror
        if self.alarm != NEVER:
            mirror.cluster.wheel.forget(self)
        mirror.live.discard(self)
        if outcome == "completed":
            stats = mirror.stats
            stats.codes[self.status] = stats.codes.get(self.status, 0) + 1
            stats.duration.observe(self.duration_s)
            if self.primary_status:
                self._pair()
        mirror.on_shadow_end(self, now)

    def _pair(self) -> None:
        self.mirror.stats.count_pair(self.primary_status, self.status, self.duration_s - self.primary_duration_s)
