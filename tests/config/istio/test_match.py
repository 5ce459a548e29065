"""Matches: what each field of a block becomes, which blocks are meant for this proxy, and what is refused."""

from __future__ import annotations

import pytest

from mirror_proxy.config.model import FieldMatch, Match, StringMatch
from tests.config.istio.conftest import Http, Messages, routed, virtual_service

LONG = "a" * 1025
SYNTAX = "Istio uses RE2 style regex-based match (https://github.com/google/re2/wiki/Syntax)"


@pytest.mark.parametrize(
    ("block", "match"),
    [
        ("{uri: {exact: /a}}", Match(path=StringMatch("exact", "/a"))),
        ("{uri: {prefix: /a}}", Match(path=StringMatch("prefix", "/a"))),
        ("{uri: {prefix: ''}}", Match(path=StringMatch("prefix", ""))),
        ("{uri: {regex: '/a[0-9]+'}}", Match(path=StringMatch("regex", "/a[0-9]+"))),
        ("{uri: {exact: /a}, ignoreUriCase: true}", Match(path=StringMatch("exact", "/a", ignore_case=True))),
        ("{uri: {regex: /a}, ignoreUriCase: true}", Match(path=StringMatch("regex", "/a"))),
        ("{uri: {}}", Match()),
        ("{}", Match()),
        ("{name: beta, scheme: {exact: https}}", Match("beta", scheme=StringMatch("exact", "https"))),
        ("{method: {exact: GET}}", Match(method=StringMatch("exact", "GET"))),
        ("{method: {}}", Match(method=StringMatch("present"))),
        ("{authority: {prefix: shop}}", Match(authority=StringMatch("prefix", "shop"))),
        (
            "{headers: {X-User: {exact: Jason}, ':path': {prefix: /}, a: {}}}",
            Match(
                headers=(
                    FieldMatch(":path", StringMatch("prefix", "/")),
                    FieldMatch("x-user", StringMatch("exact", "Jason")),
                    FieldMatch("a", StringMatch("present")),
                )
            ),
        ),
        (
            "{withoutHeaders: {A: {exact: b}, b: {regex: '*'}, c: ~}}",
            Match(
                headers=(
                    FieldMatch("a", StringMatch("exact", "b"), invert=True),
                    FieldMatch("b", StringMatch("present"), invert=True),
                    FieldMatch("c", StringMatch("present"), invert=True),
                )
            ),
        ),
        (
            "{queryParams: {Q: {exact: '1'}, r: {}}}",
            Match(
                query=(FieldMatch("Q", StringMatch("exact", "1")), FieldMatch("r", StringMatch("present")))
            ),
        ),
        ("{port: 8080, statPrefix: x}", Match()),
        ("{sourceNamespace: default}", Match()),
        ("{gateways: [mesh, ns/web]}", Match()),
    ],
)
def test_a_block_becomes_a_match(http: Http, block: str, match: Match) -> None:
    (route,) = http(routed(f"match: [{block}]"))
    assert route.matches == (match,)


def test_snake_case_is_read_with_a_warning_and_camel_case_wins(http: Http, warned: Messages) -> None:
    block = "match: [{ignore_uri_case: false, ignoreUriCase: true, uri: {exact: /a}}]"
    (route,) = http(routed(block))
    assert route.matches[0].path == StringMatch("exact", "/a", ignore_case=True)
    assert warned(virtual_service(routed(block))) == [
        "spec.http[0].match[0].ignore_uri_case: kubectl will reject this; write ignoreUriCase"
    ]


def test_a_regex_of_a_star_tests_for_presence_where_a_mesh_would_refuse_it(
    http: Http, warned: Messages
) -> None:
    fields = routed("match: [{headers: {a: {regex: '*'}}}]")
    assert http(fields)[0].matches == (Match(headers=(FieldMatch("a", StringMatch("present")),)),)
    (warning,) = warned(virtual_service(fields))
    assert warning.startswith("spec.http[0].match[0].headers.a: a mesh would refuse the regex *")


@pytest.mark.parametrize(
    ("block", "problem"),
    [
        ("{headers: {a: ~}}", ".headers.a: header match a cannot be null"),
        ("{headers: {'': {}}}", '.headers[""]: header name cannot be empty'),
        ("{headers: {a b: {}}}", '.headers["a b"]: header name a b is not a valid header name'),
        ("{withoutHeaders: {a b: {}}}", '.withoutHeaders["a b"]: header name a b is not a valid header name'),
        *(
            (
                f"{{{field}: {{a: {{prefix: ''}}}}}}",
                f'.{field}.a: "{field}": prefix string match should not be empty',
            )
            for field in ("headers", "withoutHeaders", "queryParams")
        ),
        *(
            (f"{{{field}: {{prefix: ''}}}}", f'.{field}: "{field}": prefix string match should not be empty')
            for field in ("scheme", "method", "authority")
        ),
        ("{uri: {regex: ''}}", '.uri: "uri": regex string match should not be empty'),
        (f"{{uri: {{regex: {LONG}}}}}", '.uri: "uri": regex is too large, max length allowed is 1024'),
        ("{uri: {regex: 'a('}}", f'.uri: "uri": error parsing regexp: missing ): a(; {SYNTAX}'),
        (
            "{headers: {a: {regex: '(?=x)'}}}",
            f'.headers.a: "headers": error parsing regexp: invalid perl operator: (?=; {SYNTAX}',
        ),
        (
            "{uri: {exact: /a, prefix: /b}}",
            ".uri: must validate one and only one schema (oneOf); give one of exact, prefix and regex",
        ),
        ("{uri: /a}", '.uri: must be of type object: "string"'),
        ("{uri: {exat: /a}}", '.uri.exat: unknown field "exat"; did you mean "exact"?'),
        ("{headers: []}", '.headers: must be of type object: "array"'),
        ("{headers: {a: b}}", '.headers.a: must be of type object: "string"'),
        ("{method: {exact: 1}}", '.method.exact: must be of type string: "integer"'),
        ("{ignoreUriCase: 1}", '.ignoreUriCase: must be of type boolean: "integer"'),
        ("{port: 70000}", ".port: port number 70000 must be in the range 1..65535"),
        ("{sourceNamespace: a.b}", ".sourceNamespace: sourceNamespace match a.b is invalid"),
        ("{sourceLabels: {'a b': c}}", '.sourceLabels["a b"]: invalid tag key: "a b"'),
        ("{sourceLabels: {a: c d}}", '.sourceLabels.a: invalid tag value: "c d"'),
        ("{gateways: [1]}", '.gateways[0]: must be of type string: "integer"'),
        ("{gateways: [/a]}", ".gateways[0]: config namespace and gateway name cannot be empty"),
        ("{gateways: [a_b/c]}", '.gateways[0]: invalid value for namespace: "a_b"'),
        ("{gateways: [a/b.c]}", '.gateways[0]: invalid value for gateway name: "b.c"'),
        ("~", ': must be of type object: "null"'),
        (
            "{sourceLabels: {app: shop}}",
            (
                ".sourceLabels: sourceLabels are compared with the proxy's own labels, and it was not told any;"
                " give --workload-labels K=V,..."
            ),
        ),
        (
            "{headers: {'@request.auth.claims.group': {exact: a}}}",
            (
                ": JWT claim based routing (key: @request.auth.claims.group) is only supported for gateway,"
                " found no gateways: []"
            ),
        ),
    ],
)
def test_a_wrong_block_is_refused_in_istios_words(refused: Messages, block: str, problem: str) -> None:
    assert f"spec.http[0].match[0]{problem}" in refused(virtual_service(routed(f"match: [{block}]")))


@pytest.mark.parametrize(
    ("gateways", "problem"),
    [
        (
            "[mesh, web]",
            (
                "JWT claim based routing (key: @request.auth.claims[a]) is only supported for gateway,"
                " found no gateways: [mesh web]"
            ),
        ),
        ("[web]", "this proxy checks no JWT, and cannot route by its claims (key: @request.auth.claims[a])"),
    ],
)
def test_claims_are_not_routed_by(refused: Messages, gateways: str, problem: str) -> None:
    spec = f"hosts: [v1]\n  gateways: {gateways}"
    text = virtual_service(routed("match: [{withoutHeaders: {'@request.auth.claims[a]': {}}}]"), spec=spec)
    assert refused(text) == [f"spec.http[0].match[0]: {problem}"]


TWO_WAYS = """
- match: [{%s}]
  name: special
  route: [{destination: {host: v1, port: {number: 80}}}]
- name: rest
  route: [{destination: {host: v1, port: {number: 80}}}]
"""


@pytest.mark.parametrize(
    ("block", "options", "is_meant"),
    [
        ("port: 8080", {}, True),
        ("port: 80", {}, False),
        ("port: 80", {"service_port": 80}, True),
        ("port: 8080", {"service_port": 80}, False),
        ("sourceLabels: {app: a}", {"workload_labels": (("app", "a"), ("version", "v1"))}, True),
        ("sourceLabels: {app: a, tier: x}", {"workload_labels": (("app", "a"),)}, False),
        ("sourceLabels: {app: a}", {"workload_labels": ()}, False),
        ("sourceLabels: {app: a}, gateways: [mesh]", {}, True),
        ("sourceNamespace: prod", {"namespace": "prod"}, True),
        ("sourceNamespace: prod", {}, False),
        ("sourceNamespace: prod, gateways: [mesh]", {}, True),
        ("gateways: [mesh]", {"acts_as": "mesh"}, True),
        ("gateways: [web]", {"acts_as": "mesh"}, False),
        ("gateways: [web]", {"acts_as": "default/web"}, True),
        ("gateways: [other/web]", {"acts_as": "default/web"}, False),
        ("gateways: [web.other.svc.cluster.local]", {"acts_as": "other/web"}, True),
    ],
)
def test_a_block_for_another_proxy_is_left_out_and_its_rule_with_it(
    http: Http, block: str, options: dict[str, object], *, is_meant: bool
) -> None:
    spec = "hosts: [v1]\n  gateways: [mesh, default/web, other/web]"
    routes = http(TWO_WAYS % block, spec=spec, **options)
    assert [route.name for route in routes] == (["special"] if is_meant else ["rest"])


def test_a_block_for_another_port_is_warned_of(warned: Messages) -> None:
    assert warned(virtual_service(TWO_WAYS % "port: 80")) == [
        (
            "spec.http[0].match[0]: match left out: its port 80 is not 8080;"
            " --service-port says which port of the service this proxy stands for"
        )
    ]


def test_a_port_is_asked_of_each_request_where_listeners_differ_in_it(config: Http) -> None:
    listeners = "spec: {listeners: [{address: '0.0.0.0:8080'}, {address: '0.0.0.0:8081'}]}\n---\n"
    head = f"apiVersion: mirror-proxy.dev/v1\nkind: MirrorProxy\nmetadata: {{name: p}}\n{listeners}"
    loaded = config(head + virtual_service(routed("match: [{port: 8081}, {port: 80}]")))
    assert loaded.virtual_hosts[0].routes[0].matches == (Match(port=8081),)  # type: ignore[attr-defined]


def test_what_comes_after_a_block_that_takes_everything_is_left_out(http: Http) -> None:
    blocks = "match: [{uri: {exact: /a}}, {uri: {prefix: /}}, {uri: {exact: /b}}]"
    (route,) = http(routed(blocks) + "\n" + routed("name: never"))
    assert route.matches == (Match(path=StringMatch("exact", "/a")), Match(path=StringMatch("prefix", "/")))


def test_a_legacy_gateway_name_is_warned_of(warned: Messages) -> None:
    text = virtual_service(routed(""), spec="hosts: [v1]\n  gateways: [web.ns.svc.cluster.local]")
    assert warned(text) == [
        (
            'spec.gateways[0]: using legacy gatewayName format "web.ns.svc.cluster.local";'
            ' prefer the <namespace>/<name> format: "ns/web"'
        )
    ]
