"""Spans of a client's exchanges: the server's and the primary's (`telemetry.tracer` has the shadows')."""

from __future__ import annotations

from collections.abc import Callable

from mirror_proxy.config.model import Address
from mirror_proxy.exchange.exchange import Exchange
from mirror_proxy.telemetry.span import Attributes
from mirror_proxy.telemetry.tracer import Trace, Tracer, error_of, status_attributes, text

#: What is kept of values that others choose.
_MAX_HOST, _MAX_PATH, _MAX_ID = 255, 1024, 128


class ExchangeSpans:
    """Records the spans of exchanges with `tracer`; `then`, if any, is called with each exchange as well."""

    def __init__(self, tracer: Tracer, then: Callable[[Exchange, float], None] | None) -> None:
        self._tracer = tracer
        self._then = then

    def on_exchange(self, exchange: Exchange, duration_s: float) -> None:
        """A client's exchange has ended: make its spans, if it is sampled."""
        made = exchange.trace
        if made is not None and made.is_sampled:
            ended = exchange.started + duration_s
            if exchange.endpoint is not None:
                self._end_client(exchange, made, ended)
            self._end_server(exchange, made, ended)
        if self._then is not None:
            self._then(exchange, duration_s)

    def _end_client(self, exchange: Exchange, made: Trace, ended: float) -> None:
        endpoint, config = exchange.endpoint, exchange.cluster.config
        assert endpoint is not None  # noqa: S101 - an attempt has an endpoint
        status = exchange.status if exchange.response_started else 0
        scheme = "https" if config.tls is not None else "http"
        port = endpoint.address.port or (80 if config.tls is None else 443)
        resent = exchange.retries + exchange.wants_fresh
        attributes: Attributes = (
            ("url.full", f"{scheme}://{Address(config.host, port)}{_path(exchange.head.target)}"),
            ("server.address", config.host),
            ("server.port", port),
            ("network.peer.address", endpoint.address.host),
            *status_attributes(status),
            *((("http.request.resend_count", resent),) if resent else ()),
        )
        error = exchange.flag or error_of(status, 400)
        self._tracer.record(
            made, "client", made.client_id, (made.attempt_began or exchange.started, ended), attributes, error
        )

    def _end_server(self, exchange: Exchange, made: Trace, ended: float) -> None:
        head, route, status = exchange.head, exchange.route, exchange.status
        attributes: Attributes = (
            ("url.scheme", text(exchange.client.scheme)),
            ("url.path", _path(exchange.original_target or head.target)),
            ("server.address", text(head.host[:_MAX_HOST])),
            ("mirror_proxy.request_id", text(exchange.request_id[:_MAX_ID])),
            *status_attributes(status),
        )
        if route is not None:
            attributes += (
                ("mirror_proxy.snapshot.route", route.name),
                ("mirror_proxy.destination", exchange.destination.name),
            )
        # What the client did wrong is no error of the server's (semantic conventions).
        error = "" if 400 <= status < 500 else exchange.flag or error_of(status, 500)
        self._tracer.record(made, "server", made.server_id, (exchange.started, ended), attributes, error)


def _path(target: bytes) -> str:
    """Return a target's path alone: a query string may hold secrets."""
    return text(target.partition(b"?")[0][:_MAX_PATH])
