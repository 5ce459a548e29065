"""Filters of an HTTPRoute: header changes, redirects, rewrites, mirrors, CORS, and what is refused of them."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from mirror_proxy.config.model import CorsPolicy, HeaderOps, Match, Redirect, Rewrite, StringMatch
from mirror_proxy.config.rules import RouteRule

Rule = Callable[..., RouteRule]
Messages = Callable[..., list[str]]


def filters(kind: str, value: str, before: str = "") -> str:
    key = {"URLRewrite": "urlRewrite", "CORS": "cors"}.get(kind, kind[0].lower() + kind[1:])
    return f"{before}\nfilters: [{{type: {kind}, {key}: {value}}}]"


def prefix(path: str) -> str:
    return f"matches: [{{path: {{value: {path}}}}}]"


def test_headers_of_request_and_response_are_changed(route_rule: Rule) -> None:
    route = route_rule("""
        filters:
        - type: RequestHeaderModifier
          requestHeaderModifier:
            set: [{name: X-A, value: "1"}, {name: x-a, value: "2"}]
            add: [{name: B, value: "3"}]
            remove: [C]
        - {type: ResponseHeaderModifier, responseHeaderModifier: {set: [{name: d, value: 100%}]}}
        """)
    assert route.request_headers == HeaderOps(("c",), (("x-a", "1"),), (("b", "3"),))
    assert route.response_headers == HeaderOps(set=(("d", "100%"),))


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("{set: [{name: a, value: b}], remove: [A]}", 'only one action for the header "a" is permitted'),
        (
            "{set: [{name: a, value: b}], add: [{name: A, value: c}]}",
            'only one action for the header "a" is permitted',
        ),
        ("{remove: [a, A]}", 'only one action for the header "a" is permitted'),
        ("{set: [{name: Host, value: b}]}", 'set[0].name: invalid header "Host": cannot set Host header'),
        ("{set: [{name: 'a b', value: b}]}", 'set[0].name: "a b" is not the name of a header'),
        ("{set: [{name: a, value: ''}]}", "set[0].value: should be at least 1 chars long"),
        (
            '{set: [{name: a, value: "b\\r\\nc: d"}]}',
            r"set[0].value: header value configuration 'b\r\nc: d' is invalid",
        ),
        ("{sets: []}", 'sets: unknown field "sets"; did you mean "set"?'),
    ],
)
def test_a_header_change_that_cannot_be_is_refused(rule_refusals: Messages, value: str, message: str) -> None:
    [problem] = rule_refusals(filters("RequestHeaderModifier", value))
    assert problem.removeprefix("filters[0].requestHeaderModifier").lstrip(".: ") == message


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("{}", Redirect(302)),
        ("{scheme: https}", Redirect(302, scheme="https", port="from_protocol")),
        ("{scheme: https, port: 8443}", Redirect(302, scheme="https", port=8443)),
        ("{hostname: b.example, statusCode: 301}", Redirect(301, authority="b.example")),
        ("{statusCode: 308}", Redirect(308)),
        ("{path: {type: ReplaceFullPath, replaceFullPath: /b}}", Redirect(302, path="/b")),
        ("{path: {type: ReplaceFullPath, replaceFullPath: '/b?c=d'}}", Redirect(302, path="/b?c=d")),
        ("{path: {type: ReplaceFullPath, replaceFullPath: ''}}", Redirect(302, path="/")),
        ("{path: {type: ReplacePrefixMatch, replacePrefixMatch: /b}}", Redirect(302, prefix="/b")),
        ("{path: {type: ReplacePrefixMatch, replacePrefixMatch: /b/}}", Redirect(302, prefix="/b")),
    ],
)
def test_a_redirect_is_read(route_rule: Rule, value: str, expected: Redirect) -> None:
    route = route_rule(filters("RequestRedirect", value, prefix("/a")), "")
    assert route.redirect == expected
    assert route.direct_response is None


@pytest.mark.parametrize("replacement", ["''", "/"])
@pytest.mark.parametrize("kind", ["RequestRedirect", "URLRewrite"])
def test_a_prefix_that_goes_leaves_the_slash(route_rule: Rule, kind: str, replacement: str) -> None:
    change = f"{{path: {{type: ReplacePrefixMatch, replacePrefixMatch: {replacement}}}}}"
    route = route_rule(
        filters(kind, change, prefix("/a/")),
        "" if kind == "RequestRedirect" else "backendRefs: [{name: v1, port: 1}]\n",
    )
    assert route.matches == (
        Match(path=StringMatch("exact", "/a")),
        Match(path=StringMatch("prefix", "/a/")),
    )
    assert (route.redirect.prefix if route.redirect else route.rewrite.path) == "/"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("{hostname: b.example}", Rewrite(authority="b.example")),
        ("{path: {type: ReplaceFullPath, replaceFullPath: /b}}", Rewrite(path="/b", whole=True)),
        ("{path: {type: ReplacePrefixMatch, replacePrefixMatch: /b}}", Rewrite(path="/b")),
        ("{path: {type: ReplacePrefixMatch, replacePrefixMatch: /b/}}", Rewrite(path="/b")),
    ],
)
def test_a_rewrite_is_read(route_rule: Rule, value: str, expected: Rewrite) -> None:
    route = route_rule(filters("URLRewrite", value, prefix("/a")))
    assert route.rewrite == expected
    assert route.matches == (Match(path=StringMatch("segments", "/a")),)


@pytest.mark.parametrize(("replacement", "path"), [("/b", "/b/"), ("/b/", "/b/"), ("/", "/")])
def test_what_comes_before_every_path_ends_with_a_slash(
    route_rule: Rule, replacement: str, path: str
) -> None:
    change = f"{{path: {{type: ReplacePrefixMatch, replacePrefixMatch: {replacement}}}}}"
    assert route_rule(filters("URLRewrite", change)).rewrite == Rewrite(path=path)


@pytest.mark.parametrize("kind", ["RequestRedirect", "URLRewrite"])
@pytest.mark.parametrize(
    "matches",
    [
        "matches: [{path: {type: Exact, value: /a}}]",
        "matches: [{path: {type: RegularExpression, value: /a}}]",
        "matches: [{path: {value: /a}}, {path: {value: /b}}]",
    ],
)
def test_a_prefix_is_replaced_only_where_there_is_one(
    rule_refusals: Messages, kind: str, matches: str
) -> None:
    change = "{path: {type: ReplacePrefixMatch, replacePrefixMatch: /b}}"
    backend = "" if kind == "RequestRedirect" else "backendRefs: [{name: v1, port: 1}]\n"
    assert rule_refusals(filters(kind, change, matches), backend) == [
        f": When using {kind} filter with path.replacePrefixMatch, exactly one PathPrefix match must be specified"
    ]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            "{type: ReplaceFullPath}",
            "replaceFullPath must be specified when type is set to 'ReplaceFullPath'",
        ),
        (
            "{type: ReplacePrefixMatch, replaceFullPath: /b}",
            "type must be 'ReplaceFullPath' when replaceFullPath is set",
        ),
        (
            "{type: ReplacePrefixMatch}",
            "replacePrefixMatch must be specified when type is set to 'ReplacePrefixMatch'",
        ),
        (
            "{type: ReplaceFullPath, replaceFullPath: /a, replacePrefixMatch: /b}",
            "type must be 'ReplacePrefixMatch' when replacePrefixMatch is set",
        ),
        ("{replaceFullPath: /b}", "type: Required value"),
        ("{type: Replace}", 'type: "Replace" is not one of ReplaceFullPath, ReplacePrefixMatch'),
        (
            "{type: ReplaceFullPath, replaceFullPath: b}",
            'replaceFullPath: "b" must begin with a slash and hold neither blanks nor what is not ASCII',
        ),
        (
            "{type: ReplaceFullPath, replaceFullPath: '/b c'}",
            'replaceFullPath: "/b c" must begin with a slash and hold neither blanks nor what is not ASCII',
        ),
        (
            "{type: ReplaceFullPath, replaceFullPath: '/b#c'}",
            'replaceFullPath: "/b#c" must not hold a fragment',
        ),
        (
            "{type: ReplaceFullPath, replaceFullPath: '/b?c'}",
            '"/b?c" must not hold a query: a rewrite keeps the request\'s',
        ),
        (
            "{type: ReplacePrefixMatch, replacePrefixMatch: '/b?c'}",
            'replacePrefixMatch: "/b?c" must not hold a query',
        ),
    ],
)
def test_a_path_change_that_cannot_be_is_refused(rule_refusals: Messages, change: str, message: str) -> None:
    [problem] = rule_refusals(filters("URLRewrite", f"{{path: {change}}}", prefix("/a")))
    assert problem.removeprefix("filters[0].urlRewrite.path").lstrip(".: ").startswith(message)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("{scheme: ftp}", 'scheme: "ftp" is not one of http, https'),
        (
            "{hostname: '*.example'}",
            'hostname: "*.example" is not a hostname, such as shop.example.com (lower case, no wildcard)',
        ),
        ("{port: 0}", "port: must be in the range 1..65535 (it is 0)"),
        (
            "{statusCode: 304}",
            "statusCode: Unsupported value: 304: a status is one of 301, 302, 303, 307, 308",
        ),
    ],
)
def test_a_redirect_that_the_api_server_refuses_is_refused(
    rule_refusals: Messages, value: str, message: str
) -> None:
    assert rule_refusals(filters("RequestRedirect", value), "") == [f"filters[0].requestRedirect.{message}"]


def test_a_redirect_has_no_backend(rule_refusals: Messages) -> None:
    assert rule_refusals(filters("RequestRedirect", "{scheme: https}")) == [
        ": RequestRedirect filter must not be used together with backendRefs"
    ]


@pytest.mark.parametrize(
    ("share", "expected"),
    [
        ("", (100, 100)),
        (", percent: 0", (0, 1_000_000)),
        (", percent: 20", (200_000, 1_000_000)),
        (", percent: 100", (1_000_000, 1_000_000)),
        (", fraction: {numerator: 25, denominator: 50}", (500_000, 1_000_000)),
        (", fraction: {numerator: 57}", (570_000, 1_000_000)),
        (", fraction: {numerator: 1, denominator: 3}", (333_333, 1_000_000)),
        (", fraction: {numerator: 1, denominator: 1000000}", (1, 1_000_000)),
    ],
)
def test_a_mirror_takes_a_share(route_rule: Rule, share: str, expected: tuple[int, int]) -> None:
    [mirror] = route_rule(filters("RequestMirror", f"{{backendRef: {{name: v2, port: 81}}{share}}}")).mirrors
    assert (mirror.numerator, mirror.denominator) == expected
    assert (mirror.target.host, mirror.target.namespace, mirror.target.port) == ("v2", "default", 81)


def test_a_rule_has_several_mirrors(route_rule: Rule) -> None:
    route = route_rule("""
        filters:
        - {type: RequestMirror, requestMirror: {backendRef: {name: v2, port: 81}}}
        - {type: RequestMirror, requestMirror: {backendRef: {name: v3, namespace: other, port: 82}, percent: 5}}
        """)
    assert [mirror.target.label for mirror in route.mirrors] == ["v2", "v3.other.svc.cluster.local"]


def test_a_share_below_one_in_a_million_is_told(warnings: Messages) -> None:
    fraction = "fraction: {numerator: 1, denominator: 2000000}"
    assert warnings(filters("RequestMirror", f"{{backendRef: {{name: v2, port: 81}}, {fraction}}}")) == [
        "filters[0].requestMirror.fraction: is less than one in a million: nothing is mirrored"
    ]


REF = "backendRef: {name: v2, port: 81}"


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (
            f"{{{REF}, percent: 1, fraction: {{numerator: 1}}}}",
            "Only one of percent or fraction may be specified in HTTPRequestMirrorFilter",
        ),
        (
            f"{{{REF}, fraction: {{numerator: 101}}}}",
            "fraction: numerator must be less than or equal to denominator",
        ),
        (f"{{{REF}, fraction: {{denominator: 101}}}}", "fraction.numerator: Required value"),
        (
            f"{{{REF}, fraction: {{numerator: 0, denominator: 0}}}}",
            "fraction.denominator: must be in the range 1..2147483647 (it is 0)",
        ),
        (
            f"{{{REF}, fraction: {{numerator: -1}}}}",
            "fraction.numerator: must be in the range 0..2147483647 (it is -1)",
        ),
        (f"{{{REF}, percent: 101}}", "percent: must be in the range 0..100 (it is 101)"),
        (f"{{{REF}, percent: 0.5}}", 'percent: must be of type integer: "number"'),
        ("{}", "backendRef: Required value"),
        ("{backendRef: {name: v2}}", "backendRef: Must have port for Service reference"),
        ("{backendRef: {port: 80}}", "backendRef.name: Required value"),
        (
            "{backendRef: {name: 10.0.0.1, port: 80}}",
            'backendRef.name: "10.0.0.1" is not the name of a Service',
        ),
        (
            "{backendRef: {name: v2, port: 80, namespace: A}}",
            'backendRef.namespace: "A" is not the name of a namespace',
        ),
        (
            "{backendRef: {name: v2, port: 80, group: m.io, kind: ServiceImport}}",
            "backendRef: InvalidKind: only a Service can be a backend here, not a ServiceImport of the group m.io",
        ),
        ("{backendRef: {name: v2, port: 80, weight: 1}}", 'backendRef.weight: unknown field "weight"'),
    ],
)
def test_a_mirror_that_cannot_be_is_refused(rule_refusals: Messages, value: str, message: str) -> None:
    [problem] = rule_refusals(filters("RequestMirror", value))
    assert problem.removeprefix("filters[0].requestMirror").lstrip(".: ") == message


@pytest.mark.parametrize(
    ("kind", "key"),
    [
        ("RequestHeaderModifier", "requestHeaderModifier"),
        ("ResponseHeaderModifier", "responseHeaderModifier"),
        ("RequestMirror", "requestMirror"),
        ("RequestRedirect", "requestRedirect"),
        ("URLRewrite", "urlRewrite"),
        ("CORS", "cors"),
        ("ExtensionRef", "extensionRef"),
        ("ExternalAuth", "externalAuth"),
    ],
)
def test_a_filter_says_what_its_type_names(rule_refusals: Messages, kind: str, key: str) -> None:
    assert rule_refusals(f"filters: [{{type: {kind}}}]") == [
        f"filters[0]: filter.{key} must be specified for {kind} filter.type"
    ]


def test_a_filter_says_nothing_else(rule_refusals: Messages) -> None:
    fields = "filters: [{type: CORS, cors: {}, urlRewrite: {hostname: a}}]"
    assert rule_refusals(fields) == [
        "filters[0]: filter.urlRewrite must be nil if the filter.type is not URLRewrite"
    ]


@pytest.mark.parametrize(
    ("kind", "key"), [("ExtensionRef", "extensionRef"), ("ExternalAuth", "externalAuth")]
)
def test_a_filter_that_is_not_here_is_not_skipped(rule_refusals: Messages, kind: str, key: str) -> None:
    assert rule_refusals(f"filters: [{{type: {kind}, {key}: {{name: a}}}}]") == [
        f"filters[0]: {kind}: this proxy has no such filter, and a filter must not be skipped"
    ]


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("RequestHeaderModifier", "requestHeaderModifier: {}"),
        ("ResponseHeaderModifier", "responseHeaderModifier: {}"),
        ("URLRewrite", "urlRewrite: {}"),
        ("CORS", "cors: {}"),
    ],
)
def test_a_filter_stands_once(rule_refusals: Messages, kind: str, value: str) -> None:
    item = f"{{type: {kind}, {value}}}"
    assert rule_refusals(f"filters: [{item}, {item}]") == [f"filters: {kind} filter cannot be repeated"]


def test_a_rule_rewrites_or_redirects(rule_refusals: Messages) -> None:
    items = "[{type: RequestRedirect, requestRedirect: {}}, {type: URLRewrite, urlRewrite: {}}]"
    assert rule_refusals(f"filters: {items}", "") == [
        "filters: May specify either httpRouteFilterRequestRedirect or httpRouteFilterRequestRewrite, but not both"
    ]


def test_too_many_filters_are_refused(rule_refusals: Messages) -> None:
    item = "{type: RequestMirror, requestMirror: {backendRef: {name: a, port: 1}}}"
    assert rule_refusals(f"filters: [{', '.join([item] * 17)}]") == [
        "filters: Too many: 17: must have at most 16 items"
    ]


ANY_ORIGIN = StringMatch("regex", r"[a-zA-Z][a-zA-Z0-9+.-]*://[^/\s?#]+")


def cors_filter(value: str) -> str:
    return f"filters: [{{type: CORS, cors: {value}}}]"


def test_cross_origin_rules_are_read_as_istio_reads_them(route_rule: Rule) -> None:
    value = (
        "{allowOrigins: ['https://a.example', 'https://*.b.example', 'https://*'], allowMethods: [GET, PUT],"
        " allowHeaders: [X-A], exposeHeaders: [X-B, X-C], allowCredentials: true, maxAge: 60}"
    )
    assert route_rule(cors_filter(value)).cors == CorsPolicy(
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
    assert route_rule(cors_filter("{allowOrigins: ['*']}")).cors == CorsPolicy(
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
def test_cross_origin_rules_that_cannot_be_are_refused(
    rule_refusals: Messages, value: str, message: str
) -> None:
    [problem] = rule_refusals(cors_filter(value))
    assert problem.removeprefix("filters[0].cors").lstrip(".: ").startswith(message)


def test_a_star_beside_credentials_is_told(warnings: Messages) -> None:
    assert warnings(cors_filter("{allowHeaders: ['*'], allowCredentials: true}")) == [
        "filters[0].cors.allowHeaders: beside allowCredentials a browser takes * for a name; list them"
    ]
