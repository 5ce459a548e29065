"""Access log lines: one when the client's exchange ends, one when a shadow ends, with the same request id.

Nothing of a header but the request id, and of the target only the path: a query string may hold secrets.
"""

from __future__ import annotations

import json
import time

from mirror_proxy.exchange.exchange import Exchange
from mirror_proxy.mirror.shadow import Shadow
from mirror_proxy.telemetry import trace
from mirror_proxy.telemetry.access_log import AccessLog
from mirror_proxy.text import visible

#: A line has to fit into one write to a pipe (4 KiB), which is all or nothing.
_MAX_ID, _MAX_METHOD, _MAX_HOST, _MAX_PATH, _MAX_DETAIL = 128, 64, 255, 1024, 200
#: Who broke HTTP: the client or the primary. An exchange that was tried again may have a detail and end well.
_BROKEN = ("DPE", "UPE")


class AccessRecords:
    """Writes what ended to the access log, which drops lines rather than wait."""

    __slots__ = ("_log",)

    def __init__(self, log: AccessLog) -> None:
        self._log = log

    def on_exchange(self, exchange: Exchange, duration_s: float) -> None:
        """Write the line of a client's exchange, with each mirror's admission: `sent` or why not."""
        head, route = exchange.head, exchange.route
        target = exchange.original_target or head.target
        mirrors = dict(exchange.refusals)
        for shadow in exchange.shadows:
            mirrors[shadow.mirror.config.name] = "sent"
        self._write(
            {
                "kind": "request",
                "time": _now(),
                "request_id": _text(exchange.request_id[:_MAX_ID]),
                **_trace(_trace_id(exchange)),
                "method": _text(head.method[:_MAX_METHOD]),
                "host": _text(head.host[:_MAX_HOST]),
                "path": _text(target.partition(b"?")[0][:_MAX_PATH]),
                "route": route.name if route is not None else None,
                "destination": exchange.destination.name if route is not None else None,
                "upstream": exchange.endpoint.label if exchange.endpoint is not None else None,
                "status": exchange.status,
                "flag": _flags(exchange),
                **_detail(exchange.detail if exchange.flag in _BROKEN else ""),
                "duration_ms": _ms(duration_s),
                "received_bytes": exchange.received_bytes,
                "sent_bytes": exchange.sent_bytes,
                "mirrors": mirrors,
            }
        )

    def on_shadow(self, shadow: Shadow) -> None:
        """Write the line of a shadow."""
        self._write(
            {
                "kind": "mirror",
                "time": _now(),
                "request_id": _text(shadow.request_id[:_MAX_ID]),
                **_trace(shadow.trace_id),
                "mirror": shadow.mirror.config.name,
                "outcome": shadow.outcome,
                **_detail(shadow.detail if shadow.outcome == "protocol_error" else ""),
                "status": shadow.status or None,
                "duration_ms": _ms(shadow.duration_s),
                "reply_bytes": shadow.reply_bytes,
            }
        )

    def _write(self, record: dict[str, object]) -> None:
        self._log.offer(json.dumps(record, separators=(",", ":")).encode())


def _trace_id(exchange: Exchange) -> bytes:
    if exchange.trace is not None:
        return exchange.trace.trace_id
    return trace.id_in(exchange.head.fields) if exchange.head.traced else b""


def _trace(trace_id: bytes) -> dict[str, str]:
    return {"trace_id": _text(trace_id)} if trace_id else {}


def _detail(rule: str) -> dict[str, str]:
    return {"detail": visible(rule[:_MAX_DETAIL])} if rule else {}


def _flags(exchange: Exchange) -> str | None:
    flags = ("DI" if exchange.was_delayed else "", exchange.flag)
    return ",".join(filter(None, flags)) or None


def _text(raw: bytes) -> str:
    return raw.decode("latin-1")


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 3)


def _now() -> str:
    now = time.time()
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(now))}.{int(now * 1000) % 1000:03d}Z"
