"""Filters: what a rule of an HTTPRoute, or one of its backends, does to a request besides forwarding it.

Each filter is read as a pair of its type and its value. Sources: kubernetes-sigs/gateway-api
apis/v1/httproute_types.go (HTTPRouteFilter and its CEL rules), istio pilot/pkg/config/kube/gateway/conversion.go
(`createCorsFilter`).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from mirror_proxy.config.gateway_api.backends import BACKEND
from mirror_proxy.config.gateway_api.matches import METHODS
from mirror_proxy.config.gateway_api.names import HEADER_NAME, PRECISE_HOSTNAME, AtMost, text
from mirror_proxy.config.headers import header_name, plain_value
from mirror_proxy.config.istio.names import MILLION
from mirror_proxy.config.model import CorsPolicy, HeaderOps, Redirect, Rewrite, StringMatch
from mirror_proxy.config.node import Place
from mirror_proxy.config.rules import MirrorRef, Target
from mirror_proxy.config.schema import BOOLEAN, INVALID, Choice, Field, Ignored, ListOf, Record, Scalar, whole

MAX_INT32 = 2**31 - 1
STATUSES = (301, 302, 303, 307, 308)
FULL, PREFIX = "ReplaceFullPath", "ReplacePrefixMatch"
MODIFIED = {FULL: "replaceFullPath", PREFIX: "replacePrefixMatch"}
PathChange = tuple[str, str]  # FULL or PREFIX, and what comes in its place
ANY = "*"
ANY_ORIGIN = r"[a-zA-Z][a-zA-Z0-9+.-]*://[^/\s?#]+"
ORIGIN_PATTERN = r"\*|https?://(((\*\.)?([a-zA-Z0-9\-]+\.)*[a-zA-Z0-9-]+|\*)(:([0-9]{1,5}))?)"
ORIGIN = text(
    ORIGIN_PATTERN,
    253,
    "an origin, such as https://shop.example.com, https://*.example.com or *",
)


def _origin(origin: str) -> StringMatch:
    """Return the match of an Origin; `*` matches any number of characters."""
    if origin == ANY:
        return StringMatch("regex", ANY_ORIGIN)
    if ANY not in origin:
        return StringMatch("exact", origin)
    if origin.find(ANY) == len(origin) - 1:
        return StringMatch("prefix", origin[:-1])
    return StringMatch("regex", re.escape(origin).replace(r"\*", ".*"))


def _cors(place: Place, max_age: int = 5, **values: Any) -> CorsPolicy:
    """Build the policy; `*` must be alone in a list."""
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
        Field("maxAge", "max_age", whole(1, MAX_INT32), default=5),
    ),
    placed=True,
)


def _header(name: str, value: str) -> tuple[str, str]:
    return name, value


def _header_name(name: str) -> str:
    """Check as every header change is checked; return the name in lower case."""
    if not re.fullmatch(r"[A-Za-z0-9!#$%&'*+\-.^_`|~]+", name):
        raise ValueError(f'"{name}" is not the name of a header')
    return header_name(name)


def _header_value(value: str) -> str:
    if not value:
        raise ValueError("should be at least 1 chars long")
    return plain_value(value)


def _pairs(pairs: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
    """Return the first of the pairs with each name; the specification has the others ignored."""
    firsts: dict[str, str] = {}
    for name, value in pairs:
        firsts.setdefault(name, value)
    return tuple(firsts.items())


def _header_ops(**changes: Any) -> HeaderOps:
    ops = HeaderOps(**changes)
    named = [*ops.remove, *(name for name, _ in ops.set), *(name for name, _ in ops.add)]
    for name in named:
        if named.count(name) > 1:
            raise ValueError(f'only one action for the header "{name}" is permitted')
    return ops


def _change(place: Place, kind: str, **paths: str) -> Any:
    """Build a path modifier: the key that its type names, and no other."""
    for wanted, key in MODIFIED.items():
        if (place.get(key) is None) is (kind == wanted):
            raise ValueError(
                f"{key} must be specified when type is set to '{wanted}'"
                if kind == wanted
                else f"type must be '{wanted}' when {key} is set"
            )
    return (kind, paths[kind]) if kind in paths else INVALID


def _path(value: str) -> str:
    if len(value) > 1024:
        raise ValueError("Too long: may not be more than 1024 bytes")
    if value and not re.fullmatch(r"/[!-~]*", value):
        raise ValueError(f'"{value}" must begin with a slash and hold neither blanks nor what is not ASCII')
    if "#" in value:
        raise ValueError(f'"{value}" must not hold a fragment')
    return value


def _full_path(value: str) -> str:
    return _path(value) or "/"


def _prefix(value: str) -> str:
    if "?" in value:
        raise ValueError(f'"{value}" must not hold a query')
    return _path(value)


def _redirect(
    host: str | None = None,
    scheme: str | None = None,
    port: int | None = None,
    status: int = 302,
    path: PathChange | None = None,
) -> tuple[Redirect, PathChange | None]:
    """Build a redirect; without a port it is that of a new scheme, or else the request's."""
    where = port if port is not None else "from_protocol" if scheme else None
    return Redirect(status=status, scheme=scheme, authority=host, port=where), path


def _rewrite(
    place: Place, host: str | None = None, path: PathChange | None = None
) -> tuple[Rewrite, PathChange | None]:
    if path and "?" in path[1]:
        place.at("path").refuse(f'"{path[1]}" must not hold a query: a rewrite keeps the request\'s')
    return Rewrite(authority=host), path


def _fraction(place: Place, numerator: int, denominator: int = 100) -> tuple[int, int]:
    """Read a share as Istio does: in millionths, rounded down."""
    if numerator > denominator:
        raise ValueError("numerator must be less than or equal to denominator")
    share = numerator * MILLION // denominator
    if numerator and not share:
        place.warn("is less than one in a million: nothing is mirrored")
    return share, MILLION


def _mirror(target: Target, percent: tuple[int, int] | None = None, fraction: Any = None) -> MirrorRef:
    if percent and fraction:
        raise ValueError("Only one of percent or fraction may be specified in HTTPRequestMirrorFilter")
    share = percent or fraction
    return MirrorRef(target, *share) if share else MirrorRef(target)


def _percent(value: int) -> tuple[int, int]:
    if not 0 <= value <= 100:
        raise ValueError(f"must be in the range 0..100 (it is {value})")
    return value * MILLION // 100, MILLION


def _status(value: int) -> int:
    if value not in STATUSES:
        raise ValueError(f"Unsupported value: {value}: a status is one of {', '.join(map(str, STATUSES))}")
    return value


NAME = Scalar(("string",), _header_name)
HEADERS = AtMost(
    16,
    ListOf(
        Record(
            _header,
            (
                Field("name", "name", NAME, required=True),
                Field("value", "value", Scalar(("string",), _header_value), required=True),
            ),
        ),
        build=_pairs,
    ),
)
HEADER_FILTER = Record(
    _header_ops,
    (
        Field("set", "set", HEADERS),
        Field("add", "add", HEADERS),
        Field("remove", "remove", AtMost(16, ListOf(NAME))),
    ),
)
PATH_CHANGE = Record(
    _change,
    (
        Field("type", "kind", Choice({FULL: FULL, PREFIX: PREFIX}), required=True),
        Field("replaceFullPath", FULL, Scalar(("string",), _full_path, {"maxLength": 1024})),
        Field("replacePrefixMatch", PREFIX, Scalar(("string",), _prefix, {"maxLength": 1024})),
    ),
    placed=True,
)
REDIRECT = Record(
    _redirect,
    (
        Field("scheme", "scheme", Choice({"http": "http", "https": "https"})),
        Field("hostname", "host", PRECISE_HOSTNAME),
        Field("path", "path", PATH_CHANGE),
        Field("port", "port", whole(1, 65535)),
        Field("statusCode", "status", Scalar(("integer",), _status, {"enum": list(STATUSES)}), default=302),
    ),
)
REWRITE = Record(
    _rewrite, (Field("hostname", "host", PRECISE_HOSTNAME), Field("path", "path", PATH_CHANGE)), placed=True
)
FRACTION = Record(
    _fraction,
    (
        Field("numerator", "numerator", whole(0, MAX_INT32), required=True),
        Field("denominator", "denominator", whole(1, MAX_INT32), default=100),
    ),
    placed=True,
)
MIRROR = Record(
    _mirror,
    (
        Field("backendRef", "target", BACKEND, required=True),
        Field("percent", "percent", Scalar(("integer",), _percent, {"minimum": 0, "maximum": 100})),
        Field("fraction", "fraction", FRACTION),
    ),
)
KEYS = {
    "RequestHeaderModifier": Field("requestHeaderModifier", "RequestHeaderModifier", HEADER_FILTER),
    "ResponseHeaderModifier": Field("responseHeaderModifier", "ResponseHeaderModifier", HEADER_FILTER),
    "RequestMirror": Field("requestMirror", "RequestMirror", MIRROR),
    "RequestRedirect": Field("requestRedirect", "RequestRedirect", REDIRECT),
    "URLRewrite": Field("urlRewrite", "URLRewrite", REWRITE),
    "CORS": Field("cors", "CORS", CORS),
    "ExtensionRef": Field("extensionRef", "", Ignored()),
    "ExternalAuth": Field("externalAuth", "", Ignored()),
}
FOREIGN = frozenset(("ExtensionRef", "ExternalAuth"))
ONCE = ("CORS", "RequestHeaderModifier", "ResponseHeaderModifier", "RequestRedirect", "URLRewrite")


def _filter(place: Place, kind: str, **values: Any) -> Any:
    """Build one filter: the key that its type names, and no other."""
    for wanted, field in KEYS.items():
        if (place.get(field.key) is None) is (kind == wanted):
            rule = "specified for" if kind == wanted else "nil if the filter.type is not"
            end = f"{wanted} filter.type" if kind == wanted else wanted
            raise ValueError(f"filter.{field.key} must be {rule} {end}")
    if kind in FOREIGN:
        place.refuse(f"{kind}: this proxy has no such filter, and a filter must not be skipped")
        return INVALID
    return (kind, values[kind]) if kind in values else INVALID


FILTER = Record(
    _filter,
    (Field("type", "kind", Choice({kind: kind for kind in KEYS}), required=True), *KEYS.values()),
    placed=True,
)


class Filters:
    """The filters of a rule or of a backend, by type."""

    def __init__(self, pairs: Sequence[tuple[str, Any]] = ()) -> None:
        self._pairs = pairs

    def one(self, kind: str, default: Any = None) -> Any:
        """Return the value of the filter of a type that may occur once, or `default`."""
        return next(iter(self.all(kind)), default)

    def all(self, kind: str) -> tuple[Any, ...]:
        """Return the values of every filter of a type."""
        return tuple(value for found, value in self._pairs if found == kind)

    @property
    def kinds(self) -> set[str]:
        """The types that are there."""
        return {kind for kind, _ in self._pairs}


def _once(place: Place, pairs: tuple[tuple[str, Any], ...]) -> Filters:
    kinds = [kind for kind, _ in pairs]
    for kind in ONCE:
        if kinds.count(kind) > 1:
            place.refuse(f"{kind} filter cannot be repeated")
    if {"RequestRedirect", "URLRewrite"} <= set(kinds):
        place.refuse(
            "May specify either httpRouteFilterRequestRedirect or httpRouteFilterRequestRewrite, but not both"
        )
    return Filters(pairs)


class _FilterList:
    """The type of a list of filters."""

    _items = AtMost(16, ListOf(FILTER))

    def read(self, place: Place) -> Any:
        """Read each, then check their combination."""
        pairs = self._items.read(place)
        return INVALID if pairs is INVALID else _once(place, pairs)

    def schema(self) -> dict[str, Any]:
        """Return the array of filters."""
        return self._items.schema()


FILTERS = _FilterList()
