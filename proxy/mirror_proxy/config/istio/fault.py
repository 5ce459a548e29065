"""Fault: trouble made on purpose. Without a percentage it is made for no request, unlike a mirror.

Sources: istio/api HTTPFaultInjection, istio pkg/config/validation/validation.go (`validateHTTPFaultInjection`),
pilot/pkg/networking/core/route/route.go (`TranslateFault`).
"""

from __future__ import annotations

from typing import Any

from mirror_proxy.config.istio.action import http_status
from mirror_proxy.config.istio.fields import go_duration
from mirror_proxy.config.istio.names import HUNDRED, MILLION
from mirror_proxy.config.model import Fault, Share
from mirror_proxy.config.node import Place
from mirror_proxy.config.schema import Field, Record, Scalar

NEVER = Share(0, MILLION)
LEAST = 0.0001
GRPC_STATUSES = frozenset(
    (
        *("OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND"),
        *("ALREADY_EXISTS", "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED"),
        *("OUT_OF_RANGE", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED"),
    )
)


def _percentage(value: float) -> Share:
    if value != 0 and not LEAST <= value <= HUNDRED:
        shown = repr(float(value)).removesuffix(".0")
        raise ValueError(f"percentage {shown} is neither 0.0, nor in range [0.0001, 100.0]")
    return Share(int(value * 10_000), MILLION)


def _percent(value: int) -> Share:
    if not 0 <= value <= HUNDRED:
        raise ValueError(f"percentage {value} is not in range 0..100")
    return Share(value, HUNDRED)


def _exponential(_text: str) -> float:
    raise ValueError("exponentialDelay not supported yet")


def _http2_error(_text: str) -> int:
    raise ValueError("HTTP/2 abort fault injection not supported yet")


def _grpc_status(name: str) -> int:
    if name not in GRPC_STATUSES:
        raise ValueError(
            f'gRPC status "{name}" is not supported. See'
            " https://github.com/grpc/grpc/blob/master/doc/statuscodes.md for a list of supported codes,"
            " for example 'NOT_FOUND'"
        )
    raise ValueError("gRPC needs HTTP/2, which this proxy does not speak; write httpStatus")


def _delay(
    fixed: float | None = None, percentage: Share | None = None, percent: Share | None = None
) -> dict[str, Any]:
    if fixed is None:
        return {}
    return {"delay": percentage or percent or NEVER, "delay_s": fixed}


def _abort(place: Place, status: int | None = None, percentage: Share | None = None) -> dict[str, Any]:
    if status is None:
        place.warn("abort configured, but error type not set")
        return {}
    return {"abort": percentage or NEVER, "abort_status": status}


def _fault(delay: dict[str, Any] | None = None, abort: dict[str, Any] | None = None) -> Fault:
    if delay is None and abort is None:
        raise ValueError("HTTP fault injection must have an abort and/or a delay")
    return Fault(**(delay or {}), **(abort or {}))


PERCENTAGE = Record(
    lambda value=NEVER: value,
    (Field("value", "value", Scalar(("number", "integer"), _percentage)),),
)
DELAY = Record(
    _delay,
    (
        Field("fixedDelay", "fixed", go_duration()),
        Field("exponentialDelay", "", Scalar(("string",), _exponential)),
        Field("percentage", "percentage", PERCENTAGE),
        Field("percent", "percent", Scalar(("integer",), _percent)),
    ),
    is_proto=True,
    is_whole=True,
)
ABORT = Record(
    _abort,
    (
        Field("httpStatus", "status", Scalar(("integer",), http_status)),
        Field("grpcStatus", "", Scalar(("string",), _grpc_status)),
        Field("http2Error", "", Scalar(("string",), _http2_error)),
        Field("percentage", "percentage", PERCENTAGE),
    ),
    placed=True,
    is_proto=True,
    is_whole=True,
)
FAULT = Record(_fault, (Field("delay", "delay", DELAY), Field("abort", "abort", ABORT)), is_whole=True)
