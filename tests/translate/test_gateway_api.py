"""HTTPRoutes of a configuration load as it does; what they cannot say is told."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from mirror_proxy.config.loader import Loaded
from mirror_proxy.config.model import Address
from mirror_proxy.config.options import EndpointOption, Options
from mirror_proxy.config.problems import Mark
from mirror_proxy.translate import gateway_api
from mirror_proxy.translate.translation import Translation
from tests.support.plain_routing import plain_routing

Load = Callable[..., Loaded]
Reload = Callable[[Sequence[Any]], Loaded]

STRICT = Options(host_match="strict")
HEAD = """\
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: shop, namespace: store}
spec:
  hosts: [v1, shop.example.com, "*.example.org"]
  http:
"""
TO_V1 = "route: [{destination: {host: v1, port: {number: 80}}}]"
ROUTES = {
    "matches": f"""
  - name: all-conditions
    match:
    - uri: {{exact: /a}}
      method: {{exact: GET}}
      headers: {{x-a: {{exact: b}}}}
      queryParams: {{q: {{exact: c}}}}
    - {{uri: {{exact: /b}}}}
    - {{uri: {{prefix: /b/}}}}
    {TO_V1}
  - {TO_V1}
""",
    "destinations": """
  - route:
    - {destination: {host: v1, port: {number: 80}}, weight: 90}
    - destination: {host: v2.other.svc.cluster.local, port: {number: 81}}
      weight: 10
      headers:
        request: {set: {host: v2.example, x-a: "100%%"}, add: {x-b: c}, remove: [x-d]}
        response: {set: {x-e: f}}
""",
    "mirrors": f"""
  - {TO_V1}
    mirrors:
    - {{destination: {{host: v2, port: {{number: 80}}}}}}
    - {{destination: {{host: v2, port: {{number: 80}}}}, percentage: {{value: 0.57}}}}
    - {{destination: {{host: v3, port: {{number: 80}}}}, percentage: {{value: 20}}}}
""",
    "headers": f"""
  - headers:
      request: {{set: {{host: v1.example, x-a: "%%"}}, add: {{x-b: c}}, remove: [x-d]}}
      response: {{add: {{x-e: f}}, remove: [server]}}
    {TO_V1}
""",
    "timeouts": f"""
  - timeout: 1.5s
    retries: {{attempts: 2, perTryTimeout: 500ms}}
    {TO_V1}
""",
    "rewrites": f"""
  - {{match: [{{uri: {{exact: /a}}}}], rewrite: {{authority: b.example}}, {TO_V1}}}
  - {{match: [{{uri: {{exact: /c}}}}, {{uri: {{prefix: /c/}}}}], rewrite: {{uri: /}}, {TO_V1}}}
""",
    "answers": """
  - match: [{uri: {exact: /a}}]
    redirect: {uri: /b, authority: b.example, scheme: https, port: 8443, redirectCode: 308}
  - {match: [{uri: {exact: /c}}], redirect: {authority: b.example, redirectCode: 302}}
  - directResponse: {status: 500}
""",
    "cors": f"""
  - corsPolicy:
      allowOrigins: [{{exact: "https://a"}}, {{prefix: "https://"}}]
      allowMethods: [GET, PUT]
      allowHeaders: [x-a, x-b]
      exposeHeaders: [x-c]
      maxAge: 60s
      allowCredentials: true
      unmatchedPreflights: IGNORE
    {TO_V1}
""",
}


@pytest.mark.parametrize("routes", ROUTES.values(), ids=ROUTES)
def test_what_can_be_said_loads_as_before(load: Load, reload: Reload, routes: str) -> None:
    loaded = load(HEAD + routes.strip("\n"))
    translation = gateway_api.documents(loaded, STRICT)
    assert translation.untranslated == []
    assert plain_routing(reload(translation.documents).config) == plain_routing(loaded.config)


def rules_of(translation: Translation) -> list[dict[str, Any]]:
    return [rule for document in translation.documents for rule in document["spec"].get("rules", ())]


NO_WORD = "HTTPRoute has no word for it"
PATTERNS = "regular expressions are up to each implementation of Gateway API"
LEFT_OUT = "a match is left out"


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ("match: [{scheme: {exact: http}}]", f"{LEFT_OUT}: scheme: {NO_WORD}"),
        ("match: [{authority: {exact: a}}]", f"{LEFT_OUT}: authority: {NO_WORD}"),
        ("match: [{method: {regex: GET|PUT}}]", f'{LEFT_OUT}: method regex "GET|PUT": {NO_WORD}'),
        ("match: [{method: {exact: PURGE}}]", f'{LEFT_OUT}: method exact "PURGE": {NO_WORD}'),
        ("match: [{withoutHeaders: {a: {}}}]", f"{LEFT_OUT}: header a that must not match: {NO_WORD}"),
        ("match: [{headers: {':path': {prefix: /a}}}]", f"{LEFT_OUT}: header :path: {NO_WORD}"),
        (
            "match: [{queryParams: {a: {exact: ''}}}]",
            f"{LEFT_OUT}: query parameter a that is empty: {NO_WORD}",
        ),
    ],
)
def test_a_match_without_a_word_is_left_out(load: Load, fields: str, told: str) -> None:
    translation = gateway_api.documents(load(f"{HEAD}  - {{name: a, {fields}, {TO_V1}}}\n"), STRICT)
    assert translation.untranslated == [f"a: {told}"]
    assert rules_of(translation) == []


def test_hosts_that_an_http_route_does_not_take_are_left_out(load: Load) -> None:
    hosts = [f"h{number}.example" for number in range(17)]
    many = HEAD.replace('[v1, shop.example.com, "*.example.org"]', f"[{', '.join([*hosts, '10.0.0.1'])}]")
    translation = gateway_api.documents(load(f"{many}  - {TO_V1}\n"), STRICT)
    assert [line.partition(" ")[2] for line in translation.untranslated] == [
        "host 10.0.0.1: HTTPRoute takes names, and *. before them",
        "hosts: HTTPRoute takes 16; left out: h16.example",
    ]
    only = HEAD.replace('[v1, shop.example.com, "*.example.org"]', "[10.0.0.1]")
    translation = gateway_api.documents(load(f"{only}  - {TO_V1}\n"), STRICT)
    assert translation.untranslated[-1].endswith("without any that HTTPRoute takes, it takes every host")


@pytest.mark.parametrize(
    ("match", "written", "told"),
    [
        (
            "uri: {regex: '/a.*'}",
            {"path": {"type": "RegularExpression", "value": "/a.*"}},
            f'path "/a.*": {PATTERNS}',
        ),
        (
            "uri: {exact: /a}, ignoreUriCase: true",
            {"path": {"type": "RegularExpression", "value": "(?i)/a"}},
            f'path "(?i)/a": {PATTERNS}',
        ),
        (
            "uri: {prefix: /a}",
            {"path": {"type": "PathPrefix", "value": "/a"}},
            'path prefix "/a": HTTPRoute takes whole segments, and does not take such as "/ax"',
        ),
        (
            "uri: {prefix: /a/}",
            {"path": {"type": "PathPrefix", "value": "/a"}},
            'path prefix "/a/": HTTPRoute takes whole segments, and takes "/a" too',
        ),
        (
            "headers: {a: {prefix: b.}}",
            {"headers": [{"type": "RegularExpression", "name": "a", "value": r"b\..*"}]},
            rf'header a "b\..*": {PATTERNS}',
        ),
        (
            "queryParams: {a: {}}",
            {"queryParams": [{"type": "RegularExpression", "name": "a", "value": ".*"}]},
            f'query parameter a ".*": {PATTERNS}',
        ),
    ],
)
def test_a_match_that_means_a_little_else_is_told(load: Load, match: str, written: Any, told: str) -> None:
    translation = gateway_api.documents(
        load(f"{HEAD}  - {{name: a, match: [{{{match}}}], {TO_V1}}}\n"), STRICT
    )
    assert translation.untranslated == [f"a: {told}"]
    assert [rule["matches"] for rule in rules_of(translation)] == [[written]]


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        (f"fault: {{abort: {{httpStatus: 500}}}}, {TO_V1}", f"fault: {NO_WORD}"),
        ("directResponse: {status: 404}", f"the rule is left out: a direct response 404: {NO_WORD}"),
        (f"retries: {{attempts: 0}}, {TO_V1}", f"retries switched off: {NO_WORD}"),
        (f"retries: {{attempts: 2, retryOn: reset}}, {TO_V1}", "retries on reset"),
        (f"retries: {{attempts: 9}}, {TO_V1}", "retry stands in HTTPRoute's experimental channel only"),
        (
            f"rewrite: {{uriRegexRewrite: {{match: a, rewrite: b}}}}, {TO_V1}",
            f"rewrite by a regular expression: {NO_WORD}",
        ),
        (
            f"rewrite: {{authority: 'a:80'}}, {TO_V1}",
            'Host "a:80": HTTPRoute takes a host name without a port',
        ),
        (
            f"rewrite: {{uri: /b}}, {TO_V1}",
            '"/b" in place of "/": Gateway API has one slash between it and the rest',
        ),
        (
            f"headers: {{request: {{set: {{a: b}}, add: {{a: c}}}}}}, {TO_V1}",
            "several changes of one header: HTTPRoute takes one; the last is written",
        ),
        (
            "redirect: {scheme: https}",
            "a port of the request that a redirect keeps: HTTPRoute takes that of the scheme",
        ),
        (
            f"corsPolicy: {{allowOrigins: [{{exact: 'https://a'}}]}}, {TO_V1}",
            "corsPolicy: preflights of other origins are not forwarded by HTTPRoute",
        ),
        (
            f"corsPolicy: {{unmatchedPreflights: IGNORE, allowOrigins: [{{regex: 'https://[ab]'}}]}}, {TO_V1}",
            'corsPolicy: an origin that matches "https://[ab]"',
        ),
    ],
)
def test_an_action_without_a_word_is_told(load: Load, fields: str, told: str) -> None:
    translation = gateway_api.documents(load(f"{HEAD}  - {{name: a, {fields}}}\n"), STRICT)
    assert told in [line.removeprefix("a: ") for line in translation.untranslated]


def test_a_rule_that_replaces_a_prefix_has_one_match(load: Load) -> None:
    match = "match: [{uri: {prefix: /a}}, {uri: {prefix: /b}}]"
    translation = gateway_api.documents(
        load(f"{HEAD}  - {{name: move, {match}, redirect: {{prefixRewrite: /c}}}}\n"), STRICT
    )
    assert [[match["path"]["value"] for match in rule["matches"]] for rule in rules_of(translation)] == [
        ["/a"],
        ["/b"],
    ]
    assert [rule.get("name") for rule in rules_of(translation)] == ["move", None]


def test_an_order_that_gateway_api_does_not_keep_is_told(load: Load) -> None:
    routes = [
        f"  - {{name: header, match: [{{headers: {{a: {{exact: b}}}}}}], {TO_V1}}}",
        f"  - {{name: other, match: [{{uri: {{exact: /x}}, headers: {{a: {{exact: c}}}}}}], {TO_V1}}}",
        f"  - {{name: path, match: [{{uri: {{exact: /a}}}}], {TO_V1}}}",
        f"  - {{name: rest, {TO_V1}}}",
    ]
    translation = gateway_api.documents(load(HEAD + "\n".join(routes)), STRICT)
    assert translation.untranslated == [
        "header: comes before path, but Gateway API tries path first, as more particular"
    ]


def test_subsets_and_hosts_outside_need_services(load: Load) -> None:
    loaded = load(f"""{HEAD}
  - route:
    - {{destination: {{host: v1, subset: b, port: {{number: 80}}}}, weight: 1}}
    - {{destination: {{host: api.example.com, port: {{number: 443}}}}, weight: 1}}
    - {{destination: {{host: 10.0.0.1, port: {{number: 80}}}}, weight: 1}}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: v1, namespace: store}}
spec: {{host: v1, subsets: [{{name: b}}], trafficPolicy: {{connectionPool: {{tcp: {{maxConnections: 1}}}}}}}}
""")
    translation = gateway_api.documents(loaded, STRICT)
    assert [one["name"] for one in rules_of(translation)[0]["backendRefs"]] == [
        "v1-b",
        "api-example-com",
        "ip-10-0-0-1",
    ]
    assert [note for note in translation.notes if note.startswith("Needs")] == [
        "Needs a Service store/v1-b, port 80: the endpoints of v1 that make its subset b.",
        "Needs a Service store/api-example-com, port 443: the endpoints of api.example.com.",
        "Needs a Service store/ip-10-0-0-1, port 80: the endpoints of 10.0.0.1.",
    ]
    assert translation.untranslated == [
        "DestinationRule store/v1 spec.subsets: Gateway API has no word for it",
        "DestinationRule store/v1 spec.trafficPolicy: Gateway API has no word for it",
    ]


def test_a_subset_of_a_service_becomes_a_service(load: Load, reload: Reload) -> None:
    loaded = load(f"""{HEAD}
  - route:
    - {{destination: {{host: v1, subset: b, port: {{number: 80}}}}}}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: v1, namespace: store}}
spec: {{host: v1, subsets: [{{name: b, labels: {{version: b}}}}]}}
---
apiVersion: v1
kind: Service
metadata: {{name: v1, namespace: store}}
spec: {{selector: {{app: shop}}, ports: [{{name: http, port: 80, targetPort: 8080}}]}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {{name: shop-b, namespace: store}}
spec: {{template: {{metadata: {{labels: {{app: shop, version: b}}}}}}}}
""")
    translation = gateway_api.documents(loaded, STRICT)
    service = next(one for one in translation.documents if one["metadata"]["name"] == "v1-b")
    assert service["spec"] == {
        "selector": {"app": "shop", "version": "b"},
        "ports": [{"name": "http", "port": 80, "targetPort": 8080}],
    }
    before, after = loaded.config.clusters, reload(translation.documents).config.clusters
    assert [cluster.endpoints for cluster in after] == [cluster.endpoints for cluster in before]


def test_hosts_that_are_no_names_are_told(load: Load) -> None:
    text = HEAD.replace(
        '[v1, shop.example.com, "*.example.org"]', '[10.0.0.1, "*-a.example.com", b.example.com]'
    )
    translation = gateway_api.documents(load(f"{text}  - {TO_V1}\n"), STRICT)
    assert translation.documents[0]["spec"]["hostnames"] == ["b.example.com"]
    assert translation.untranslated == [
        "store/shop host 10.0.0.1: HTTPRoute takes names, and *. before them",
        "store/shop host *-a.example.com: HTTPRoute takes names, and *. before them",
    ]


def test_many_rules_take_several_http_routes(load: Load, reload: Reload) -> None:
    routes = [
        f"  - {{name: r{number:02}, match: [{{uri: {{exact: /{number:02}}}}}], {TO_V1}}}"
        for number in range(20)
    ]
    loaded = load(HEAD + "\n".join([*routes, f"  - {{name: rest, {TO_V1}}}"]))
    translation = gateway_api.documents(loaded, STRICT)
    assert [
        (document["metadata"]["name"], len(document["spec"]["rules"])) for document in translation.documents
    ] == [("shop-000", 16), ("shop-001", 5)]
    again = reload(translation.documents).config
    [before], [after] = loaded.config.virtual_hosts, again.virtual_hosts
    assert [route.name for route in after.routes] == [route.name for route in before.routes]


def test_many_matches_take_several_rules(load: Load) -> None:
    matches = ", ".join(f"{{uri: {{exact: /{number}}}}}" for number in range(200))
    translation = gateway_api.documents(load(f"{HEAD}  - {{name: a, match: [{matches}], {TO_V1}}}\n"), STRICT)
    assert [
        [len(rule["matches"]) for rule in document["spec"]["rules"]] for document in translation.documents
    ] == [
        [64, 64],
        [64, 8],
    ]


def test_names_that_http_route_does_not_take_are_told(load: Load) -> None:
    translation = gateway_api.documents(load(f"{HEAD}  - {{name: To V1, {TO_V1}}}\n"), STRICT)
    assert translation.untranslated == ["To V1: its name, which HTTPRoute takes once and in lower case only"]
    assert "name" not in rules_of(translation)[0]


def test_http_routes_and_kubernetes_documents_stay(load: Load) -> None:
    loaded = load("""
        apiVersion: gateway.networking.k8s.io/v1beta1
        kind: HTTPRoute
        metadata: {name: shop}
        spec:
          parentRefs: [{name: gw}]
          rules: [{name: a, backendRefs: [{name: v1, port: 80}]}]
        ---
        apiVersion: v1
        kind: Service
        metadata: {name: v1}
        spec: {ports: [{port: 80}]}
        """)
    translation = gateway_api.documents(loaded, STRICT)
    assert [document["kind"] for document in translation.documents] == ["HTTPRoute", "Service"]
    assert translation.documents[0]["spec"]["parentRefs"] == [{"name": "gw"}]
    assert (translation.untranslated, translation.notes) == ([], [])


def test_the_gateway_is_the_one_the_proxy_acts_as(load: Load) -> None:
    text = HEAD.replace("  http:", "  gateways: [infra/edge]\n  http:")
    options = Options(host_match="strict", acts_as="infra/edge")
    translation = gateway_api.documents(load(f"{text}  - {TO_V1}\n", options), options)
    assert translation.documents[0]["spec"]["parentRefs"] == [{"name": "edge", "namespace": "infra"}]
    assert translation.notes == []


def test_settings_and_endpoints_are_told(load: Load) -> None:
    options = Options(
        host_match="strict",
        endpoints=(EndpointOption(Mark("--endpoint", is_flag=True), "v1", "b", Address("10.0.0.1", 80)),),
    )
    settings = (
        "apiVersion: mirror-proxy.dev/v1\nkind: MirrorProxy\nmetadata: {name: p}\nspec: {workers: 2}\n---\n"
    )
    translation = gateway_api.documents(load(f"{settings}{HEAD}  - {TO_V1}\n", options), options)
    assert translation.untranslated == [
        "MirrorProxy default/p spec.workers: Gateway API has no word for it",
        "--endpoint v1/b=10.0.0.1:80: a Service says where its endpoints are",
    ]
