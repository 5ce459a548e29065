"""What a worker makes of traced requests: the context that each side is sent, and spans as plain records.

Where spans go (`config.model.Tracing`), each request has a server span, or goes on with the decision that it is not
sampled; what the primary is sent is a client span, and what each mirror is sent is one called `mirror`. Both are
children of the server span. Records wait here for the next heartbeat, and the supervisor exports them.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from time import monotonic
from typing import TYPE_CHECKING, Literal

from mirror_proxy.config.model import Address
from mirror_proxy.telemetry import trace
from mirror_proxy.telemetry.span import Attributes, Span
from mirror_proxy.telemetry.trace import Context

if TYPE_CHECKING:
    from mirror_proxy.exchange.exchange import Exchange
    from mirror_proxy.mirror.shadow import Shadow

#: So many spans are kept between two heartbeats. Pickling them takes a worker about 5 ms, which requests wait for.
MOST_SPANS = 2048
#: What is kept of values that others choose; a request's name and state are cut nowhere else.
_MAX_HOST, _MAX_PATH, _MAX_ID, _MAX_STATE = 255, 1024, 128, 512

#: RFC 9110 §9.3 and RFC 5789; what else a client calls a method is no name for a span.
_METHODS = frozenset(
    {b"GET", b"HEAD", b"POST", b"PUT", b"DELETE", b"CONNECT", b"OPTIONS", b"TRACE", b"PATCH"}
)
_getrandbits, _randbytes = random.getrandbits, random.randbytes


class Trace:
    """One request's place in its trace, and the ids of the spans that are made of it.

    `lines` are its context as the primary is sent it. Only a sampled request has a `tracer`. `attempt_began` is when
    the primary was asked again, as `monotonic` has it, and `epoch_ns` when that was zero.
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
        self.lines = self.lines_of(self.client_id)

    def lines_of(self, span_id: bytes) -> list[bytes]:
        """Write the context of a span below the server's."""
        return self.context.lines(self.trace_id, span_id, self.server_id, is_sampled=self.is_sampled)

    def begin_attempt(self) -> None:
        """The primary is asked from now on."""
        self.attempt_began = monotonic()

    def branch(self) -> Branch:
        """Make the place of a shadow that is sent now."""
        return Branch(self, _randbytes(8).hex().encode())


class Branch:
    """One shadow's place in the trace of the request it copies."""

    __slots__ = ("began", "span_id", "trace")

    def __init__(self, trace_: Trace, span_id: bytes) -> None:
        self.trace = trace_
        self.span_id = span_id
        self.began = monotonic() if trace_.is_sampled else 0.0

    def write(self, fields: bytes) -> bytes:
        """Put the shadow's context in the place of the primary's; what a route has changed of that stays so.

        A line that differs has an id that nobody else can know, so it is found nowhere else.
        """
        for theirs, ours in zip(self.trace.lines, self.trace.lines_of(self.span_id), strict=True):
            fields = fields.replace(theirs, ours, 1)
        return fields

    def on_end(self, shadow: Shadow) -> None:
        """The shadow has ended, in whatever way."""
        if self.trace.tracer is not None:
            self.trace.tracer.on_shadow(self, shadow)


class Tracer:
    """Makes traces of requests and spans of what has ended; `on_exchange` also tells `journal`.

    `throw` gives 64 random bits, of those on whom nobody has decided. `dropped` counts the spans there was no room for.
    """

    def __init__(
        self,
        journal: Callable[[Exchange, float], None] | None,
        throw: Callable[[], int] = lambda: _getrandbits(64),
    ) -> None:
        self.throw = throw
        self.dropped = 0
        self._journal = journal
        self._spans: list[Span] = []

    def begin(self, exchange: Exchange, fields: bytes) -> bytes:
        """Continue a request's trace, or start one; return `fields` with the context that the primary is sent.

        A decision that came with the request is obeyed; without one the configured share of requests is sampled.
        """
        context = trace.NONE
        if exchange.head.traced:
            context, fields = trace.read(fields)
        is_sampled = context.is_sampled
        if is_sampled is None:
            share = exchange.snapshot.settings.tracing.share
            is_sampled = self.throw() % share.denominator < share.numerator
        made = exchange.trace = Trace(context, is_sampled)
        if is_sampled:
            made.tracer = self
            made.method = exchange.head.method
            made.epoch_ns = time.time_ns() - _ns(monotonic())
        return b"%b%b\r\n" % (fields, b"\r\n".join(made.lines))

    def take(self) -> tuple[Span, ...]:
        """Hand over the spans that have ended since the last time."""
        spans, self._spans = tuple(self._spans), []
        return spans

    def on_exchange(self, exchange: Exchange, duration_s: float) -> None:
        """A client's exchange has ended: make its spans, if it is sampled."""
        made = exchange.trace
        if made is not None and made.is_sampled:
            ended = exchange.started + duration_s
            if exchange.endpoint is not None:
                self._end_client(exchange, made, ended)
            self._end_server(exchange, made, ended)
        if self._journal is not None:
            self._journal(exchange, duration_s)

    def on_shadow(self, branch: Branch, shadow: Shadow) -> None:
        """A shadow of a sampled request has ended: make its span."""
        made, outcome, status = branch.trace, shadow.outcome, shadow.status
        attributes: Attributes = (
            ("server.address", shadow.mirror.cluster.config.host),
            ("mirror_proxy.mirror", shadow.mirror.config.name),
            ("mirror_proxy.outcome", outcome),
            *_status(status),
        )
        error = outcome if outcome != "completed" else _bad(status, 400)
        self._record(made, "mirror", branch.span_id, (branch.began, monotonic()), attributes, error)

    def _end_client(self, exchange: Exchange, made: Trace, ended: float) -> None:
        endpoint, config = exchange.endpoint, exchange.cluster.config
        assert endpoint is not None  # noqa: S101 - who was asked has an address
        status = exchange.status if exchange.response_started else 0
        scheme = "https" if config.tls is not None else "http"
        port = endpoint.address.port
        resent = exchange.retries + exchange.wants_fresh
        attributes: Attributes = (
            ("url.full", f"{scheme}://{Address(config.host, port)}{_path(exchange.head.target)}"),
            ("server.address", config.host),
            ("server.port", port),
            ("network.peer.address", endpoint.address.host),
            *_status(status),
            *((("http.request.resend_count", resent),) if resent else ()),
        )
        error = exchange.flag or _bad(status, 400)
        self._record(
            made, "client", made.client_id, (made.attempt_began or exchange.started, ended), attributes, error
        )

    def _end_server(self, exchange: Exchange, made: Trace, ended: float) -> None:
        head, route, status = exchange.head, exchange.route, exchange.status
        attributes: Attributes = (
            ("url.scheme", _text(exchange.client.scheme)),
            ("url.path", _path(exchange.original_target or head.target)),
            ("server.address", _text(head.host[:_MAX_HOST])),
            ("mirror_proxy.request_id", _text(exchange.request_id[:_MAX_ID])),
            *_status(status),
        )
        if route is not None:
            attributes += (
                ("mirror_proxy.snapshot.route", route.name),
                ("mirror_proxy.destination", exchange.destination.name),
            )
        # What the client did wrong is no error of the server's (semantic conventions).
        error = "" if 400 <= status < 500 else exchange.flag or _bad(status, 500)
        self._record(made, "server", made.server_id, (exchange.started, ended), attributes, error)

    def _record(
        self,
        made: Trace,
        role: Literal["server", "client", "mirror"],
        span_id: bytes,
        times: tuple[float, float],
        attributes: Attributes,
        error: str,
    ) -> None:
        if len(self._spans) >= MOST_SPANS:
            self.dropped += 1
            return
        method = _text(made.method) if made.method in _METHODS else ""
        attributes += (("http.request.method", method or "_OTHER"),)
        if error:
            attributes += (("error.type", error),)
        began, ended = times
        self._spans.append(
            Span(
                name="mirror" if role == "mirror" else method or "HTTP",
                kind="server" if role == "server" else "client",
                trace_id=_text(made.trace_id),
                span_id=_text(span_id),
                parent_id=_text(made.context.parent_id if role == "server" else made.server_id),
                start_ns=made.epoch_ns + _ns(began),
                end_ns=made.epoch_ns + _ns(ended),
                attributes=attributes,
                is_error=bool(error),
                trace_state=_text(made.context.state) if len(made.context.state) <= _MAX_STATE else "",
            )
        )


def _path(target: bytes) -> str:
    """Give a target's path alone: a query string may hold secrets."""
    return _text(target.partition(b"?")[0][:_MAX_PATH])


def _status(status: int) -> Attributes:
    return (("http.response.status_code", status),) if status else ()


def _bad(status: int, least: int) -> str:
    return str(status) if status >= least else ""


def _text(raw: bytes) -> str:
    return raw.decode("latin-1")


def _ns(seconds: float) -> int:
    return int(seconds * 1e9)
