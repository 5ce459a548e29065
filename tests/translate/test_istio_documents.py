"""Istio's documents: what stays as it is, what is added, and what is told beside."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from mirror_proxy.config.loader import Loaded
from mirror_proxy.config.model import Address
from mirror_proxy.config.options import EndpointOption, Options
from mirror_proxy.config.problems import Mark
from mirror_proxy.translate import istio
from tests.support.plain_routing import plain_routing

Load = Callable[..., Loaded]
Reload = Callable[[Sequence[Any]], Loaded]

STRICT = Options(host_match="strict")
VIRTUAL_SERVICE = """\
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: shop}
spec:
  hosts: [v1]
  http:
"""
TO_V1 = "route: [{destination: {host: v1, port: {number: 80}}}]"


def test_istios_own_documents_are_only_spelled_anew(load: Load) -> None:
    loaded = load("""
        apiVersion: networking.istio.io/v1alpha3
        kind: VirtualService
        metadata: {name: shop, resourceVersion: "7", labels: {some_label: a}}
        spec:
          hosts: [v1]
          http:
          - match: [{without_headers: {x_y: {exact: z}}, query_params: ~}]
            route: [{destination: {host: v1, port: {number: 80}}}]
            mirror: {host: v2, port: {number: 80}}
            mirror_percent: 5
        status: {}
        ---
        apiVersion: networking.istio.io/v1beta1
        kind: DestinationRule
        metadata: {name: v2}
        spec: {host: v2, traffic_policy: {connection_pool: {tcp: {max_connections: 3}}}}
        """)
    first, second = istio.documents(loaded, STRICT).documents
    assert first == {
        "apiVersion": "networking.istio.io/v1",
        "kind": "VirtualService",
        "metadata": {"name": "shop", "labels": {"some_label": "a"}},
        "spec": {
            "hosts": ["v1"],
            "http": [
                {
                    "match": [{"withoutHeaders": {"x_y": {"exact": "z"}}}],
                    "route": [{"destination": {"host": "v1", "port": {"number": 80}}}],
                    "mirror": {"host": "v2", "port": {"number": 80}},
                    "mirrorPercent": 5,
                }
            ],
        },
    }
    assert second["apiVersion"] == "networking.istio.io/v1"
    assert second["spec"] == {
        "host": "v2",
        "trafficPolicy": {"connectionPool": {"tcp": {"maxConnections": 3}}},
    }


def test_each_setting_of_the_proxy_is_told(load: Load) -> None:
    loaded = load(f"""\
apiVersion: mirror-proxy.dev/v1
kind: MirrorProxy
metadata: {{name: shop}}
spec: {{workers: 2, shadowHostSuffix: true, mirroring: {{methods: safe, headers: {{remove: [cookie]}}}}}}
---
{VIRTUAL_SERVICE}  - {TO_V1}""")
    translation = istio.documents(loaded, STRICT)
    subject = "MirrorProxy default/shop spec"
    assert translation.untranslated == [
        f"{subject}.workers: Istio has no word for it",
        f"{subject}.shadowHostSuffix: istiod says it for the whole mesh, by DISABLE_SHADOW_HOST_SUFFIX=false",
        f"{subject}.mirroring.methods: Istio has no word for it",
        f"{subject}.mirroring.headers: Istio has no word for it",
    ]
    assert [document["kind"] for document in translation.documents] == ["VirtualService"]


def test_a_host_outside_gets_a_service_entry(load: Load, reload: Reload) -> None:
    loaded = load(
        VIRTUAL_SERVICE + "  - route: [{destination: {host: api.example.com, port: {number: 443}}}]\n"
    )
    translation = istio.documents(loaded, STRICT)
    assert translation.documents[1:] == [
        {
            "apiVersion": "networking.istio.io/v1",
            "kind": "ServiceEntry",
            "metadata": {"name": "api.example.com", "namespace": "default"},
            "spec": {
                "hosts": ["api.example.com"],
                "location": "MESH_EXTERNAL",
                "ports": [{"number": 443, "name": "http-443", "protocol": "HTTP"}],
                "resolution": "DNS",
            },
        }
    ]
    assert plain_routing(reload(translation.documents).config) == plain_routing(loaded.config)


def test_an_address_needs_a_name(load: Load) -> None:
    loaded = load(VIRTUAL_SERVICE + "  - route: [{destination: {host: 10.0.0.1, port: {number: 80}}}]\n")
    translation = istio.documents(loaded, STRICT)
    assert translation.untranslated == [
        "host 10.0.0.1: a mesh routes to names only; give the address a name in a ServiceEntry"
    ]
    assert len(translation.documents) == 1


def endpoint(subset: str, host: str) -> EndpointOption:
    return EndpointOption(Mark("--endpoint", is_flag=True), "v1", subset, Address(host, 8080))


def test_endpoints_of_flags_become_a_service_entry_and_subsets(load: Load, reload: Reload) -> None:
    options = Options(host_match="strict", endpoints=(endpoint("", "10.0.0.1"), endpoint("b", "10.0.0.2")))
    loaded = load(
        VIRTUAL_SERVICE + "  - route: [{destination: {host: v1, subset: b, port: {number: 80}}}]\n", options
    )
    translation = istio.documents(loaded, options)
    _, rule, entry = translation.documents
    assert rule["spec"] == {
        "host": "v1.default.svc.cluster.local",
        "subsets": [{"name": "b", "labels": {"version": "b"}}],
    }
    assert entry["spec"]["resolution"] == "STATIC"
    assert entry["spec"]["endpoints"] == [
        {"address": "10.0.0.1", "ports": {"http-80": 8080}},
        {"address": "10.0.0.2", "ports": {"http-80": 8080}, "labels": {"version": "b"}},
    ]
    assert plain_routing(reload(translation.documents).config) == plain_routing(loaded.config)


def test_short_endpoint_of_a_flag_becomes_the_service_entry_of_another_namespace(
    load: Load, reload: Reload
) -> None:
    options = Options(host_match="strict", endpoints=(endpoint("b", "10.0.0.1"),))
    virtual_service = VIRTUAL_SERVICE.replace("metadata: {", "metadata: {namespace: prod, ")
    loaded = load(
        f"{virtual_service}  - route: [{{destination: {{host: v1, subset: b, port: {{number: 80}}}}}}]\n",
        options,
    )
    translation = istio.documents(loaded, options)
    *_, rule, entry = translation.documents
    assert [one["metadata"]["namespace"] for one in (rule, entry)] == ["prod", "prod"]
    assert entry["spec"]["hosts"] == ["v1.prod.svc.cluster.local"]
    assert entry["spec"]["endpoints"][0]["address"] == "10.0.0.1"
    assert plain_routing(reload(translation.documents).config) == plain_routing(loaded.config)


def test_endpoints_of_flags_do_not_override_documents(load: Load) -> None:
    options = Options(host_match="strict", endpoints=(endpoint("", "10.0.0.1"),))
    service = "---\napiVersion: v1\nkind: Service\nmetadata: {name: v1}\nspec: {ports: [{port: 80}]}\n"
    loaded = load(f"{VIRTUAL_SERVICE}  - {TO_V1}\n{service}", options)
    translation = istio.documents(loaded, options)
    assert translation.untranslated == [
        "--endpoint v1=10.0.0.1:8080: in a mesh the Service default/v1 says where v1 is"
    ]
    assert [document["kind"] for document in translation.documents] == ["VirtualService", "Service"]


def test_hosts_that_both_dialects_have_are_told(load: Load) -> None:
    http_route = (
        "---\napiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: more}\n"
        "spec: {hostnames: [v1], rules: [{backendRefs: [{name: v2, port: 80}]}]}\n"
    )
    loaded = load(
        VIRTUAL_SERVICE.replace("  http:", "  gateways: [edge]\n  http:") + f"  - {TO_V1}\n{http_route}"
    )
    translation = istio.documents(loaded, STRICT)
    assert translation.untranslated == [
        "default/more+default/shop: rules of an HTTPRoute for hosts that a VirtualService has too"
    ]


def test_one_name_in_two_dialects_becomes_two(load: Load) -> None:
    http_route = (
        "---\napiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: shop}\n"
        "spec: {hostnames: [v2], rules: [{backendRefs: [{name: v2, port: 80}]}]}\n"
    )
    translation = istio.documents(load(f"{VIRTUAL_SERVICE}  - {TO_V1}\n{http_route}"), STRICT)
    assert [document["metadata"]["name"] for document in translation.documents] == ["shop", "shop-httproute"]
    assert translation.documents[1]["spec"]["hosts"] == ["v2"]
