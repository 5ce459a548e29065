"""HTTPRoutes served by a real data plane, and served alike when translated to Istio's documents."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from mirror_proxy.config import loader
from mirror_proxy.config.document import write
from mirror_proxy.config.model import Config
from mirror_proxy.config.options import Options
from mirror_proxy.config.problems import ConfigError, Problems
from mirror_proxy.explain.trial import TrialResult, run
from mirror_proxy.translate import istio

STRICT = Options(host_match="strict")
HEAD = """\
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: shop}
spec:
  hostnames: [shop.example]
  rules:
"""
V1 = "backendRefs: [{name: v1, port: 80}]"


def configs(folder: Path, text: str) -> tuple[Config, Config]:
    """Load HTTPRoutes, and what `translate --to istio` makes of them."""
    path = folder / "f.yaml"
    path.write_text(text)
    loaded = loader.load_documents([str(path)], [], {}, Problems(), STRICT)
    translation = istio.documents(loaded, STRICT)
    assert translation.untranslated == []
    path.write_text(write(translation.documents))
    return loaded.config, loader.load([str(path)], options=STRICT)


async def ask(
    config: Config, target: str, *lines: str, method: str = "GET", host: str = "shop.example"
) -> TrialResult:
    head = "\r\n".join((f"{method} {target} HTTP/1.1", f"Host: {host}", "Connection: close", *lines))
    return await run(config, f"{head}\r\n\r\n".encode())


def received(seen: TrialResult) -> dict[str, str]:
    """Return the target that each host was sent; a mirror's ends in `@`."""
    pattern = re.compile(r"outbound\|80\|\|(\w+)\.default\.svc\.cluster\.local(@?).*")
    return {pattern.sub(r"\1\2", cluster): head.split()[1].decode() for cluster, head in seen.heads.items()}


def location(seen: TrialResult) -> str:
    found = re.search(rb"(?im)^location: (.*?)\r", seen.response)
    return found[1].decode() if found else ""


REPLACED = [
    ("/foo", "/xyz", "/foo/bar", "/xyz/bar"),
    ("/foo", "/xyz/", "/foo/bar", "/xyz/bar"),
    ("/foo/", "/xyz", "/foo/bar", "/xyz/bar"),
    ("/foo/", "/xyz/", "/foo/bar", "/xyz/bar"),
    ("/foo", "/xyz", "/foo", "/xyz"),
    ("/foo", "/xyz", "/foo/", "/xyz/"),
    ("/foo", "", "/foo/bar", "/bar"),
    ("/foo", "", "/foo/", "/"),
    ("/foo", "", "/foo", "/"),
    ("/foo", "/", "/foo/", "/"),
    ("/foo", "/", "/foo", "/"),
    ("/", "/xyz", "/foo", "/xyz/foo"),
    ("/", "/xyz/", "/", "/xyz/"),
    ("/foo.b", "/xyz", "/foo.b/foo.b?q=/foo.b", "/xyz/foo.b?q=/foo.b"),
]


@pytest.mark.parametrize(("prefix", "replacement", "target", "expected"), REPLACED)
async def test_a_prefix_is_replaced_by_whole_segments(
    tmp_path: Path, prefix: str, replacement: str, target: str, expected: str
) -> None:
    change = f"path: {{type: ReplacePrefixMatch, replacePrefixMatch: '{replacement}'}}"
    match = f"matches: [{{path: {{value: {prefix}}}}}]"
    filters = f"filters: [{{type: URLRewrite, urlRewrite: {{{change}}}}}]"
    for config in configs(tmp_path, f"{HEAD}  - {{{match}, {filters}, {V1}}}\n"):
        assert received(await ask(config, target)) == {"v1": expected}


@pytest.mark.parametrize(("prefix", "replacement", "target", "expected"), REPLACED)
async def test_a_redirect_replaces_a_prefix_alike(
    tmp_path: Path, prefix: str, replacement: str, target: str, expected: str
) -> None:
    change = f"path: {{type: ReplacePrefixMatch, replacePrefixMatch: '{replacement}'}}"
    match = f"matches: [{{path: {{value: {prefix}}}}}]"
    filters = f"filters: [{{type: RequestRedirect, requestRedirect: {{{change}}}}}]"
    for config in configs(tmp_path, f"{HEAD}  - {{{match}, {filters}}}\n"):
        seen = await ask(config, target)
        assert (seen.response.split()[1], location(seen)) == (b"302", f"http://shop.example{expected}")


@pytest.mark.parametrize(
    ("redirect", "host", "expected"),
    [
        ("{scheme: https}", "shop.example", "https://shop.example/a?b=c"),
        ("{scheme: https, port: 8443}", "shop.example", "https://shop.example:8443/a?b=c"),
        ("{scheme: https, port: 443}", "shop.example", "https://shop.example/a?b=c"),
        ("{hostname: b.example}", "shop.example", "http://b.example/a?b=c"),
        (
            "{path: {type: ReplaceFullPath, replaceFullPath: /d}}",
            "shop.example:81",
            "http://shop.example:81/d?b=c",
        ),
    ],
)
async def test_a_redirect_leads_where_it_says(
    tmp_path: Path, redirect: str, host: str, expected: str
) -> None:
    filters = f"filters: [{{type: RequestRedirect, requestRedirect: {redirect}}}]"
    for config in configs(tmp_path, f"{HEAD}  - {{{filters}}}\n"):
        assert location(await ask(config, "/a?b=c", host=host)) == expected


async def test_a_new_schemes_port_takes_the_place_of_the_requests(tmp_path: Path) -> None:
    filters = "filters: [{type: RequestRedirect, requestRedirect: {scheme: https}}]"
    config, _ = configs(tmp_path, f"{HEAD}  - {{{filters}}}\n")
    assert location(await ask(config, "/a", host="shop.example:8080")) == "https://shop.example/a"


def rule(backend: str, match: str = "") -> str:
    return f"  - {{matches: [{{{match}}}], backendRefs: [{{name: {backend}, port: 80}}]}}\n"


PARTICULAR = "".join(
    (
        HEAD,
        rule("rest"),
        rule("pattern", "path: {type: RegularExpression, value: '/a/[0-9]+'}"),
        rule("prefix", "path: {value: /a}"),
        rule("longer", "path: {value: /a/b}"),
        rule("header", "path: {value: /a}, headers: [{name: X-User, value: me}]"),
        rule("method", "path: {value: /a}, method: PUT"),
        rule("query", 'path: {value: /a}, queryParams: [{name: q, value: "1"}]'),
        rule("exact", "path: {type: Exact, value: /a/b}"),
    )
)


@pytest.mark.parametrize(
    ("method", "target", "line", "host"),
    [
        ("GET", "/", "", "rest"),
        ("GET", "/ab", "", "rest"),
        ("GET", "/a", "", "prefix"),
        ("GET", "/a/", "", "prefix"),
        ("GET", "/a/1", "", "prefix"),
        ("GET", "/a/c", "", "prefix"),
        ("GET", "/a/b/", "", "longer"),
        ("GET", "/a/b", "x-user: me", "exact"),
        ("GET", "/a/c", "x-USER: me", "header"),
        ("PUT", "/a/c", "x-user: me", "method"),
        ("GET", "/a/c?q=1", "x-user: me", "header"),
        ("GET", "/a/c?q=1", "", "query"),
        ("GET", "/a/c?q=2", "", "prefix"),
    ],
)
async def test_the_most_particular_rule_serves(
    tmp_path: Path, method: str, target: str, line: str, host: str
) -> None:
    lines = (line, "Content-Length: 0") if line else ("Content-Length: 0",)
    for config in configs(tmp_path, PARTICULAR):
        assert received(await ask(config, target, *lines, method=method)) == {host: target}


async def test_mirrors_get_what_the_backend_gets(tmp_path: Path) -> None:
    text = f"""{HEAD}\
  - {V1}
    filters:
    - {{type: RequestHeaderModifier, requestHeaderModifier: {{set: [{{name: x-a, value: b}}], remove: [x-c]}}}}
    - {{type: RequestMirror, requestMirror: {{backendRef: {{name: v2, port: 80}}}}}}
    - {{type: RequestMirror, requestMirror: {{backendRef: {{name: v3, port: 80}}, percent: 100}}}}
    - {{type: RequestMirror, requestMirror: {{backendRef: {{name: v4, port: 80}}, percent: 0}}}}
"""
    for config in configs(tmp_path, text):
        seen = await ask(config, "/a", "x-c: d")
        assert received(seen) == {"v1": "/a", "v2@": "/a", "v3@": "/a"}
        assert all(b"\r\nx-a: b" in head and b"x-c" not in head for head in seen.heads.values())


@pytest.mark.parametrize(("host", "status"), [("shop.example", b"500"), ("other.example", b"404")])
async def test_without_backend_the_answer_is_500_and_without_route_404(
    tmp_path: Path, host: str, status: bytes
) -> None:
    for config in configs(tmp_path, f"{HEAD}  - {{}}\n"):
        assert (await ask(config, "/", host=host)).response.split()[1] == status


def test_names_of_routes_and_mirrors_are_those_of_their_rules(tmp_path: Path) -> None:
    mirror = "filters: [{type: RequestMirror, requestMirror: {backendRef: {name: v2, port: 80}}}]"
    rules = [
        f"{{name: one, matches: [{{path: {{value: /a}}}}, {{path: {{type: Exact, value: /a/b}}}}], {mirror}, {V1}}}",
        f"{{matches: [{{path: {{value: /a/b}}}}], {mirror}, {V1}}}",
    ]
    config, _ = configs(tmp_path, HEAD + "".join(f"  - {rule}\n" for rule in rules))
    [host] = config.virtual_hosts
    assert [(route.name, [mirror.name for mirror in route.mirrors]) for route in host.routes] == [
        ("one.1", ["one.1/v2"]),
        ("shop[1]", ["shop[1]/v2"]),
        ("one.0", ["one.0/v2"]),
    ]


@pytest.mark.parametrize(
    ("name", "where", "which"),
    [
        (
            "other",
            "f.yaml:5 HTTPRoute default/shop spec.hostnames",
            "VirtualService default/other and HTTPRoute default/shop",
        ),
        (
            "zebra",
            "f.yaml:12 VirtualService default/zebra spec.hosts",
            "HTTPRoute default/shop and VirtualService default/zebra",
        ),
    ],
)
def test_a_host_has_its_routes_from_one_dialect(tmp_path: Path, name: str, where: str, which: str) -> None:
    path = tmp_path / "f.yaml"
    path.write_text(f"""{HEAD}  - {{{V1}}}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: {name}}}
spec: {{hosts: [shop.example], http: [{{route: [{{destination: {{host: v1, port: {{number: 80}}}}}}]}}]}}
""")
    with pytest.raises(ConfigError) as caught:
        loader.load([str(path)])
    assert [str(one).removeprefix(f"{tmp_path}/") for one in caught.value.problems] == [
        f"{where}: {which} define the same host shop.example; leave it to one of them, or merge them"
    ]


def test_an_unknown_version_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "f.yaml"
    path.write_text(HEAD.replace("k8s.io/v1", "k8s.io/v1alpha2") + f"  - {{{V1}}}\n")
    with pytest.raises(ConfigError, match='no matches for kind "HTTPRoute" in version'):
        loader.load([str(path)])


def test_the_example_is_served_and_can_be_said_to_istio(tmp_path: Path) -> None:
    text = (Path(__file__).parents[3] / "config" / "gateway-api" / "http-route.yaml").read_text()
    for config in configs(tmp_path, text):
        [host] = config.virtual_hosts
        assert [(route.name, [one.name for one in route.mirrors]) for route in host.routes] == [
            ("testers", []),
            ("everyone", ["everyone/v2"]),
        ]
