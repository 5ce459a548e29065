"""Istio's documents of a configuration load as it does; what they do not say is told."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mirror_proxy.config import loader
from mirror_proxy.config.loader import Loaded
from mirror_proxy.config.model import Match
from mirror_proxy.config.options import Options
from mirror_proxy.config.problems import Problems
from mirror_proxy.routing.rewrite import path_change
from mirror_proxy.translate import istio
from mirror_proxy.translate.istio import canonical
from mirror_proxy.translate.istio_route import percentage
from mirror_proxy.translate.translation import Translation
from tests.support.plain_routing import plain_routing

Load = Callable[..., Loaded]
Reload = Callable[[Sequence[Any]], Loaded]

ROOT = Path(__file__).parents[2]
STRICT = Options(host_match="strict")
VIRTUAL_SERVICE = """\
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: shop, namespace: store}
spec:
  hosts: [v1, shop.example.com, "*.example.org"]
  http:
"""
TO_V1 = "route: [{destination: {host: v1, port: {number: 80}}}]"
ROUTES = {
    "match": f"""
  - name: all-conditions
    match:
    - name: first
      uri: {{prefix: /a}}
      ignoreUriCase: true
      scheme: {{exact: http}}
      method: {{regex: GET|PUT}}
      authority: {{prefix: shop}}
      headers: {{x-a: {{exact: b}}, x-c: {{}}, ':path': {{regex: '.*q=.*'}}}}
      withoutHeaders: {{x-d: {{prefix: e}}, x-f: {{}}}}
      queryParams: {{q: {{exact: ""}}, r: {{}}}}
    - {{uri: {{exact: /b}}}}
    - {{uri: {{regex: '/c/[0-9]+'}}}}
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
    - {destination: {host: v3.example.com, port: {number: 80}}, weight: 1}
""",
    "mirrors": f"""
  - {TO_V1}
    mirrors:
    - {{destination: {{host: v2, port: {{number: 80}}}}}}
    - {{destination: {{host: v2, port: {{number: 80}}}}, percentage: {{value: 0.57}}}}
    - {{destination: {{host: v3, port: {{number: 80}}}}, percentage: {{value: 0}}}}
    - {{destination: {{host: v3, port: {{number: 80}}}}, percentage: {{value: 100}}}}
""",
    "headers": f"""
  - headers:
      request: {{set: {{host: v1.example, x-a: "%%"}}, add: {{x-b: c}}, remove: [x-d]}}
      response: {{add: {{x-e: f}}, remove: [server]}}
    {TO_V1}
""",
    "timeouts": f"""
  - match: [{{uri: {{exact: /a}}}}]
    timeout: 1.5s
    retries: {{attempts: 3, perTryTimeout: 500ms, retryOn: "5xx,503,429", backoff: 1s, retryIgnorePreviousHosts: false}}
    {TO_V1}
  - match: [{{uri: {{exact: /b}}}}]
    retries: {{attempts: 0}}
    {TO_V1}
  - timeout: 2m
    retries: {{attempts: 5}}
    {TO_V1}
""",
    "rewrites": f"""
  - {{match: [{{uri: {{prefix: /a}}}}], rewrite: {{uri: /b, authority: b.example}}, {TO_V1}}}
  - {{match: [{{uri: {{exact: /c}}}}], rewrite: {{uriRegexRewrite: {{match: '^/(c)', rewrite: '/\\1\\1'}}}}, {TO_V1}}}
  - {{rewrite: {{uri: /d}}, {TO_V1}}}
""",
    "answers": """
  - match: [{uri: {exact: /a}}]
    redirect: {uri: /b, authority: b.example, scheme: https, port: 8443, redirectCode: 308}
  - {match: [{uri: {prefix: /c}}, {uri: {prefix: /d}}], redirect: {prefixRewrite: /e}}
  - {match: [{uri: {prefix: /p}}], redirect: {derivePort: FROM_PROTOCOL_DEFAULT}}
  - {match: [{uri: {exact: /f}}], directResponse: {status: 404, body: {string: "gone\\n"}}}
  - {match: [{uri: {exact: /g}}], directResponse: {status: 200, body: {bytes: /w==}}}
  - directResponse: {status: 503}
""",
    "faults": f"""
  - match: [{{uri: {{exact: /a}}}}]
    fault:
      delay: {{percentage: {{value: 0.1}}, fixedDelay: 250ms}}
      abort: {{percentage: {{value: 50}}, httpStatus: 429}}
    {TO_V1}
  - fault: {{abort: {{httpStatus: 500}}}}
    {TO_V1}
""",
    "cors": f"""
  - corsPolicy:
      allowOrigins: [{{exact: "https://a"}}, {{prefix: "https://"}}, {{regex: ".*b"}}]
      allowMethods: [GET, PUT]
      allowHeaders: [x-a, x-b]
      exposeHeaders: [x-c]
      maxAge: 24h
      allowCredentials: true
      unmatchedPreflights: IGNORE
    {TO_V1}
""",
}


def written(loaded: Loaded) -> list[dict[str, Any]]:
    """Write every virtual host from the model alone."""
    clusters = {cluster.name: cluster for cluster in loaded.config.clusters}
    return [istio.virtual_service_of(host, clusters, Translation()) for host in loaded.config.virtual_hosts]


@pytest.mark.parametrize("routes", ROUTES.values(), ids=ROUTES)
def test_what_a_virtual_service_says_survives_the_model(load: Load, reload: Reload, routes: str) -> None:
    loaded = load(VIRTUAL_SERVICE + routes.strip("\n"))
    again = reload(written(loaded))
    assert plain_routing(again.config) == plain_routing(loaded.config)


HTTP_ROUTE = """\
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: shop, namespace: store}
spec:
  hostnames: [shop.example.com, "*.example.org"]
  rules:
"""
BACKENDS = "backendRefs: [{name: v1, port: 80}]"
RULES = {
    "matches": f"""
  - name: exact
    matches:
    - {{path: {{type: Exact, value: /a}}, method: GET, headers: [{{name: X-B, value: c}}, {{name: a, value: b}}]}}
    {BACKENDS}
  - matches: [{{path: {{value: /d}}}}, {{queryParams: [{{name: q, type: RegularExpression, value: '[0-9]+'}}]}}]
    {BACKENDS}
  - {BACKENDS}
""",
    "backends": """
  - backendRefs:
    - {name: v1, port: 80, weight: 9}
    - name: v2
      namespace: other
      port: 81
      filters:
      - {type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: a, value: "%b%"}]}}
      - {type: URLRewrite, urlRewrite: {hostname: v2.example}}
""",
    "mirrors": f"""
  - {BACKENDS}
    filters:
    - {{type: RequestMirror, requestMirror: {{backendRef: {{name: v2, port: 80}}}}}}
    - {{type: RequestMirror, requestMirror: {{backendRef: {{name: v3, port: 80}}, percent: 57}}}}
    - type: RequestMirror
      requestMirror: {{backendRef: {{name: v3, port: 80}}, fraction: {{numerator: 1, denominator: 3}}}}
""",
    "answers": """
  - matches: [{path: {value: /a}}]
    filters: [{type: RequestRedirect, requestRedirect: {hostname: b.example, port: 8443, statusCode: 307}}]
  - matches: [{path: {value: /b}}]
    filters: [{type: RequestRedirect, requestRedirect: {path: {type: ReplaceFullPath, replaceFullPath: /c}}}]
  - matches: [{path: {value: /d}}]
""",
    "rest": f"""
  - {BACKENDS}
    timeouts: {{request: 10s, backendRequest: 1500ms}}
    retry: {{codes: [503], attempts: 4, backoff: 100ms}}
    filters:
    - {{type: ResponseHeaderModifier, responseHeaderModifier: {{remove: [server]}}}}
    - {{type: CORS, cors: {{allowOrigins: ["https://a.example", "*"]}}}}
""".replace(', "*"', ""),
}


@pytest.mark.parametrize("rules", RULES.values(), ids=RULES)
def test_what_an_http_route_says_can_be_said_by_istio(load: Load, reload: Reload, rules: str) -> None:
    loaded = load(HTTP_ROUTE + rules.strip("\n"))
    translation = istio.documents(loaded, STRICT)
    assert translation.untranslated == []
    assert plain_routing(reload(translation.documents).config) == plain_routing(loaded.config)


@pytest.mark.parametrize(
    ("match", "change"),
    [
        ("/a", "ReplacePrefixMatch, replacePrefixMatch: /b"),
        ("/a/", "ReplacePrefixMatch, replacePrefixMatch: /b/"),
        ("/a", "ReplacePrefixMatch, replacePrefixMatch: /"),
        ("/a.c", "ReplacePrefixMatch, replacePrefixMatch: ''"),
        ("/", "ReplacePrefixMatch, replacePrefixMatch: /b"),
        ("/a", "ReplaceFullPath, replaceFullPath: /b"),
    ],
)
def test_a_path_is_rewritten_alike(load: Load, reload: Reload, match: str, change: str) -> None:
    filters = f"[{{type: URLRewrite, urlRewrite: {{path: {{type: {change}}}}}}}]"
    loaded = load(
        f"{HTTP_ROUTE}  - {{matches: [{{path: {{value: {match}}}}}], filters: {filters}, {BACKENDS}}}"
    )
    again = reload(istio.documents(loaded, STRICT).documents)
    prefix = match.rstrip("/")
    for path in (prefix or "/", f"{prefix}/", f"{prefix}/x", f"{prefix}/x/y?{prefix}=1"):
        assert _rewritten(again, path) == _rewritten(loaded, path)


def _rewritten(loaded: Loaded, target: str) -> bytes | None:
    """Return what becomes of a target in the one route, by the first match that takes its path."""
    [route] = loaded.config.virtual_hosts[0].routes
    match = next(match for match in route.matches or (Match(),) if _takes(match, target.partition("?")[0]))
    change = path_change(route.rewrite, match)
    return change and change(target.encode())


def _takes(match: Match, path: str) -> bool:
    wanted = match.path
    if wanted is None or wanted.value == "/":
        return True
    if wanted.kind == "segments":
        return f"{path}/".startswith(f"{wanted.value}/")
    return path == wanted.value if wanted.kind == "exact" else path.startswith(wanted.value)


def test_a_redirect_of_a_prefix_comes_in_two_parts(load: Load) -> None:
    change = "{path: {type: ReplacePrefixMatch, replacePrefixMatch: /b}}"
    loaded = load(
        f"{HTTP_ROUTE}  - name: move\n    matches: [{{path: {{value: /a}}}}]\n"
        f"    filters: [{{type: RequestRedirect, requestRedirect: {change}}}]"
    )
    [document] = istio.documents(loaded, STRICT).documents
    assert document["spec"]["http"] == [
        {"name": "move", "match": [{"uri": {"exact": "/a"}}], "redirect": {"uri": "/b", "redirectCode": 302}},
        {
            "name": "move.1",
            "match": [{"uri": {"prefix": "/a/"}}],
            "redirect": {"prefixRewrite": "/b/", "redirectCode": 302},
        },
    ]


def test_every_host_is_a_gateways(load: Load, reload: Reload) -> None:
    loaded = load(HTTP_ROUTE.replace('[shop.example.com, "*.example.org"]', "[]") + f"  - {BACKENDS}")
    translation = istio.documents(loaded, STRICT)
    [document] = translation.documents
    assert (document["spec"]["hosts"], document["spec"]["gateways"]) == (["*"], ["mirror-proxy"])
    assert translation.notes == [
        "VirtualService store/shop takes every host at the Gateway mirror-proxy: write yours."
    ]
    assert reload(translation.documents).config.virtual_hosts[0].domains == ("*",)


@given(st.integers(0, 1_000_000))
def test_a_percentage_is_truncated_to_the_same_share(numerator: int) -> None:
    assert int(percentage(numerator, 1_000_000)["value"] * 10_000) == numerator


EXAMPLES = {
    "shop": ("shop",),
    "release": ("release/base", "release/v2", "release/live"),
    **{
        step.stem: ("release/base", "release/v2", f"release/steps/{step.name}")
        for step in sorted((ROOT / "config" / "release" / "steps").glob("*.yaml"))
    },
}


@pytest.mark.parametrize("paths", EXAMPLES.values(), ids=EXAMPLES)
def test_the_examples_survive(paths: tuple[str, ...], reload: Reload) -> None:
    files = [str(ROOT / "config" / path) for path in paths]
    loaded = loader.load_documents(files, [], {}, Problems(), STRICT)
    routes = [document for document in loaded.documents if document.kind == "VirtualService"]
    others = [canonical(document) for document in loaded.documents if document not in routes]
    for documents in (
        istio.documents(loaded, STRICT).documents + [one for one in others if one["kind"] == "MirrorProxy"],
        [*others, *written(loaded)],
    ):
        assert plain_routing(reload(documents).config) == plain_routing(loaded.config)
