"""Destination: where requests and shadow requests go, with weights and percentages.

Sources: istio/api Destination, HTTPRouteDestination and HTTPMirrorPolicy, istio
pkg/config/validation/validation.go, pilot/pkg/networking/core/route/route.go (`MirrorPercent*`).
"""

from __future__ import annotations

from mirror_proxy.config.istio.headers import HEADERS, Headers
from mirror_proxy.config.istio.names import DESTINATION_HOST, HUNDRED, PORT_SELECTOR, percent, subset_name
from mirror_proxy.config.node import Place
from mirror_proxy.config.rules import DestinationRef, MirrorRef, Target
from mirror_proxy.config.schema import Field, ListOf, Record, Scalar

MAX_WEIGHT = 2**31 - 1  # an int32


def _target(place: Place, host: str, subset: str = "", port: int | None = None) -> Target:
    return Target(place, host, "", subset, port)  # the namespace comes with the document


def _subset(name: str) -> str:
    return subset_name(name) if name else name


def _destination(target: Target, weight: int = 0, headers: Headers | None = None) -> DestinationRef:
    headers = headers or Headers()
    return DestinationRef(target, weight, headers.request, headers.response, headers.authority)


def _weight(value: int) -> int:
    if value < 0:
        raise ValueError(f"weight {value} < 0")
    if value > MAX_WEIGHT:
        raise ValueError(f"must be in the range 0..{MAX_WEIGHT} (it is {value})")
    return value


def _mirror(target: Target, percent: tuple[int, int] = (HUNDRED, HUNDRED)) -> MirrorRef:
    return MirrorRef(target, *percent)


def _mirror_percent(value: int) -> tuple[int, int]:
    if not 0 <= value <= HUNDRED:
        raise ValueError(f"mirror_percent must have a max value of 100 (it has {value})")
    return value, HUNDRED


TARGET = Record(
    _target,
    (
        Field("host", "host", DESTINATION_HOST, required=True),
        Field("subset", "subset", Scalar(("string",), _subset)),
        Field("port", "port", PORT_SELECTOR),
    ),
    placed=True,
)
DESTINATIONS = ListOf(
    Record(
        _destination,
        (
            Field(
                "destination",
                "target",
                TARGET,
                required=True,
                missing="Required value: destination is required",
            ),
            Field("weight", "weight", Scalar(("integer",), _weight)),
            Field("headers", "headers", HEADERS),
        ),
    ),
    null="weight may not be nil",
)
MIRRORS = ListOf(
    Record(
        _mirror,
        (
            Field(
                "destination",
                "target",
                TARGET,
                required=True,
                missing="Required value: destination is required for mirrors",
            ),
            Field("percentage", "percent", percent("mirror percentage")),
        ),
    ),
    null="mirror cannot be null",
)
MIRROR_PERCENT = Scalar(("integer",), _mirror_percent)
MIRROR_PERCENTAGE = percent("mirror_percentage")
