"""Services that lead clients past the proxy."""

from __future__ import annotations

from pathlib import Path

import pytest

from mirror_proxy.check.ways_in import ways_in
from mirror_proxy.config import document
from mirror_proxy.config.model import Address, Config, Destination, MirrorPolicy, Route, Settings, VirtualHost
from mirror_proxy.config.problems import Problems
from tests.support.plane import cluster_at

WORKLOADS = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: shop-v1}
spec: {template: {metadata: {labels: {app: shop, version: v1}}}}
---
apiVersion: v1
kind: Pod
metadata: {name: shop-v2, labels: {app: shop, version: v2}}
spec: {}
"""
SERVICE = """
---
apiVersion: v1
kind: Service
metadata: {name: shop, namespace: %s}
spec: {selector: %s, ports: [{port: 80}]}
"""


FQDN = "shop.default.svc.cluster.local"


def found(
    tmp_path: Path,
    service: str,
    mirror: str = "shop-v2",
    names: tuple[str, str] = ("p", "m@shop/v2"),
    primary: str = "shop-v1.default.svc",
) -> list[tuple[str, str, str]]:
    path = tmp_path / "f.yaml"
    path.write_text(WORKLOADS + service)
    clusters = (cluster_at(names[0], Address(primary, 8080)), cluster_at(names[1], Address(mirror, 8080)))
    destinations = (Destination("shop/v1", names[0], 1), Destination("other", "gone", 0))
    routes = (Route("r", destinations, (MirrorPolicy("r/shop/v2", names[1]),)),)
    config = Config(Settings(), clusters, (VirtualHost("v", ("*",), routes),))
    return list(ways_in(document.read([str(path)], Problems()), config))


def test_a_service_that_selects_both_versions_is_a_way_past_the_proxy(tmp_path: Path) -> None:
    assert found(tmp_path, SERVICE % ("default", "{app: shop}")) == [
        ("Service default/shop", "shop/v1", "r/shop/v2")
    ]


def test_two_subsets_of_its_host_are_behind_a_service_wherever_they_are_served(tmp_path: Path) -> None:
    names = (f"outbound|80|v1|{FQDN}", f"outbound|80|v2|{FQDN}@r/shop/v2")
    there = {"primary": "10.0.0.1", "mirror": "10.0.0.2", "names": names}
    assert len(found(tmp_path, SERVICE % ("default", "{app: shop}"), **there)) == 1  # type: ignore[arg-type]
    assert found(tmp_path, SERVICE % ("default", "{}"), **there) == []  # type: ignore[arg-type]
    assert found(tmp_path, SERVICE % ("other", "{app: shop}"), **there) == []  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("namespace", "selector"),
    [("default", "{app: shop, version: v1}"), ("other", "{app: shop}"), ("default", "{}")],
    ids=["one version", "another namespace", "no selector"],
)
def test_another_is_not(tmp_path: Path, namespace: str, selector: str) -> None:
    assert found(tmp_path, SERVICE % (namespace, selector)) == []


def test_a_version_that_clients_are_routed_to_anyway_is_no_secret(tmp_path: Path) -> None:
    names = (f"outbound|80|v2|{FQDN}", f"outbound|80|v2|{FQDN}@r/shop/v2")
    assert found(tmp_path, SERVICE % ("default", "{app: shop}"), names=names) == []
