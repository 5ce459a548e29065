"""`healthChecks` of a MirrorProxy: which clusters get a check, and what is refused."""

from __future__ import annotations

import pytest

from mirror_proxy.config.health_checks import HEALTH_CHECK
from mirror_proxy.config.model import Config, HealthCheck, HttpHealthCheck
from mirror_proxy.config.node import Place, to_node
from mirror_proxy.config.problems import Mark, Problems
from tests.config.conftest import MIRROR, SHOP, Load, Refusals, settings_text

HTTP = HealthCheck(HttpHealthCheck("/healthz"))


def checks_of(config: Config) -> dict[str, HealthCheck | None]:
    return {cluster.name: cluster.health_check for cluster in config.clusters}


@pytest.mark.parametrize(
    "host", ["v1", "V1", "v1.default.svc.cluster.local", "v1.default.svc.cluster.local."]
)
def test_primary_is_checked_by_its_host_and_its_mirror_is_not(load_spec: Load, host: str) -> None:
    config = load_spec(f"healthChecks: [{{host: {host}, http: {{path: /healthz}}}}]")
    assert checks_of(config) == {
        "outbound|8080||v1.default.svc.cluster.local": HTTP,
        "outbound|8080||v2.default.svc.cluster.local@shop/v2": None,
    }


def test_every_key_of_a_check_reaches_the_cluster(load_spec: Load) -> None:
    config = load_spec("""
        healthChecks:
        - host: v1
          http: {path: "/a?b=c", expectedStatuses: [200, 404]}
          interval: 2s
          timeout: 500ms
          unhealthyThreshold: 5
          healthyThreshold: 1
        """)
    assert config.clusters[0].health_check == HealthCheck(
        HttpHealthCheck("/a?b=c", frozenset({200, 404})), 2.0, 0.5, 5, 1
    )


def test_tcp_check_needs_no_keys(load_spec: Load) -> None:
    assert load_spec("healthChecks: [{host: v1, tcp: {}}]").clusters[0].health_check == HealthCheck()


def test_each_subset_of_a_host_is_checked(load: Load) -> None:
    route = """\
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: shop}
spec:
  hosts: [app]
  http:
  - route:
    - {destination: {host: app, subset: v1, port: {number: 80}}, weight: 90}
    - {destination: {host: app, subset: v2, port: {number: 80}}, weight: 10}
    mirror: {host: app, subset: v2, port: {number: 80}}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: app}
spec: {host: app, subsets: [{name: v1}, {name: v2}]}
"""
    config = load(settings_text("healthChecks: [{host: app, http: {path: /healthz}}]") + route)
    assert list(checks_of(config).values()) == [HTTP, HTTP, None]


def test_primary_that_is_repeated_for_comparison_is_checked_once(load_spec: Load) -> None:
    config = load_spec("""
        healthChecks: [{host: v1, http: {path: /healthz}}]
        compare: {percent: 100, noise: {repeat: {percent: 10}}}
        """)
    assert [name for name, check in checks_of(config).items() if check] == [
        "outbound|8080||v1.default.svc.cluster.local"
    ]
    assert len(config.clusters) == 3


@pytest.mark.parametrize(
    ("check", "problem"),
    [
        ("{host: v1}", "spec.healthChecks[0]: needs either http or tcp: {}"),
        ("{host: v1, tcp: {}, http: {path: /}}", "spec.healthChecks[0]: needs either http or tcp: {}"),
        ("{tcp: {}}", "spec.healthChecks[0].host: Required value"),
        ("{host: v1, http: {}}", "spec.healthChecks[0].http.path: Required value"),
        (
            "{host: v1, http: {path: healthz}}",
            'spec.healthChecks[0].http.path: "healthz" is not a path; write such as /healthz',
        ),
        (
            "{host: v1, http: {path: /, expectedStatuses: [100]}}",
            "spec.healthChecks[0].http.expectedStatuses[0]: must be in the range 200..599 (it is 100)",
        ),
        (
            "{host: v1, tcp: {}, healthyThreshold: 0}",
            "spec.healthChecks[0].healthyThreshold: must be in the range 1..1000 (it is 0)",
        ),
        (
            "{host: other, tcp: {}}",
            'spec.healthChecks[0].host: no primary has the host "other"; primaries are: v1',
        ),
        (
            "{host: v1, tcp: {}}, {host: V1, tcp: {}}",
            'spec.healthChecks[1].host: "V1" has a health check already; a host has one check',
        ),
    ],
)
def test_check_that_cannot_be_made_is_refused(spec_refusals: Refusals, check: str, problem: str) -> None:
    assert spec_refusals(f"healthChecks: [{check}]") == [problem]


def test_host_of_a_mirror_is_refused(refusals: Refusals) -> None:
    [problem] = refusals(settings_text("healthChecks: [{host: v2, tcp: {}}]") + SHOP + MIRROR)
    assert 'no primary has the host "v2"' in problem


def test_default_shown_is_the_default_taken() -> None:
    shown = 0
    for field in HEALTH_CHECK.fields:
        if field.default is not None:
            shown += 1
            place = Place(to_node(field.default, Mark("test")), Problems())
            assert field.kind.read(place) == getattr(HealthCheck(), field.attribute), field.key
    assert shown == 4
