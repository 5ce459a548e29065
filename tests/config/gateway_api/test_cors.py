"""CORS: the cross-origin filter of an HTTPRoute, read as Istio reads it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from mirror_proxy.config.model import CorsPolicy, StringMatch
from mirror_proxy.config.rules import RouteRule

Rule = Callable[..., RouteRule]
Told = Callable[..., list[str]]

ANY_ORIGIN = StringMatch("regex", r"[a-zA-Z][a-zA-Z0-9+.-]*://[^/\s?#]+")


def fields(value: str) -> str:
    return f"filters: [{{type: CORS, cors: {value}}}]"


def test_cross_origin_rules_are_read_as_istio_reads_them(route_rule: Rule) -> None:
    value = (
        "{allowOrigins: ['https://a.example', 'https://*.b.example', 'https://*'], allowMethods: [GET, PUT],"
        " allowHeaders: [X-A], exposeHeaders: [X-B, X-C], allowCredentials: true, maxAge: 60}"
    )
    assert route_rule(fields(value)).cors == CorsPolicy(
        allow_origins=(
            StringMatch("exact", "https://a.example"),
            StringMatch("regex", r"https://.*\.b\.example"),
            StringMatch("prefix", "https://"),
        ),
        allow_methods="GET,PUT",
        allow_headers="X-A",
        expose_headers="X-B,X-C",
        max_age="60",
        allow_credentials=True,
        forward_unmatched=False,
    )


def test_cross_origin_rules_have_defaults(route_rule: Rule) -> None:
    assert route_rule(fields("{allowOrigins: ['*']}")).cors == CorsPolicy(
        allow_origins=(ANY_ORIGIN,), max_age="5", forward_unmatched=False
    )


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("{allowOrigins: ['*', 'https://a']}", "AllowOrigins cannot contain '*' alongside other origins"),
        ("{allowMethods: ['*', GET]}", "AllowMethods cannot contain '*' alongside other methods"),
        ("{allowHeaders: ['*', a]}", "AllowHeaders cannot contain '*' alongside other methods"),
        (
            "{allowOrigins: [a.example]}",
            'allowOrigins[0]: "a.example" is not an origin, such as https://shop.example.com',
        ),
        ("{maxAge: 0}", "maxAge: must be in the range 1..2147483647 (it is 0)"),
        (
            "{allowMethods: [FETCH]}",
            'allowMethods[0]: "FETCH" is not one of GET, HEAD, POST, PUT, DELETE, CONNECT, OPTIONS, TRACE, PATCH, *',
        ),
    ],
)
def test_cross_origin_rules_that_cannot_be_are_refused(rule_refusals: Told, value: str, message: str) -> None:
    [problem] = rule_refusals(fields(value))
    assert problem.removeprefix("filters[0].cors").lstrip(".: ").startswith(message)


def test_a_star_beside_credentials_is_told(warnings: Told) -> None:
    assert warnings(fields("{allowHeaders: ['*'], allowCredentials: true}")) == [
        "filters[0].cors.allowHeaders: beside allowCredentials a browser takes * for a name; list them"
    ]
