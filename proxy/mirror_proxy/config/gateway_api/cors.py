"""CORS: the cross-origin filter of an HTTPRoute, read as Istio reads it.

Source: kubernetes-sigs/gateway-api apis/v1/httproute_types.go (HTTPCORSFilter), istio
pilot/pkg/config/kube/gateway/conversion.go (`createCorsFilter`).
"""

from __future__ import annotations

import re
from typing import Any

from mirror_proxy.config.gateway_api.matches import METHODS
from mirror_proxy.config.gateway_api.names import HEADER_NAME, AtMost, text
from mirror_proxy.config.model import CorsPolicy, StringMatch
from mirror_proxy.config.node import Place
from mirror_proxy.config.schema import BOOLEAN, Choice, Field, ListOf, Record, whole

ANY = "*"
ANY_ORIGIN = r"[a-zA-Z][a-zA-Z0-9+.-]*://[^/\s?#]+"
ORIGIN_PATTERN = r"\*|https?://(((\*\.)?([a-zA-Z0-9\-]+\.)*[a-zA-Z0-9-]+|\*)(:([0-9]{1,5}))?)"
ORIGIN = text(
    ORIGIN_PATTERN,
    253,
    "an origin, such as https://shop.example.com, https://*.example.com or *",
)


def _origin(origin: str) -> StringMatch:
    """Return what an Origin must be; `*` stands for any number of characters."""
    if origin == ANY:
        return StringMatch("regex", ANY_ORIGIN)
    if ANY not in origin:
        return StringMatch("exact", origin)
    if origin.find(ANY) == len(origin) - 1:
        return StringMatch("prefix", origin[:-1])
    return StringMatch("regex", re.escape(origin).replace(r"\*", ".*"))


def _cors(place: Place, max_age: int = 5, **values: Any) -> CorsPolicy:
    """Build the policy; `*` stands alone in a list."""
    for key, what in (("allowOrigins", "origins"), ("allowMethods", "methods"), ("allowHeaders", "methods")):
        if ANY in values.get(key, ()) and len(values[key]) > 1:
            raise ValueError(f"A{key[1:]} cannot contain '*' alongside other {what}")
    with_credentials = values.get("allowCredentials", False)
    for key in ("allowMethods", "allowHeaders", "exposeHeaders"):
        if with_credentials and ANY in values.get(key, ()):
            place.at(key).warn("beside allowCredentials a browser takes * for a name", "list them")
    return CorsPolicy(
        allow_origins=tuple(map(_origin, values.get("allowOrigins", ()))),
        allow_methods=",".join(values.get("allowMethods", ())),
        allow_headers=",".join(values.get("allowHeaders", ())),
        expose_headers=",".join(values.get("exposeHeaders", ())),
        max_age=str(max_age),
        allow_credentials=with_credentials,
        forward_unmatched=False,
    )


def _names(most: int, item: Any) -> AtMost:
    return AtMost(most, ListOf(item))


CORS = Record(
    _cors,
    (
        Field("allowOrigins", "allowOrigins", _names(64, ORIGIN)),
        Field("allowCredentials", "allowCredentials", BOOLEAN),
        Field("allowMethods", "allowMethods", _names(9, Choice({name: name for name in (*METHODS, ANY)}))),
        Field("allowHeaders", "allowHeaders", _names(64, HEADER_NAME)),
        Field("exposeHeaders", "exposeHeaders", _names(64, HEADER_NAME)),
        Field("maxAge", "max_age", whole(1, 2**31 - 1), default=5),
    ),
    placed=True,
)
