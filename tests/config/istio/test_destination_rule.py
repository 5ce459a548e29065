"""DestinationRule: whose host and subsets it speaks of, and its refusals."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from mirror_proxy.config.model import Balancer, Config
from tests.config.istio.documents import MIRROR, destination_rule, service_entry

Load = Callable[..., Config]
Refusals = Callable[..., list[str]]

TWO = """
    hosts: [v2.default.svc.cluster.local]
    ports: [{number: 80, name: http, protocol: HTTP}]
    resolution: STATIC
    endpoints: [{address: 10.0.0.1, labels: {version: a}}, {address: 10.0.0.2, labels: {version: b}}]
"""
V2 = "{proxyProtocol: {version: V2}}"
RANDOM = "{loadBalancer: {simple: RANDOM}}"
MIRROR_A = "mirror: {host: v2, subset: a, port: {number: 80}}"
V1 = service_entry(
    "hosts: [v1.default.svc.cluster.local]\nresolution: DNS\nports: [{number: 8080, name: http}]", "v1"
)


def test_a_subset_selects_endpoints_by_labels(load_route: Load) -> None:
    rule = destination_rule(subsets="[{name: a, labels: {version: a}}, {name: all}]")
    mirror = load_route(MIRROR_A, before=V1 + service_entry(TWO) + rule).clusters[1]
    assert mirror.name.startswith("outbound|80|a|v2.default.svc.cluster.local")
    assert [str(one.address) for one in mirror.endpoints] == ["10.0.0.1:80"]
    every = load_route(MIRROR_A.replace("a,", "all,"), before=V1 + service_entry(TWO) + rule).clusters[1]
    assert [str(one.address) for one in every.endpoints] == ["10.0.0.1:80", "10.0.0.2:80"]


def test_a_subsets_policy_replaces_components_whole(load_route: Load) -> None:
    pool = "connectionPool: {tcp: {maxConnections: 3, connectTimeout: 2s}}"
    own = "connectionPool: {tcp: {connectTimeout: 1s}}"
    rule = destination_rule(
        f"{{{pool}, loadBalancer: {{simple: RANDOM}}}}", subsets=f"[{{name: a, trafficPolicy: {{{own}}}}}]"
    )
    mirror = load_route(MIRROR_A, before=rule).clusters[1]
    assert (mirror.max_connections, mirror.balancer) == (None, Balancer("random"))
    assert load_route(MIRROR, before=rule).clusters[1].max_connections == 3


@pytest.mark.parametrize(
    ("host", "subset", "versions"),
    [
        ("{proxyProtocol: {}}", "", ("V1", "V1")),
        (V2, "", ("V2", "V2")),
        ("{proxyProtocol: {version: V1}}", V2, ("V1", "V2")),
        (RANDOM, V2, (None, "V2")),
        (V2, "{portLevelSettings: [{port: {number: 80}, tls: {}}]}", ("V2", "V2")),
    ],
)
def test_proxy_protocol_is_one_for_all_ports_and_may_be_a_subsets_own(
    load_route: Load, host: str, subset: str, versions: tuple[str | None, str | None]
) -> None:
    policy = f", trafficPolicy: {subset}" if subset else ""
    rule = destination_rule(host, subsets=f"[{{name: a{policy}}}]")
    found = [load_route(mirror, before=rule).clusters[1].proxy_protocol for mirror in (MIRROR, MIRROR_A)]
    assert tuple(found) == versions


def test_a_ports_own_policy_replaces_everything_above_it(load_route: Load) -> None:
    ports = "portLevelSettings: [{port: {number: 80}, connectionPool: {tcp: {maxConnections: 1}}}]"
    host = destination_rule(f"{{loadBalancer: {{simple: RANDOM}}, {ports}}}", subsets="[{name: a}]")
    for mirror in (MIRROR, MIRROR_A):
        cluster = load_route(mirror, before=host).clusters[1]
        assert (cluster.max_connections, cluster.balancer) == (1, Balancer())
    other = load_route(MIRROR.replace("80", "81"), before=host).clusters[1]
    assert (other.max_connections, other.balancer) == (None, Balancer("random"))
    subset = destination_rule(RANDOM, subsets=f"[{{name: a, trafficPolicy: {{{ports}}}}}]")
    cluster = load_route(MIRROR_A, before=subset).clusters[1]
    assert (cluster.max_connections, cluster.balancer) == (1, Balancer())


def test_the_rule_for_the_most_specific_host_holds(load_route: Load) -> None:
    def limit(most: int, host: str) -> str:
        rule = destination_rule(f"{{connectionPool: {{tcp: {{maxConnections: {most}}}}}}}", host)
        return rule.replace("name: v2", f"name: n{most}")

    rules = [limit(1, "'*'"), limit(2, "'*.default.svc.cluster.local'"), limit(3, "'*.svc.cluster.local'")]
    assert load_route(MIRROR, before="".join(rules)).clusters[1].max_connections == 2
    assert load_route(MIRROR, before="".join((*rules, limit(4, "v2")))).clusters[1].max_connections == 4


def test_rules_of_one_host_are_put_together_by_age_then_name(load_route: Load) -> None:
    def named(name: str, text: str) -> str:
        return text.replace("{name: v2}", f"{{name: {name}}}")

    young = named(
        "a, creationTimestamp: '2026-02-01T00:00:00Z'", destination_rule(RANDOM, subsets="[{name: a}]")
    )
    pool = "{connectionPool: {tcp: {maxConnections: 3}}}"
    rules = young + named("c", destination_rule(pool, subsets="[{name: b}]"))
    mirror = load_route(MIRROR_A, before=rules).clusters[1]
    assert (mirror.max_connections, mirror.balancer) == (3, Balancer())
    again = load_route(
        MIRROR_A,
        before=named("b", destination_rule(subsets=f"[{{name: a, trafficPolicy: {RANDOM}}}]")) + rules,
    )
    assert again.clusters[1].balancer == Balancer("random")
    v2 = "v2.default.svc.cluster.local already"
    assert [warning.partition(" DestinationRule ")[2] for warning in again.warnings] == [
        f"default/a spec.subsets[0]: ignored: DestinationRule default/b has a subset a for {v2}",
        f"default/a: trafficPolicy is ignored: DestinationRule default/b has one for {v2}",
    ]


def test_a_rule_is_looked_for_where_the_route_is_then_where_the_service_is(load_route: Load) -> None:
    def limit(most: int, namespace: str) -> str:
        rule = destination_rule(
            f"{{connectionPool: {{tcp: {{maxConnections: {most}}}}}}}", "v2.shop.svc.cluster.local"
        )
        return rule.replace("{name: v2}", f"{{name: v2, namespace: {namespace}}}")

    mirror = MIRROR.replace("v2", "v2.shop.svc.cluster.local")
    rules = [limit(4, "elsewhere"), limit(3, "istio-system"), limit(2, "shop"), limit(1, "default")]
    found = [
        load_route(mirror, before="".join(rules[:count])).clusters[1].max_connections
        for count in (1, 2, 3, 4)
    ]
    assert found == [None, 3, 2, 1]


@pytest.mark.parametrize(
    ("rule", "problem"),
    [
        (destination_rule(host="''"), "spec.host: empty domain name not allowed"),
        (destination_rule(host="a_.b"), 'spec.host: domain name "a_.b" invalid (label "a_" invalid)'),
        (
            destination_rule(host="a.2"),
            'spec.host: domain name "a.2" invalid (top level domain "2" cannot be all-numeric)',
        ),
        (destination_rule(host="a" * 256), f'spec.host: domain name "{"a" * 256}" too long (max 255)'),
        (destination_rule().replace("  host: v2\n", "  exportTo: ['.']\n"), "spec.host: Required value"),
        (destination_rule(subsets="[~]"), "spec.subsets[0]: subset may not be null"),
        (destination_rule(subsets="[{labels: {}}]"), "spec.subsets[0].name: Required value"),
        (destination_rule(subsets="[{name: ''}]"), "spec.subsets[0].name: subset name cannot be empty"),
        (destination_rule(subsets="[{name: v_2}]"), "spec.subsets[0].name: subset name is invalid: v_2"),
        (destination_rule(subsets="[{name: a}, {name: a}]"), "spec.subsets[1]: duplicate subset names: a"),
        (
            destination_rule(subsets="[{name: a, labels: {version: 1}}]"),
            'spec.subsets[0].labels.version: must be of type string: "integer"',
        ),
        (
            destination_rule(subsets="[{name: a, labels: {-a: b}}]"),
            'spec.subsets[0].labels["-a"]: invalid tag key: "-a"',
        ),
        (
            destination_rule(subsets="[{name: a, labels: {a: b-}}]"),
            'spec.subsets[0].labels.a: invalid tag value: "b-"',
        ),
        (
            destination_rule(subsets="[{name: a, trafficPolicy: {}}]"),
            "spec.subsets[0].trafficPolicy: traffic policy must have at least one field",
        ),
        (
            destination_rule(subsets="[{name: a, label: {}}]"),
            'spec.subsets[0].label: unknown field "label"; did you mean "labels"?',
        ),
        (destination_rule(more="subset: []"), 'spec.subset: unknown field "subset"; did you mean "subsets"?'),
    ],
)
def test_a_wrong_rule_is_refused_in_istios_words(route_refusals: Refusals, rule: str, problem: str) -> None:
    (found,) = route_refusals(MIRROR, before=rule)
    assert found.endswith(f"DestinationRule default/v2 {problem}")


@pytest.mark.parametrize(
    ("rule", "warning"),
    [
        (
            destination_rule(more="workloadSelector: {matchLabels: {a: b}}"),
            "spec.workloadSelector: has no effect: the rule holds for this proxy",
        ),
        (
            destination_rule("{load_balancer: {simple: RANDOM}}"),
            "spec.trafficPolicy.load_balancer: kubectl will reject this; write loadBalancer",
        ),
        (
            destination_rule(host="other"),
            (
                "spec.host: The host other.default.svc.cluster.local defined in the DestinationRule does not match any"
                " services in the mesh."
            ),
        ),
    ],
)
def test_a_doubtful_rule_is_taken_with_a_warning(load_route: Load, rule: str, warning: str) -> None:
    (found,) = load_route(MIRROR, before=rule).warnings
    assert found.endswith(f"DestinationRule default/v2 {warning}")


def test_a_rule_of_a_known_host_that_no_route_leads_to_is_no_matter(load_route: Load) -> None:
    entry = service_entry(TWO.replace("v2.", "v3.")) + service_entry(
        "hosts: [v2.default.svc.cluster.local]\nresolution: DNS\nports: [{number: 80, name: http}]", "v2"
    )
    rules = destination_rule(host="v3") + destination_rule(host="'*3.default.svc.cluster.local'").replace(
        "name: v2", "name: w"
    )
    assert load_route(MIRROR, before=V1 + entry + rules).warnings == ()


@pytest.mark.parametrize("version", ["v1", "v1beta1", "v1alpha3"])
def test_every_version_says_the_same(load_route: Load, version: str) -> None:
    rule = destination_rule(RANDOM).replace("istio.io/v1", f"istio.io/{version}")
    assert load_route(MIRROR, before=rule).clusters[1].balancer == Balancer("random")


def test_where_a_rule_is_exported_to_is_no_matter(load_route: Load) -> None:
    assert load_route(MIRROR, before=destination_rule(more="exportTo: ['.']")).warnings == ()
