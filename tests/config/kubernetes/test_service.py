"""Kubernetes' Service: which workloads it selects, at which of their ports."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from mirror_proxy.config.model import Config
from tests.config.istio.documents import deployment, destination_rule, service

Load = Callable[..., Config]
Refusals = Callable[..., list[str]]

VERSIONS = "[{name: v1, labels: {version: v1}}, {name: v2, labels: {version: v2}}]"
SERVICE = service("ports: [{name: http, port: 8000, targetPort: 80}]\nselector: {app: shop}", "shop")
V1 = deployment("shop-v1", "{app: shop, version: v1}")
V2 = deployment("shop-v2", "{app: shop, version: v2}")


def route(subset: str = "", port: str = "", host: str = "shop") -> str:
    """Return a VirtualService that sends to a subset of a host at a port."""
    return (
        "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: shop}\nspec:\n  hosts: [shop]\n"
        f"  http: [{{route: [{{destination: {{host: {host}, subset: '{subset}'{port}}}}}]}}]\n"
    )


@pytest.fixture
def addresses(load: Load) -> Callable[[str], list[str]]:
    """Load documents; return where their one destination leads."""

    def where(text: str) -> list[str]:
        (cluster,) = load(text).clusters
        return [str(one.address) for one in cluster.endpoints]

    return where


Addresses = Callable[[str], list[str]]


def test_a_service_leads_to_its_workloads_by_their_names_at_the_target_port(addresses: Addresses) -> None:
    other = deployment("cart", "{app: cart}")
    assert addresses(SERVICE + V1 + V2 + other + route()) == ["shop-v1:80", "shop-v2:80"]


def test_a_subset_leads_to_the_workloads_with_its_labels(load: Load) -> None:
    (cluster,) = load(
        SERVICE + V1 + V2 + destination_rule(host="shop", subsets=VERSIONS) + route("v2")
    ).clusters
    assert cluster.name == "outbound|8000|v2|shop.default.svc.cluster.local"
    assert [str(one.address) for one in cluster.endpoints] == ["shop-v2:80"]


@pytest.mark.parametrize("kind", ["Deployment", "StatefulSet"])
def test_deployments_and_stateful_sets_are_workloads(addresses: Addresses, kind: str) -> None:
    assert addresses(SERVICE + deployment("shop-0", "{app: shop}", kind=kind) + route()) == ["shop-0:80"]


def test_a_pod_is_a_workload(addresses: Addresses) -> None:
    head = "apiVersion: v1\nkind: Pod\nmetadata: {name: one, labels: {app: shop}}\n"
    pod = f"{head}spec: {{containers: [{{name: a}}]}}\n---\n"
    assert addresses(SERVICE + pod + route()) == ["one:80"]


def test_a_deployment_of_old_is_a_workload(addresses: Addresses) -> None:
    old = V1.replace("apps/v1", "extensions/v1beta1")
    assert addresses(SERVICE + old + route()) == ["shop-v1:80"]


def test_a_workload_scaled_to_nothing_runs_nowhere(addresses: Addresses) -> None:
    assert addresses(SERVICE + V1 + deployment("shop-v2", "{app: shop}", fields="replicas: 0") + route()) == [
        "shop-v1:80"
    ]


def test_a_workload_of_another_namespace_is_not_selected(addresses: Addresses) -> None:
    other = V2.replace("{name: shop-v2}", "{name: shop-v2, namespace: other}")
    assert addresses(SERVICE + V1 + other + route()) == ["shop-v1:80"]


def test_a_target_port_may_be_the_name_of_a_containers_port(addresses: Addresses) -> None:
    named = SERVICE.replace("targetPort: 80", "targetPort: web")
    one = deployment(
        "shop-v1", "{app: shop}", "[{name: admin, containerPort: 9}, {name: web, containerPort: 8081}]"
    )
    two = deployment("shop-v2", "{app: shop}", "[{name: web, containerPort: 8082}]")
    three = deployment("shop-v3", "{app: shop}", "[{containerPort: 8083}]")
    assert addresses(named + one + two + three + route()) == ["shop-v1:8081", "shop-v2:8082"]


def test_a_port_of_a_sidecar_may_be_named_too(addresses: Addresses) -> None:
    named = SERVICE.replace("targetPort: 80", "targetPort: proxy")
    sidecar = "initContainers: [{name: p, ports: [{name: proxy, containerPort: 8080}]}], containers:"
    assert addresses(named + V1.replace("containers:", sidecar) + route()) == ["shop-v1:8080"]


def test_without_a_target_port_the_ports_are_the_same(addresses: Addresses) -> None:
    assert addresses(SERVICE.replace(", targetPort: 80", "") + V1 + route()) == ["shop-v1:8000"]


def test_one_of_several_ports_is_chosen_by_number(addresses: Addresses) -> None:
    two = service(
        "ports: [{name: a, port: 80, targetPort: 1}, {name: b, port: 81, targetPort: 2}]\nselector: {app: shop}",
        "shop",
    )
    assert addresses(two + V1 + route(port=", port: {number: 81}")) == ["shop-v1:2"]


def test_a_service_per_version_is_a_host_of_its_own(load: Load) -> None:
    one = SERVICE.replace("{name: shop}", "{name: shop-v1}").replace(
        "{app: shop}", "{app: shop, version: v1}"
    )
    (cluster,) = load(one + V1 + V2 + route(host="shop-v1")).clusters
    assert cluster.name == "outbound|8000||shop-v1.default.svc.cluster.local"
    assert [str(one.address) for one in cluster.endpoints] == ["shop-v1:80"]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ("ports: [{port: 8000, targetPort: 80}]\nselector: {app: shop}", "shop:8000"),
        ("ports: [{port: 8000, targetPort: 80}]", "shop:8000"),
        ("clusterIP: None\nports: [{port: 8000}]", "shop:8000"),
        ("type: ExternalName\nexternalName: shop.example.com\nports: [{port: 90}]", "shop.example.com:90"),
        ("type: ExternalName\nexternalName: shop.example.com", "shop.example.com:8080"),
    ],
)
def test_without_a_workload_dns_is_asked(addresses: Addresses, fields: str, expected: str) -> None:
    assert addresses(service(fields, "shop") + route()) == [expected]


@pytest.mark.parametrize(
    ("port", "warning"),
    [
        ("{name: tcp-a, port: 80}", "port 80 speaks tcp, and HTTP/1.1 in plain text is spoken to it"),
        ("{name: grpc, port: 80}", "port 80 speaks grpc, and HTTP/1.1 in plain text is spoken to it"),
        (
            "{name: http, appProtocol: kubernetes.io/h2c, port: 80}",
            "port 80 speaks http2, and HTTP/1.1 in plain text is spoken to it",
        ),
        (
            "{name: dns, protocol: UDP, port: 80}",
            "port 80 speaks udp, and HTTP/1.1 in plain text is spoken to it",
        ),
        (
            "{name: https-a, port: 80}",
            "port 80 speaks https, and HTTP/1.1 in plain text is spoken to it; a DestinationRule with tls encrypts it",
        ),
        (
            "{name: tls, port: 80}",
            "port 80 speaks tls, and HTTP/1.1 in plain text is spoken to it; a DestinationRule with tls encrypts it",
        ),
    ],
)
def test_a_port_that_speaks_other_than_http_is_warned_of(load: Load, port: str, warning: str) -> None:
    (found,) = load(service(f"ports: [{port}]", "shop") + route()).warnings
    assert found.endswith(f"Service default/shop spec.ports[0]: {warning}")


@pytest.mark.parametrize(
    "port",
    [
        "{name: http-a, port: 80}",
        "{name: grpc-web-a, port: 80}",
        "{port: 80}",
        "{name: web, port: 80, appProtocol: http}",
        "{name: tcp, port: 80, appProtocol: kubernetes.io/ws}",
    ],
)
def test_a_port_that_speaks_http_is_not(load: Load, port: str) -> None:
    assert load(service(f"ports: [{port}]", "shop") + route()).warnings == ()


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (service("ports: [{name: http}]", "shop"), "Service default/shop spec.ports[0].port: Required value"),
        (
            service("ports: [{port: '80'}]", "shop"),
            'Service default/shop spec.ports[0].port: must be of type integer: "string"',
        ),
        (
            service("selector: {app: 1}", "shop"),
            'Service default/shop spec.selector.app: must be of type string: "integer"',
        ),
        (
            V1.replace("version: v1}", "version: 1}"),
            'Deployment default/shop-v1 spec.template.metadata.labels.version: must be of type string: "integer"',
        ),
        (V1.replace("template:", "templat:"), "Deployment default/shop-v1 spec.template: Required value"),
    ],
)
def test_what_is_read_of_an_object_must_be_right(refusals: Refusals, text: str, problem: str) -> None:
    found = refusals(SERVICE.replace("{name: shop}", "{name: other}") + text + route())
    assert found[0].partition(" ")[2] == problem


def test_what_else_an_object_says_is_no_matter(load: Load) -> None:
    more = SERVICE.replace("spec:", "spec:\n  sessionAffinity: None\n  whatever: [1]")
    assert load(more + V1.replace("{name: a,", "{name: a, image: b, nonsense: {},") + route()).warnings == ()
