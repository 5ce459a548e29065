"""Matches: what a rule of an HTTPRoute takes, read into the model's Match.

Source: kubernetes-sigs/gateway-api apis/v1/httproute_types.go (HTTPRouteMatch and its CEL rules).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from mirror_proxy.config.gateway_api.names import HEADER_NAME, AtMost, checked_pattern
from mirror_proxy.config.model import FieldMatch, Match, StringMatch
from mirror_proxy.config.node import Place
from mirror_proxy.config.schema import Choice, Field, ListOf, Record, Scalar

EVERY_PATH = StringMatch("prefix", "/")
METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH")
PATH_KINDS = {"Exact": "exact", "PathPrefix": "segments", "RegularExpression": "regex"}
FIELD_KINDS = {"Exact": "exact", "RegularExpression": "regex"}
PLAIN = "['Exact', 'PathPrefix']"
PATH_CHARACTERS = r"(?:[-A-Za-z0-9/._~!$&'()*+,;=:@]|[%][0-9a-fA-F]{2})+"
PATH_RULES: tuple[tuple[str, Callable[[str], bool]], ...] = (
    (
        f"value must be an absolute path and start with '/' when type one of {PLAIN}",
        lambda value: value[:1] == "/",
    ),
    *(
        (f"must not contain '{part}' when type one of {PLAIN}", lambda value, part=part: part not in value)
        for part in ("//", "/./", "/../", "%2f", "%2F", "#")
    ),
    *(
        (
            f"must not end with '{part}' when type one of {PLAIN}",
            lambda value, part=part: not value.endswith(part),
        )
        for part in ("/..", "/.")
    ),
    (
        f"must only contain valid characters (matching ^{PATH_CHARACTERS}$) for types {PLAIN}",
        lambda value: re.fullmatch(PATH_CHARACTERS, value) is not None,
    ),
)


def _text(least: int, most: int) -> Scalar:
    def parse(value: str) -> str:
        if len(value) < least:
            raise ValueError(f"should be at least {least} chars long")
        if len(value) > most:
            raise ValueError(f"Too long: may not be more than {most} bytes")
        return value

    return Scalar(("string",), parse, {"minLength": least, "maxLength": most})


def _path(kind: str = "segments", value: str = "/") -> StringMatch:
    """Build the path's condition; a prefix's trailing slash is ignored."""
    if kind == "regex":
        return StringMatch(kind, checked_pattern(value))
    for message, is_met in PATH_RULES:
        if not is_met(value):
            raise ValueError(message)
    if kind == "exact":
        return StringMatch(kind, value)
    prefix = value.removesuffix("/")
    return StringMatch(kind, prefix) if prefix else EVERY_PATH


def _field(place: Place, name: str, value: str, kind: str = "exact") -> tuple[Place, FieldMatch]:
    if kind == "regex":
        checked_pattern(value)
    return place, FieldMatch(name, StringMatch(kind, value))


def _firsts(fields: tuple[tuple[Place, FieldMatch], ...]) -> tuple[FieldMatch, ...]:
    """Return the first field of each name; the specification has the others ignored."""
    kept: dict[str, FieldMatch] = {}
    for place, field in fields:
        if kept.setdefault(field.name, field) is not field:
            place.warn(f'ignored: an earlier entry has the name "{field.name}"')
    return tuple(kept.values())


def _lowered(fields: tuple[tuple[Place, FieldMatch], ...]) -> tuple[FieldMatch, ...]:
    return _firsts(tuple((place, FieldMatch(one.name.lower(), one.value)) for place, one in fields))


def _match(path: StringMatch = EVERY_PATH, method: str | None = None, **fields: Any) -> Match:
    return Match(path=path, method=StringMatch("exact", method) if method else None, **fields)


def _fields(max_length: int, build: Callable[[Any], Any]) -> AtMost:
    item = Record(
        _field,
        (
            Field("type", "kind", Choice(FIELD_KINDS), default="Exact"),
            Field("name", "name", HEADER_NAME, required=True),
            Field("value", "value", _text(1, max_length), required=True),
        ),
        placed=True,
    )
    return AtMost(16, ListOf(item, build=build))


PATH = Record(
    _path,
    (
        Field("type", "kind", Choice(PATH_KINDS), default="PathPrefix"),
        Field("value", "value", _text(0, 1024), default="/"),
    ),
)
MATCH = Record(
    _match,
    (
        Field("path", "path", PATH),
        Field("headers", "headers", _fields(4096, _lowered)),
        Field("queryParams", "query", _fields(1024, _firsts)),
        Field("method", "method", Choice({name: name for name in METHODS})),
    ),
)
MATCHES = AtMost(64, ListOf(MATCH))
