"""Traits of a request: what it has, or what it asks for, that may make v2 respond in another way.

    ?page                      a query parameter is given
    header x-tenant            a header field is sent
    header accept=text/html    a header field of few values has this value
    cookie session             a cookie is sent
    body                       the request has a body

Of parameters, cookies and header fields that may hold a secret, the name is all that is kept; a name that looks
like a value is `*`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice
from urllib.parse import unquote_plus

from mirror_proxy.comparison.diff.header import Field, fields_of, values_of
from mirror_proxy.comparison.diff.pair import Pair
from mirror_proxy.comparison.diff.redaction import clean_field
from mirror_proxy.comparison.diff.rules import CompareRules
from mirror_proxy.comparison.redaction.identifier import ANY_NAME, is_identifier
from mirror_proxy.text import visible

MAX_TRAITS = 24
MAX_LENGTH = 60

#: Characters of a query, or of cookies, that are searched for names.
_MAX_READ = 4_096
#: So that a long query leaves room for what headers show.
_MAX_PARAMETERS = 12

#: Sent by nearly all clients, or added on the way: they show nothing.
_UBIQUITOUS = frozenset(
    (
        "accept",
        "accept-encoding",
        "b3",
        "connection",
        "content-length",
        "cookie",
        "expect",
        "forwarded",
        "host",
        "keep-alive",
        "te",
        "traceparent",
        "tracestate",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "user-agent",
        "via",
        "x-real-ip",
        "x-request-id",
    )
)
_UBIQUITOUS_STARTS = ("x-forwarded-", "x-envoy-", "x-b3-", "x-mirror-proxy-")
#: Fields of few values.
_VALUED = ("accept", "accept-language", "content-type", "accept-encoding", "x-requested-with")
_NAME = re.compile(r"[A-Za-z_$][A-Za-z_$.:\[\]-]*(?:[0-9]{1,2}[A-Za-z_.:\[\]-]*)?", re.ASCII)
_MAX_NAME = 40


def traits_of(pair: Pair, rules: CompareRules) -> tuple[str, ...]:
    """Return the traits of the request of a pair, each once, at most `MAX_TRAITS`."""
    fields = fields_of(pair.fields)
    found = dict.fromkeys(trait[:MAX_LENGTH] for trait in _traits(pair, fields, rules))
    return tuple(islice(found, MAX_TRAITS))


def _traits(pair: Pair, fields: list[Field], rules: CompareRules) -> Iterator[str]:
    parameters = dict.fromkeys(_parameters(pair.target))
    yield from (f"?{name}" for name in islice(parameters, _MAX_PARAMETERS))
    if pair.size:
        yield "body"
    for name in _VALUED:
        for value in values_of(fields, name)[:1]:
            yield f"header {name}={_value(name, value, rules)}"
    names = dict.fromkeys(name for name, _ in fields)
    yield from (f"header {_name(name)}" for name in names if not _is_ubiquitous(name))
    yield from (f"cookie {_name(name)}" for line in values_of(fields, "cookie") for name in _cookies(line))


def _parameters(target: str) -> Iterator[str]:
    query = target.partition("?")[2][:_MAX_READ]
    for part in query.split("&"):
        name = part.partition("=")[0]
        if name:
            yield _name(unquote_plus(name[: 3 * _MAX_NAME + 3]))


def _cookies(line: str) -> Iterator[str]:
    yield from (part.partition("=")[0].strip() for part in line[:_MAX_READ].split(";") if "=" in part)


def _name(name: str) -> str:
    """Return the name of a parameter, header or cookie; `*` for one that may be a value itself."""
    is_name = len(name) <= _MAX_NAME and _NAME.fullmatch(name) and not is_identifier(name)
    return name if is_name else ANY_NAME


def _value(name: str, value: str, rules: CompareRules) -> str:
    if name == "content-type":
        value = value.partition(";")[0].strip().lower()
    return visible(clean_field(name, value[:MAX_LENGTH], rules))


def _is_ubiquitous(name: str) -> bool:
    return name in _UBIQUITOUS or name in _VALUED or name.startswith(_UBIQUITOUS_STARTS)
