"""Comparing: which responses of mirrors are compared with the primary's, the baselines of noise, and the store."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from mirror_proxy.config.istio.destination import TARGET
from mirror_proxy.config.model import (
    Compare,
    EndpointTemplate,
    FieldRule,
    ItemKey,
    RepeatSafe,
    Share,
    StoreLimits,
    Thresholds,
    Tolerance,
)
from mirror_proxy.config.node import Place
from mirror_proxy.config.problems import did_you_mean
from mirror_proxy.config.rules import Target
from mirror_proxy.config.sampling import NAME, SHARE
from mirror_proxy.config.schema import (
    TEXT,
    Field,
    ListOf,
    MapOf,
    Record,
    Scalar,
    duration,
    number,
    size,
    whole,
)
from mirror_proxy.regex import Pattern

#: A pair of bodies and heads has to fit into one datagram of the comparer's pipe.
MAX_BODY_BYTES = 128 * 1024
MAX_LABEL = 100
MIN_STORE_BYTES = 16 * 1024 * 1024
WHATS = ("path", "header", "regex")

#: As `mirror_proxy.comparison.diff.json_path` reads them: any other would match nothing.
_PATH = re.compile(r"\$(?:\[(?:\d*|\*)\]|\['(?:[^'\\]|\\.)*'\]|\.(?:\*|[^.\[\]*]+))*", re.DOTALL)
_REPEAT_SAFE = re.compile(
    r" *(?:(?P<method>[A-Z][A-Z-]{0,19}) +(?P<path>/\S*))?(?P<operations>(?:(?:^| +)(?![A-Z-]+(?: |$))[^ /]\S*)*) *"
)
_SEGMENT = re.compile(r"[^{}]*(?:\{[^{}]*\}[^{}]*){0,2}")
_ENDPOINT = re.compile(r"(?:[A-Z][A-Z-]{0,19} +)?/\S*")
_STORE = re.compile(r"sqlite(?:\+pysqlite)?:///(?!:memory:)[^?]+|postgresql(?:\+psycopg)?://.*")


@dataclass(frozen=True, slots=True)
class Repeat:
    """The share of compared requests that are sent to the primary again."""

    share: Share = Share()
    max_per_second: float = 10.0


@dataclass(frozen=True, slots=True)
class Baselines:
    """Other upstreams of a compared request, which show how responses of one version differ.

    `secondaries` are those of routes with one of their own.
    """

    secondary: Target | None = None
    secondaries: tuple[tuple[str, Target], ...] = ()
    repeat: Repeat | None = None

    def in_namespace(self, namespace: str) -> Baselines:
        """Return the same, with short hosts completed by `namespace`."""
        one = replace(self.secondary, namespace=namespace) if self.secondary is not None else None
        others = tuple((name, replace(target, namespace=namespace)) for name, target in self.secondaries)
        return replace(self, secondary=one, secondaries=others)

    def secondary_of(self, route: str) -> Target | None:
        """Return a route's second v1."""
        return dict(self.secondaries).get(route, self.secondary)


@dataclass(frozen=True, slots=True)
class _OfRoute:
    share: Share | None = None
    secondary: Target | None = None


def _path(text: str) -> str:
    if not _PATH.fullmatch(text):
        raise ValueError(f'"{text}" is no path; write such as $.items[].price, as reports name it')
    return text


def _header(text: str) -> str:
    if not NAME.fullmatch(text):
        raise ValueError(f'"{text}" is no name of a header')
    return text.lower()


def _regex(text: str) -> str:
    if not text:
        raise ValueError("finds nothing")
    Pattern(text)
    return text


def _rule(**given: str) -> FieldRule:
    count = len(given.keys() & set(WHATS))
    if count != 1:
        raise ValueError(f"one of {', '.join(WHATS)} is needed, and no more (there are {count})")
    return FieldRule(**given)


def _tolerance(**given: Any) -> Tolerance:
    if not given.keys() & {"absolute", "relative"}:
        raise ValueError("one of absolute, relative is needed")
    return Tolerance(**given)


def _item_key(**given: str) -> ItemKey:
    if given.keys() < {"path", "by"} or not given["by"]:
        raise ValueError("path and by are needed, such as {path: $.items, by: sku}")
    return ItemKey(**given)


def _repeat_safe(text: str) -> RepeatSafe:
    found = _REPEAT_SAFE.fullmatch(text)
    if not found or not (found["method"] or found["operations"]):
        raise ValueError(
            f'"{text}" is no method with a path, and no operation; write such as POST /search, POST /graphql query,'
            " or Get List"
        )
    path = _template(found["path"] or "/*")
    return RepeatSafe(found["method"] or "", path, tuple((found["operations"] or "").split()))


def _template(path: str) -> str:
    """Check the template of a path."""
    if not all(map(_SEGMENT.fullmatch, path.split("/"))):
        raise ValueError(f"{path}: a segment has at most two {{names}}, and each brace its other one")
    return path


def _label(text: str) -> str:
    if len(text) > MAX_LABEL or not text.isprintable():
        raise ValueError(f"is not a label; use at most {MAX_LABEL} printable characters")
    return text


def _endpoint(text: str) -> EndpointTemplate:
    method, _, path = text.rpartition(" ")
    if not _ENDPOINT.fullmatch(text):
        raise ValueError(
            f'"{text}" is no endpoint; write such as GET /shop/{{sku}}, or /shop/{{sku}} for all methods'
        )
    return EndpointTemplate(method.strip(), _template(path))


def _openapi(path: str) -> tuple[str, tuple[EndpointTemplate, ...]]:
    from mirror_proxy.config import openapi  # noqa: PLC0415  it imports YAML, which help needs not

    return path, openapi.templates(path)


def _store_url(text: str) -> str:
    if not _STORE.fullmatch(text):
        raise ValueError(
            "is no URL of a store; write such as sqlite:////var/lib/mirror-proxy.db or postgresql://HOST/NAME"
        )
    return text


PATH = Scalar(("string",), _path)
RULES = ListOf(
    Record(
        _rule,
        (
            Field("path", "path", PATH, "A place in JSON bodies and all below it; * is any one name."),
            Field("header", "header", Scalar(("string",), _header), "A header's name."),
            Field("regex", "regex", Scalar(("string",), _regex), "What is found in values (RE2)."),
            Field("route", "route", TEXT, "Only on this route."),
        ),
        is_whole=True,
    )
)
TOLERANCE = Record(
    _tolerance,
    (
        Field("path", "path", PATH, "Which numbers (all)."),
        Field("absolute", "absolute", number(0, 1e300), "Apart by no more than this.", 0.0),
        Field("relative", "relative", number(0, 1), "Or by no more than this part of the larger.", 0.0),
    ),
    is_whole=True,
)
ITEM_KEY = Record(
    _item_key,
    (
        Field("path", "path", PATH, "The array."),
        Field("by", "by", TEXT, "The member that two items share, for instance sku."),
    ),
    is_whole=True,
)
THRESHOLDS = Record(
    Thresholds,
    (
        Field(
            "relative", "relative", number(0, 1), "At least this much of (raw - noise) / (raw + noise).", 0.2
        ),
        Field(
            "absolute",
            "absolute",
            number(0, 1),
            "Raw less noise rate is above this.",
            0.0003,
        ),
        Field(
            "minSamples",
            "min_samples",
            whole(1, 1_000_000_000),
            "With fewer pairs there is no NO DIFFERENCE.",
            100,
        ),
    ),
)
REPEAT = Record(
    Repeat,
    (
        Field("percent", "share", SHARE, "Percentage of the safe requests that are compared.", 100),
        Field("maxPerSecond", "max_per_second", number(0.001, 1_000_000), "And never more, per worker.", 10),
    ),
)
NOISE = Record(
    dict,
    (
        Field(
            "secondary",
            "secondary",
            TARGET,
            "A second v1; gets what is compared and safe (or repeatSafe): {host, subset, port}.",
        ),
        Field("repeat", "repeat", REPEAT, "Ask v1 itself again; costs v1 those requests."),
        Field("thresholds", "thresholds", THRESHOLDS, "When a difference stands out from the noise."),
    ),
)
STORE = Record(
    dict,
    (
        Field(
            "url",
            "url",
            Scalar(("string",), _store_url),
            "sqlite:///FILE or postgresql://...; by default a file in the state folder.",
        ),
        Field(
            "maxDifferences", "max_differences", whole(1, 10_000_000), "How many examples are kept.", 10_000
        ),
        Field(
            "maxBytes",
            "max_bytes",
            size(MIN_STORE_BYTES, 1 << 50),
            "How large the store may be; the oldest examples and counts are deleted first.",
            "512MiB",
        ),
        Field("maxAge", "max_age_s", duration(60, 366 * 86_400.0), "How long anything is kept.", "168h"),
    ),
)
ROUTE = Record(
    _OfRoute,
    (
        Field("percent", "share", SHARE, "Percentage of this route's mirrored requests."),
        Field("secondary", "secondary", TARGET, "This route's second v1."),
    ),
)
ENDPOINTS = Record(
    dict,
    (
        Field(
            "templates",
            "templates",
            ListOf(Scalar(("string",), _endpoint)),
            "Endpoints such as GET /shop/{sku}; without a method: of all.",
        ),
        Field(
            "openapi", "openapi", Scalar(("string",), _openapi), "An OpenAPI file (2 or 3) that lists them."
        ),
    ),
)
COMPARE = Record(
    dict,
    (
        Field("percent", "share", SHARE, "Percentage of mirrored requests whose answers are compared.", 0),
        Field(
            "label",
            "label",
            Scalar(("string",), _label),
            "What the mirrors run, such as a version or build; another label begins another run.",
            "",
        ),
        Field("routes", "routes", MapOf(ROUTE), "The same by route: {percent, secondary}."),
        Field(
            "maxBodyBytes",
            "max_body_bytes",
            size(0, MAX_BODY_BYTES),
            "Bytes of each body that are compared at most.",
            "64KiB",
        ),
        Field("ignore", "ignore", RULES, "What may differ: by path, header or regex."),
        Field("redact", "redact", RULES, "What is redacted, besides credentials: by path, header or regex."),
        Field("unordered", "unordered", ListOf(PATH), "Arrays whose order means nothing."),
        Field("tolerance", "tolerances", ListOf(TOLERANCE), "How much numbers may differ."),
        Field(
            "match",
            "matches",
            ListOf(ITEM_KEY),
            "Arrays whose items are matched by a member, not by position.",
        ),
        Field("endpoints", "endpoints", ENDPOINTS, "Endpoints by hand; others are learned from requests."),
        Field(
            "repeatSafe",
            "repeat_safe",
            ListOf(Scalar(("string",), _repeat_safe)),
            "Unsafe requests that baselines get too: METHOD PATH, METHOD PATH OPERATION ..., or OPERATION ...",
        ),
        Field("noise", "noise", NOISE, "How differences within v1 are measured, to leave them out."),
        Field("store", "store", STORE, "Where counts, records and examples are stored."),
    ),
)


def read(given: dict[str, Any]) -> tuple[Compare, Baselines]:
    """Return what the record COMPARE has read, as the model and what routes make of it."""
    noise, store, routes = (given.pop(key, {}) for key in ("noise", "store", "routes"))
    shares = tuple((name, one.share) for name, one in routes if one.share is not None)
    secondaries = tuple((name, one.secondary) for name, one in routes if one.secondary is not None)
    url = store.pop("url", "")
    endpoints = given.pop("endpoints", {})
    openapi_file, described = endpoints.get("openapi", ("", ()))
    compare = Compare(
        **given,
        shares=shares,
        endpoints=(*endpoints.get("templates", ()), *described),
        openapi=openapi_file,
        thresholds=noise.get("thresholds", Thresholds()),
        store=url,
        limits=StoreLimits(**store),
    )
    return compare, Baselines(noise.get("secondary"), secondaries, noise.get("repeat"))


def check_routes(document: Place, routes: Iterable[str]) -> None:
    """Report each route that is named in `spec.compare` and does not exist."""
    known = list(routes)
    spec = document.get("spec")
    compare = spec.get("compare") if spec is not None else None
    if compare is None:
        return
    named = [*_shares(compare.get("routes")), *_rules(compare.get("ignore")), *_rules(compare.get("redact"))]
    for name, where in named:
        if name not in known:
            hint = did_you_mean(name, known) or f"routes are: {', '.join(known)}"
            where.refuse(f'no route is named "{name}"', hint)


def _shares(place: Place | None) -> list[tuple[str, Place]]:
    """Return each route that has a share of its own, where there are any; what they are was checked before."""
    if place is None or place.node.type_name != "object":
        return []
    return [(name, place.at(name)) for name in place.node.value]


def _rules(place: Place | None) -> list[tuple[str, Place]]:
    if place is None or place.node.type_name != "array":
        return []
    routes = [route for rule in place.items() if (route := rule.get("route")) is not None]
    return [(route.node.value, route) for route in routes if route.node.type_name == "string"]
