"""CORS: which origins a browser may call from, read as Envoy's filter has it.

Sources: istio/api CorsPolicy, istio pkg/config/validation/validation.go (`validateCORSPolicy`),
pilot/pkg/networking/core/route/route.go (`TranslateCORSPolicy`).
"""

from __future__ import annotations

from typing import Any

from mirror_proxy.config.headers import TOKEN
from mirror_proxy.config.istio.fields import go_duration
from mirror_proxy.config.istio.text import PRESENT, string_match
from mirror_proxy.config.model import CorsPolicy, StringMatch
from mirror_proxy.config.node import Place
from mirror_proxy.config.schema import BOOLEAN, INVALID, TEXT, Choice, Field, ListOf, Record, Scalar

METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "CONNECT", "OPTIONS", "TRACE", "*"))


class _Origin:
    """The type of one origin: a StringMatch that asks for something."""

    _match = string_match("corsPolicy.allowOrigins", empty_prefix=True)

    def read(self, place: Place) -> Any:
        """Read the StringMatch; refuse one that matches nothing in particular."""
        texts = place.node.value.values() if isinstance(place.node.value, dict) else ()
        if place.node.type_name == "object" and not any(text.value for text in texts):
            place.refuse("'' is not a valid match type for CORS allow origins")
            return INVALID
        read = self._match.read(place)
        return INVALID if read is PRESENT else read

    def schema(self) -> dict[str, Any]:
        """Return the StringMatch."""
        return self._match.schema()


def _method(name: str) -> str:
    if name not in METHODS:
        raise ValueError(f'"{name}" is not a supported HTTP method')
    return name


def _header(name: str) -> str:
    if not name:
        raise ValueError("header name cannot be empty")
    if not TOKEN.fullmatch(name):
        raise ValueError(f"header name {name} is not a valid header name")
    return name


def _max_age(place: Place, max_age_s: float) -> str:
    if max_age_s != int(max_age_s):
        place.refuse("max_age duration is accurate only to seconds precision")
    return str(int(max_age_s))


def _cors(
    place: Place,
    origins: tuple[StringMatch, ...] | None = None,
    exact_origins: tuple[str, ...] = (),
    max_age_s: float | None = None,
    **values: Any,
) -> CorsPolicy:
    if origins is None:
        origins = tuple(StringMatch("exact", origin) for origin in exact_origins)
    at = place.get("maxAge") or place.get("max_age") or place
    max_age = "" if max_age_s is None else _max_age(at, max_age_s)
    return CorsPolicy(allow_origins=origins, max_age=max_age, **values)


HEADER_NAMES = ListOf(Scalar(("string",), _header), build=",".join)
CORS = Record(
    _cors,
    (
        Field("allowOrigins", "origins", ListOf(_Origin())),
        Field("allowOrigin", "exact_origins", ListOf(TEXT)),
        Field("allowMethods", "allow_methods", ListOf(Scalar(("string",), _method), build=",".join)),
        Field("allowHeaders", "allow_headers", HEADER_NAMES),
        Field("exposeHeaders", "expose_headers", HEADER_NAMES),
        Field("maxAge", "max_age_s", go_duration()),
        Field("allowCredentials", "allow_credentials", BOOLEAN),
        Field(
            "unmatchedPreflights",
            "forward_unmatched",
            Choice({"UNSPECIFIED": True, "FORWARD": True, "IGNORE": False}),
        ),
    ),
    placed=True,
    is_proto=True,
)
