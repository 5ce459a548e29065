"""Routes: rules of several documents put together: domains, order, shared hosts, names."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from mirror_proxy.config.model import Config, Match, StringMatch, VirtualHost
from mirror_proxy.config.options import Options

Load = Callable[..., Config]
Refusals = Callable[..., list[str]]
WEB = "gateways: [web]"
ROUTE = "route: [{destination: {host: v1, port: {number: 80}}}]"


def virtual_service(
    name: str, hosts: str, more: str = "exportTo: ['*']", http: str = "", **metadata: str
) -> str:
    told = "".join(f", {key}: '{value}'" for key, value in metadata.items())
    return (
        "apiVersion: networking.istio.io/v1\nkind: VirtualService\n"
        f"metadata: {{name: {name}{told}}}\nspec:\n  {more}\n  hosts: [{hosts}]\n"
        f"  http: [{http or f'{{{ROUTE}}}'}]\n---\n"
    )


def domains(config: Config) -> list[tuple[str, ...]]:
    return [host.domains for host in config.virtual_hosts]


@pytest.fixture
def joined(load: Load) -> Callable[..., VirtualHost]:
    """Load VirtualServices for the host `shop` at a gateway; return the virtual host they share."""

    def read(*texts: str) -> VirtualHost:
        (host,) = load("".join(texts)).virtual_hosts
        return host

    return read


SHORT = ("reviews", "reviews.default", "reviews.default.svc", "reviews.default.svc.cluster.local")
REST = virtual_service("z", "z.example")


@pytest.mark.parametrize(
    ("host", "metadata", "answers"),
    [
        ("Reviews", {}, SHORT),
        ("reviews.default.svc.cluster.local", {}, SHORT),
        (
            "reviews",
            {"namespace": "prod"},
            (*(name.replace("default", "prod") for name in SHORT[1:]), "reviews"),
        ),
        ("reviews.prod.svc.cluster.local", {}, tuple(name.replace("default", "prod") for name in SHORT[1:])),
        ("reviews.prod", {}, ("reviews.prod",)),
        ("Shop.Example.com", {}, ("shop.example.com",)),
        ("'*.Example.com'", {}, ("*.example.com",)),
        ("'*-x.example.com'", {}, ("*-x.example.com",)),
        ("'*.default.svc.cluster.local'", {}, ("*.default.svc.cluster.local",)),
        ("10.0.0.1", {}, ("10.0.0.1",)),
        ("'fe80::1'", {}, ("[fe80::1]",)),
    ],
)
def test_a_service_answers_to_its_short_forms_too(
    load: Load, host: str, metadata: dict[str, str], answers: tuple[str, ...]
) -> None:
    assert sorted(domains(load(virtual_service("a", host, **metadata) + REST))[0]) == sorted(answers)


@pytest.mark.parametrize(
    ("host", "absolute"),
    [
        ("reviews", ("reviews.default.svc.cluster.local.",)),
        ("shop.example", ("shop.example.",)),
        ("'*.shop.example'", ("*.shop.example.",)),
        ("shop.example.", ()),
        ("10.0.0.1", ()),
        ("'fe80::1'", ()),
    ],
)
def test_full_names_are_answered_with_a_trailing_dot_too(
    load: Load, host: str, absolute: tuple[str, ...]
) -> None:
    config = load(virtual_service("a", host) + REST)
    assert config.virtual_hosts[0].absolute_domains == absolute


def test_a_bare_name_is_the_service_of_the_proxys_own_namespace(
    load: Load,
) -> None:
    here, there = virtual_service("a", "reviews", namespace="prod"), virtual_service("b", "reviews")
    by_name = {host.name: host.domains for host in load(here + there).virtual_hosts}
    assert "reviews" not in by_name["prod/a"]
    assert "reviews" in by_name["default/b"]


@pytest.mark.parametrize(
    ("options", "answers"),
    [
        (Options(), ("*",)),
        (Options(host_match="strict"), ("shop.example",)),
    ],
)
def test_one_virtual_service_alone_takes_every_host_unless_told_otherwise(
    load: Load, options: Options, answers: tuple[str, ...]
) -> None:
    assert domains(load(virtual_service("a", "shop.example"), options=options)) == [answers]


def test_of_several_none_takes_every_host(load: Load) -> None:
    text = virtual_service("a", "a.example") + virtual_service("b", "b.example")
    assert domains(load(text)) == [("a.example",), ("b.example",)]


def test_only_what_is_for_this_proxy_is_counted_and_the_rest_named(load: Load) -> None:
    text = virtual_service("a", "a.example", WEB) + virtual_service("b", "b.example")
    config = load(text, options=Options(acts_as="mesh"))
    assert domains(config) == [("*",)]
    (warning,) = config.warnings
    assert warning.endswith(
        "VirtualService default/a: left out: it is bound to default/web, and the proxy acts as mesh"
    )


@pytest.mark.parametrize(
    ("one", "other", "hosts"),
    [
        ("reviews", "x, reviews.default.svc.cluster.local", ["reviews.default.svc.cluster.local"]),
        ("reviews", "reviews.default", ["reviews.default"]),
        ("a.example, b.example", "b.example, a.example", ["a.example", "b.example"]),
    ],
)
def test_virtual_services_of_the_mesh_for_one_host_are_refused(
    refusals: Refusals, one: str, other: str, hosts: list[str]
) -> None:
    assert refusals(virtual_service("b", other) + virtual_service("a", one)) == [
        f"f.yaml:6 VirtualService default/b spec.hosts: The VirtualServices default/a,default/b associated with"
        f" mesh gateway define the same host {host} which can lead to undefined behavior."
        " This can be fixed by merging the conflicting VirtualServices into a single resource."
        for host in hosts
    ]


def test_many_virtual_services_for_one_host_are_one_problem(refusals: Refusals) -> None:
    (problem,) = refusals("".join(virtual_service(name, "a.example") for name in "abcd"))
    assert "The VirtualServices default/a,default/b,default/c,default/d associated with" in problem


def test_virtual_services_at_a_gateway_share_a_host_by_age_then_name_then_namespace(
    joined: Callable[..., VirtualHost],
) -> None:
    def service(name: str, **metadata: str) -> str:
        item = f"{{name: {name}, match: [{{uri: {{exact: /}}}}], {ROUTE}}}"
        return virtual_service(name, "shop.example", "gateways: [default/web]", item, **metadata)

    host = joined(
        service("c"),
        service("b", namespace="x"),
        service("b", namespace="a"),
        service("d", creationTimestamp="2024-01-01T00:00:00Z"),
        service("e", creationTimestamp="2023-01-01T00:00:00Z"),
    )
    assert host.name == "a/b+x/b+default/c+default/e+default/d"
    assert [route.name for route in host.routes] == ["b", "b#2", "c", "e", "d"]


def test_what_takes_everything_is_tried_last_among_those_that_share_a_host(
    joined: Callable[..., VirtualHost],
) -> None:
    first = virtual_service(
        "a",
        "shop.example",
        WEB,
        f"{{name: a, match: [{{uri: {{exact: /a}}}}, {{uri: {{prefix: /}}}}], {ROUTE}}}",
    )
    second = virtual_service(
        "b",
        "shop.example",
        WEB,
        f"{{name: b, match: [{{uri: {{exact: /b}}}}], {ROUTE}}}, {{name: rest, {ROUTE}}}",
    )
    host = joined(first, second)
    assert (host.name, host.domains) == ("default/a+default/b", ("shop.example",))
    assert [(route.name, route.matches) for route in host.routes] == [
        ("a", (Match(path=StringMatch("exact", "/a")),)),
        ("b", (Match(path=StringMatch("exact", "/b")),)),
        ("a", (Match(path=StringMatch("prefix", "/")),)),
        ("rest", ()),
    ]


def test_hosts_are_shared_one_by_one(load: Load) -> None:
    text = virtual_service("a", "x.example, y.example", WEB) + virtual_service(
        "b", "y.example, z.example", WEB
    )
    assert [(host.name, host.domains) for host in load(text).virtual_hosts] == [
        ("default/a", ("x.example",)),
        ("default/a+default/b", ("y.example",)),
        ("default/b", ("z.example",)),
    ]


def test_routes_that_want_one_name_are_numbered_and_their_mirrors_with_them(load: Load) -> None:
    def service(host: str, name: str) -> str:
        item = f"{{name: '{name}', mirror: {{host: v2, port: {{number: 80}}}}, {ROUTE}}}"
        return virtual_service(host, f"{host}.example", http=item)

    config = load(service("a", "default") + service("b", "default#2") + service("c", "default"))
    assert [route.mirrors[0].name for host in config.virtual_hosts for route in host.routes] == [
        "default/v2",
        "default#2/v2",
        "default#3/v2",
    ]


def test_mirrors_of_one_route_that_want_one_name_are_numbered(load: Load) -> None:
    target = "{destination: {host: v2, port: {number: 80}}}"
    item = f"{{name: default, mirrors: [{target}, {target}], {ROUTE}}}"
    (host,) = load(virtual_service("a", "a.example", http=item)).virtual_hosts
    assert [mirror.name for mirror in host.routes[0].mirrors] == ["default/v2", "default/v2#2"]
