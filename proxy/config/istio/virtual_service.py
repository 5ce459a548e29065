"""VirtualService: the part that this version has, read into rules that `routes` makes the model of.

Fields that are known but not built stand in the tables as `Later`. Sources: istio/api VirtualService,
istio pkg/config/validation/validation.go, pilot/pkg/networking/core/route/route.go (`MirrorPercent*`).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from proxy.config.document import Document
from proxy.config.headers import envoy_value, header_ops
from proxy.config.istio.names import (
    DESTINATION_HOST,
    HUNDRED,
    PORT_SELECTOR,
    percent,
    whole_document,
    wildcard_host,
)
from proxy.config.model import HeaderOps, RetryPolicy
from proxy.config.node import Place
from proxy.config.problems import Problems
from proxy.config.rules import DestinationRef, HostRule, MirrorRef, RouteRule, Target
from proxy.config.schema import INVALID, LATER, TEXT, Field, Ignored, Later, ListOf, Record, Scalar, duration

MIRROR_NAME = "mirror-proxy.dev/mirror-name"  # annotation: what every mirror of the VirtualService is called
NO_CHANGE = HeaderOps()


def _mirror_percent(value: int) -> tuple[int, int]:
    if not 0 <= value <= HUNDRED:
        raise ValueError(f"mirror_percent must have a max value of 100 (it has {value})")
    return value, HUNDRED


def _target(place: Place, host: str, port: int | None = None) -> Target:
    return Target(place, host, "", port=port)  # the namespace comes with the document


def _mirror(target: Target, percent: tuple[int, int] = (HUNDRED, HUNDRED)) -> MirrorRef:
    return MirrorRef(target, *percent)


def _weight(value: int) -> int:
    if value < 0:
        raise ValueError(f"weight {value} < 0")
    return value


def _attempts(value: int) -> int:
    if value < 0:
        raise ValueError("attempts cannot be negative")
    return value


def _retries(attempts: int = 0, per_try_timeout_s: float | None = None) -> RetryPolicy:
    if attempts == 0 and per_try_timeout_s is not None:
        raise ValueError("http retry policy configured when attempts are set to 0 (disabled)")
    return RetryPolicy(attempts, per_try_timeout_s)


def _headers(**sides: HeaderOps) -> tuple[HeaderOps, HeaderOps]:
    return sides.get("request", NO_CHANGE), sides.get("response", NO_CHANGE)


def _route(place: Place, **values: Any) -> Any:
    """Put one `spec.http` item together as a RouteRule; INVALID or ValueError when it cannot be one."""
    if place.get("route") is None or not place.node.value["route"].value:
        raise ValueError("HTTP route, redirect or direct_response is required")
    targets = values.get("route")
    if targets is None:
        return INVALID
    if len(targets) > 1:
        place.at("route").refuse(f"several destinations: {LATER}")
    request, response = values.get("headers", (NO_CHANGE, NO_CHANGE))
    return RouteRule(
        place,
        name=values.get("name", ""),
        destinations=(DestinationRef(targets[0]),),
        mirrors=_mirrors(place, values),
        timeout_s=values.get("timeout_s"),
        retries=values.get("retries", RetryPolicy()),
        request_headers=request,
        response_headers=response,
    )


def _mirrors(place: Place, values: dict[str, Any]) -> tuple[MirrorRef, ...]:
    old = place.get("mirrorPercent") or place.get("mirror_percent")
    if old:
        old.warn('using deprecated setting "mirrorPercent", use "mirrorPercentage" instead')
    if "mirror" not in values:
        return tuple(values.get("mirrors", ()))
    if values.get("mirrors"):
        raise ValueError("HTTP route cannot contain both mirror and mirrors")
    whole = (HUNDRED, HUNDRED)
    percent = values.get("mirror_percentage") or values.get("mirror_percent") or whole
    return (_mirror(values["mirror"], percent),)


MIRRORED = Scalar(("integer",), _mirror_percent)
TARGET = Record(
    _target,
    (
        Field("host", "host", DESTINATION_HOST, required=True),
        Field("subset", "", Later()),
        Field("port", "port", PORT_SELECTOR),
    ),
    placed=True,
    is_proto=True,
)
HEADERS = Record(
    _headers, tuple(Field(side, side, header_ops(envoy_value)) for side in ("request", "response"))
)
ROUTE = Record(
    _route,
    (
        Field("name", "name", TEXT),
        Field(
            "route",
            "route",
            ListOf(
                Record(
                    lambda target: target,
                    (
                        Field("destination", "target", TARGET, required=True),
                        Field("weight", "", Scalar(("integer",), _weight)),
                        Field("headers", "", Later()),
                    ),
                ),
                null="destination is required",
            ),
        ),
        Field("timeout", "timeout_s", duration()),
        Field(
            "retries",
            "retries",
            Record(
                _retries,
                (
                    Field("attempts", "attempts", Scalar(("integer",), _attempts)),
                    Field("perTryTimeout", "per_try_timeout_s", duration()),
                    *(Field(key, "", Later()) for key in ("retryOn", "retryIgnorePreviousHosts", "backoff")),
                    Field("retryRemoteLocalities", "", Ignored()),
                ),
                is_proto=True,
            ),
        ),
        Field("mirror", "mirror", TARGET),
        Field(
            "mirrors",
            "mirrors",
            ListOf(
                Record(
                    _mirror,
                    (
                        Field("destination", "target", TARGET, required=True),
                        Field("percentage", "percent", percent("mirror percentage")),
                    ),
                    is_proto=True,
                ),
                null="mirror cannot be null",
            ),
        ),
        Field("mirrorPercent", "mirror_percent", MIRRORED, altname="mirror_percent"),
        Field("mirrorPercentage", "mirror_percentage", percent("mirror_percentage")),
        Field("headers", "headers", HEADERS),
        *(
            Field(key, "", Later())
            for key in ("match", "redirect", "directResponse", "delegate", "rewrite", "fault", "corsPolicy")
        ),
    ),
    placed=True,
    is_proto=True,
)
SPEC = Record(
    dict,
    (
        Field("hosts", "hosts", ListOf(Scalar(("string",), wildcard_host), at_least=1), required=True),
        Field("gateways", "gateways", ListOf(TEXT)),
        Field("http", "routes", ListOf(ROUTE, null="http route may not be null")),
        Field("tls", "", Later()),
        Field("tcp", "", Later()),
        Field("exportTo", "", Ignored()),
    ),
    is_proto=True,
)
DOCUMENT = whole_document(SPEC)


def read(document: Document, problems: Problems) -> HostRule | None:
    """Read one VirtualService, or report what is wrong with it and return None."""
    place = document.place(problems)
    spec = DOCUMENT.read(place)
    if spec is INVALID:
        return None
    routes = spec.get("routes", ())
    written = place.at("spec").get("http")
    if written is None or not written.node.value:
        place.at("spec").refuse("http, tcp or tls must be provided in virtual service")
        return None
    for extra in list(written.items())[1:]:
        extra.refuse(f"several routes: {LATER}")
    if not routes:
        return None
    if "*" in spec["hosts"] and "mesh" in spec.get("gateways", ("mesh",)):
        place.at("spec").at("hosts").warn(
            "wildcard host * is not allowed for virtual services bound to the mesh gateway",
            "a mesh would refuse it, here it takes every host",
        )
    return HostRule(
        place,
        document.name,
        document.namespace,
        spec["hosts"],
        tuple(_in_namespace(route, document.namespace) for route in routes),
        _mirror_name(place),
    )


def _in_namespace(route: RouteRule, namespace: str) -> RouteRule:
    """Return a route whose short hosts are completed with the namespace of its document."""
    return replace(
        route,
        destinations=tuple(
            replace(one, target=replace(one.target, namespace=namespace)) for one in route.destinations
        ),
        mirrors=tuple(replace(one, target=replace(one.target, namespace=namespace)) for one in route.mirrors),
    )


def _mirror_name(place: Place) -> str | None:
    annotations = place.at("metadata").get("annotations")
    name = annotations.get(MIRROR_NAME) if annotations else None
    if name is None:
        return None
    value = TEXT.read(name)
    return None if value is INVALID else str(value)
