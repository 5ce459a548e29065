"""Traces of requests: the context that each side is sent, and spans as plain records.

Where spans go (`config.model.Tracing`), each request has a server span, or keeps the decision that it is not sampled.
What the primary is sent is a client span, and what each mirror is sent is one called `mirror`; both are children of
the server span. `worker.spans` records the first two, `mirror.policy` the third. Records wait in the `Tracer` for the
next heartbeat, and the supervisor exports them.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from time import monotonic
from typing import Literal

from mirror_proxy.config.model import Share
from mirror_proxy.telemetry import trace
from mirror_proxy.telemetry.outcome import RESPONDED
from mirror_proxy.telemetry.span import Attributes, Span
from mirror_proxy.telemetry.trace import Context

#: At most this many spans wait for a heartbeat. Pickling them blocks the worker's loop for about 5 ms.
MOST_SPANS = 2048
#: A longer trace state is left out of spans.
_MAX_STATE = 512

#: RFC 9110 §9.3 and RFC 5789; what else a client calls a method is no name for a span.
_METHODS = frozenset(
    {b"GET", b"HEAD", b"POST", b"PUT", b"DELETE", b"CONNECT", b"OPTIONS", b"TRACE", b"PATCH"}
)
_getrandbits, _randbytes = random.getrandbits, random.randbytes


class Trace:
    """One request's place in its trace, and the ids of the spans that are made of it.

    `lines` are its context as the primary is sent it. Only a sampled request has a `tracer`. `attempt_began` is when
    the last attempt began, as `monotonic` has it, and `epoch_ns` when that was zero.
    """

    # Class-level defaults, as in `exchange`: of most requests no span is made.
    tracer: Tracer | None = None
    method = b""
    epoch_ns = 0
    attempt_began = 0.0

    def __init__(self, context: Context, is_sampled: bool) -> None:
        ids = _randbytes(32).hex().encode()
        self.context = context
        self.is_sampled = is_sampled
        self.trace_id = context.trace_id or ids[:32]
        self.server_id = ids[32:48]
        self.client_id = ids[48:]
        self.lines = self.lines_of(self.client_id, is_sampled=is_sampled)

    def lines_of(self, span_id: bytes, *, is_sampled: bool) -> list[bytes]:
        """Write the context of a span below the server's."""
        return self.context.lines(self.trace_id, span_id, self.server_id, is_sampled=is_sampled)

    def begin_attempt(self) -> None:
        """Start the time of an attempt."""
        self.attempt_began = monotonic()

    def branch(self, share: Share | None = None) -> Branch:
        """Make the place of a shadow that is sent now; of those of sampled requests, `share` is sampled too."""
        return Branch(self, _randbytes(8).hex().encode(), self.is_sampled and is_drawn(share))


class Branch:
    """One shadow's place in the trace of its request."""

    __slots__ = ("began", "is_sampled", "span_id", "trace")

    def __init__(self, trace_: Trace, span_id: bytes, is_sampled: bool) -> None:
        self.trace = trace_
        self.span_id = span_id
        self.is_sampled = is_sampled
        self.began = monotonic() if is_sampled else 0.0

    def write(self, fields: bytes) -> bytes:
        """Put the shadow's context in the place of the primary's; what a route has changed of that stays so.

        Such a line has a random id, so the search finds nothing else.
        """
        lines = self.trace.lines_of(self.span_id, is_sampled=self.is_sampled)
        for theirs, ours in zip(self.trace.lines, lines, strict=True):
            fields = fields.replace(theirs, ours, 1)
        return fields

    def end(self, host: str, mirror: str, outcome: str, status: int) -> None:
        """Record the shadow's span, if it is sampled: the shadow has ended with `outcome`."""
        if self.trace.tracer is None or not self.is_sampled:
            return
        attributes: Attributes = (
            ("server.address", host),
            ("mirror_proxy.mirror", mirror),
            ("mirror_proxy.outcome", outcome),
            *status_attributes(status),
        )
        error = error_of(status, 400) if outcome in RESPONDED else outcome
        self.trace.tracer.record(
            self.trace, "mirror", self.span_id, (self.began, monotonic()), attributes, error
        )


class Tracer:
    """Makes traces of requests, and keeps the spans of what has ended until they are taken.

    `draw` returns 64 random bits, which decide where no decision came with the request. `dropped` counts the spans
    that found no room.
    """

    def __init__(self, draw: Callable[[], int] = lambda: _getrandbits(64)) -> None:
        self.draw = draw
        self.dropped = 0
        self._spans: list[Span] = []

    def begin(self, method: bytes, fields: bytes, share: Share, *, is_traced: bool) -> tuple[Trace, bytes]:
        """Continue a request's trace, or start one; return it, and `fields` with the context for the primary.

        A decision that came with the request is obeyed; without one, `share` of the requests is sampled. `is_traced`
        says whether `fields` hold a context.
        """
        context = trace.NONE
        if is_traced:
            context, fields = trace.read(fields)
        is_sampled = context.is_sampled
        if is_sampled is None:
            is_sampled = self.draw() % share.denominator < share.numerator
        made = Trace(context, is_sampled)
        if is_sampled:
            made.tracer = self
            made.method = method
            made.epoch_ns = time.time_ns() - _ns(monotonic())
        return made, b"%b%b\r\n" % (fields, b"\r\n".join(made.lines))

    def take(self) -> tuple[Span, ...]:
        """Hand over the spans that have ended since the last time."""
        spans, self._spans = tuple(self._spans), []
        return spans

    def record(
        self,
        made: Trace,
        role: Literal["server", "client", "mirror"],
        span_id: bytes,
        times: tuple[float, float],
        attributes: Attributes,
        error: str,
    ) -> None:
        """Keep the span of one side; `times` are its begin and end, as `monotonic` has them."""
        if len(self._spans) >= MOST_SPANS:
            self.dropped += 1
            return
        method = text(made.method) if made.method in _METHODS else ""
        attributes += (("http.request.method", method or "_OTHER"),)
        if error:
            attributes += (("error.type", error),)
        began, ended = times
        self._spans.append(
            Span(
                name="mirror" if role == "mirror" else method or "HTTP",
                kind="server" if role == "server" else "client",
                trace_id=text(made.trace_id),
                span_id=text(span_id),
                parent_id=text(made.context.parent_id if role == "server" else made.server_id),
                start_ns=made.epoch_ns + _ns(began),
                end_ns=made.epoch_ns + _ns(ended),
                attributes=attributes,
                is_error=bool(error),
                trace_state=text(made.context.state) if len(made.context.state) <= _MAX_STATE else "",
            )
        )


def is_drawn(share: Share | None) -> bool:
    """Draw whether a shadow of a sampled request is sampled."""
    return share is None or _getrandbits(64) % share.denominator < share.numerator


def text(raw: bytes) -> str:
    """Return bytes of a head as a span says them."""
    return raw.decode("latin-1")


def status_attributes(status: int) -> Attributes:
    """Return the attribute of a response's status; none for 0, which is no response."""
    return (("http.response.status_code", status),) if status else ()


def error_of(status: int, least: int) -> str:
    """Return the error type of a status from `least` up."""
    return str(status) if status >= least else ""


def _ns(seconds: float) -> int:
    return int(seconds * 1e9)
