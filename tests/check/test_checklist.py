"""The checklist and its probes, on real sockets, and Services that bypass the proxy."""

from __future__ import annotations

import socket
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mirror_proxy.check.checklist import Finding, bypasses, checklist, probe, probe_all
from mirror_proxy.config import document
from mirror_proxy.config.model import (
    Address,
    Cluster,
    Config,
    Destination,
    Endpoint,
    HealthCheck,
    HttpHealthCheck,
    Mirroring,
    MirrorPolicy,
    OutlierDetection,
    Route,
    Settings,
    UpstreamTls,
    VirtualHost,
)
from mirror_proxy.config.problems import Problems
from mirror_proxy.http1 import proxy_protocol
from tests.check.conftest import Listen
from tests.support.certificates import Authority
from tests.support.plane import cluster_at, free_port

SAFE = Mirroring(methods=frozenset({"GET"}))
WRITES = (
    ': v2 carries writes out too (Istio: "fire and forget"); '
    "give v2 data of its own, or set mirroring.methods (--methods) to safe"
)
SAME_PLACE = (
    "problem    shop/secondary is at the same place as mirror shop/v2: what v2 does wrong would count as noise; "
    "let compare.noise.secondary (--secondary) be a second v1"
)
POLICY = MirrorPolicy("shop/v2", "m", 1, 100, SAFE)


def config(
    primary: Cluster | Address,
    mirror: Cluster | Address,
    policy: MirrorPolicy = POLICY,
    destinations: tuple[Destination, ...] = (Destination("shop/v1", "p"),),
) -> Config:
    clusters = [
        one if isinstance(one, Cluster) else cluster_at(name, one)
        for name, one in (("p", primary), ("m", mirror))
    ]
    routes = (Route("shop", destinations, (policy,)),)
    return Config(Settings(), tuple(clusters), (VirtualHost("v", ("*",), routes),))


def findings(made: Config) -> list[Finding]:
    return list(checklist(made, (), lambda _: None))


def worded(made: Config, word: str) -> list[str]:
    return [str(finding) for finding in findings(made) if finding.status == word]


def test_what_is_well_is_said_line_by_line(listen: Listen) -> None:
    primary, mirror = listen(), listen()
    assert [str(finding) for finding in findings(config(primary, mirror))] == [
        f"ok         shop/v1 at {primary} accepts connections",
        f"ok         mirror shop/v2 at {mirror} accepts connections",
        "ok         mirror shop/v2 is apart from shop/v1",
        "ok         mirror shop/v2 gets 1 % of all requests",
        "ok         mirror shop/v2 gets GET only",
        "unchecked  other ways past the proxy to v2: ports that compose publishes, other files",
    ]


def test_a_place_that_is_down_is_a_problem_with_its_loss(listen: Listen) -> None:
    down = Address("127.0.0.1", free_port())
    reason = "cannot be connected to: Connection refused"
    assert worded(config(down, listen()), "problem") == [
        f"problem    shop/v1 at {down} {reason}, so clients would get 503; start it, or correct its address"
    ]
    assert worded(config(listen(), down), "problem") == [
        f"problem    mirror shop/v2 at {down} {reason}, so no copy would arrive; start it, or correct its address"
    ]


def checked(address: Address, **check: Any) -> Cluster:
    return cluster_at("p", address, health_check=HealthCheck(**check))


@pytest.mark.parametrize("is_tls", [False, True])
def test_primary_that_passes_its_health_check_is_well(listen: Listen, tmp_path: Path, is_tls: bool) -> None:
    authority = Authority(tmp_path)
    context = authority.server("127.0.0.1") if is_tls else None
    primary = checked(
        listen(context, b"HTTP/1.1 204 No\r\n\r\n"), http=HttpHealthCheck("/hz", frozenset({204}))
    )
    primary = replace(primary, tls=UpstreamTls(ca_file=authority.file) if is_tls else None)
    where = primary.endpoints[0].address
    assert worded(config(primary, listen()), "ok")[0] == (
        f"ok         shop/v1 at {where} passes its health check (GET /hz)"
    )
    primary = checked(listen())
    where = primary.endpoints[0].address
    assert worded(config(primary, listen()), "ok")[0] == (
        f"ok         shop/v1 at {where} passes its health check (TCP)"
    )


@pytest.mark.parametrize(
    ("response", "reason"),
    [
        (b"HTTP/1.1 503 Busy\r\n\r\n", "status 503"),
        (b"SSH-2.0-OpenSSH\r\n\r\n", "no response: SSH-2.0-OpenSSH"),
        (None, "no response within 0.1s"),
    ],
)
def test_primary_that_fails_its_health_check_is_a_problem(
    listen: Listen, response: bytes | None, reason: str
) -> None:
    primary = checked(
        listen(None, response), http=HttpHealthCheck("/hz"), timeout_s=0.1 if response is None else 5.0
    )
    where = primary.endpoints[0].address
    [said] = worded(config(primary, listen()), "problem")
    assert said.startswith(f"problem    shop/v1 at {where} fails its health check (GET /hz): {reason}, so ")
    assert said.endswith("; correct the check in healthChecks, or what answers it")


def test_health_check_begins_with_the_proxy_header_of_no_client(tmp_path: Path) -> None:
    path = str(tmp_path / "app.sock")
    seen: list[bytes] = []

    def respond(server: socket.socket) -> None:
        connection, _ = server.accept()
        with connection:
            while not seen or b"\r\n\r\n" not in seen[-1][16:]:
                seen.append(b"".join(seen[-1:]) + connection.recv(65536))
            connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")

    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path)
        server.listen()
        thread = threading.Thread(target=respond, args=(server,))
        thread.start()
        primary = replace(checked(Address(path, 0), http=HttpHealthCheck("/hz")), proxy_protocol="V2")
        result = probe(primary, Address(path, 0))
        thread.join()
    assert (result.failure, result.check_failure) == ("", "")
    assert seen[-1].startswith(proxy_protocol.write("V2", None) + b"GET /hz HTTP/1.1\r\n")


def test_unix_sockets_are_connected_to_and_told_apart(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as primary:
        primary.bind(str(tmp_path / "v1"))
        primary.listen()
        at = [Address(str(tmp_path / name), 0) for name in ("v1", "v2")]
        assert worded(config(at[0], at[1]), "ok")[:2] == [
            f"ok         shop/v1 at {at[0]} accepts connections",
            "ok         mirror shop/v2 is apart from shop/v1",
        ]
        [down] = worded(config(at[0], at[1]), "problem")
        assert down.startswith(f"problem    mirror shop/v2 at {at[1]} cannot be connected to: No such file")
        [same] = worded(config(at[0], at[0]), "problem")
        assert same.startswith("problem    mirror shop/v2 is the primary itself")


def test_a_second_v1_that_is_v2_is_a_problem(listen: Listen) -> None:
    primary, mirror, second = listen(), listen(), listen()
    for where, count in ((mirror, 1), (second, 0), (primary, 0)):
        made = config(primary, mirror)
        [host] = made.virtual_hosts
        secondary = MirrorPolicy("shop/secondary", "s", role="secondary", mirroring=SAFE)
        routes = (replace(host.routes[0], mirrors=(POLICY, secondary)),)
        hosts = (replace(host, routes=routes),)
        made = replace(made, clusters=(*made.clusters, cluster_at("s", where)), virtual_hosts=hosts)
        assert worded(made, "problem") == [SAME_PLACE][:count]


def test_a_name_that_does_not_resolve_from_here_is_a_problem(listen: Listen) -> None:
    [said] = worded(config(Address("v1.invalid", 80), listen()), "problem")
    assert said.startswith("problem    shop/v1 at v1.invalid:80 does not resolve: ")
    assert said.endswith("; run this where the proxy will run, or start what bears the name")


def test_a_subset_that_selects_nothing_is_a_problem(listen: Listen) -> None:
    empty = Cluster("m", "shop", ())
    assert worded(config(listen(), empty), "problem") == [
        "problem    mirror shop/v2 is served nowhere, so no copy would arrive; see the warnings above"
    ]


def test_a_mirror_that_is_the_primary_under_another_name_is_a_problem(listen: Listen) -> None:
    address = listen()
    [said] = worded(config(address, Address("localhost", address.port)), "problem")
    assert "mirror shop/v2 is the primary itself, at localhost:" in said
    assert said.endswith("it would do all work twice; give v2 an address of its own")


def test_a_mirror_that_also_answers_some_requests_is_a_warning(listen: Listen) -> None:
    mirror = listen()
    destinations = (Destination("shop/v1", "p", 95), Destination("shop/v2", "m", 5))
    [said] = worded(config(listen(), mirror, destinations=destinations), "warning")
    assert "mirror shop/v2 also gets copies of what shop/v2 answers, at the same place" in said


@pytest.mark.parametrize(("percent", "count", "least"), [(10, 2, 50), (33, 3, 34)])
def test_outlier_detection_that_may_take_out_less_than_one_endpoint_is_a_warning(
    listen: Listen, percent: int, count: int, least: int
) -> None:
    endpoints = tuple(Endpoint(listen()) for _ in range(count))
    primary = Cluster("p", "shop", endpoints, outlier=OutlierDetection(max_ejection_percent=percent))
    [said] = worded(config(primary, listen()), "warning")
    assert said.startswith(
        f"warning    shop/v1: outlierDetection ejects nobody, as {percent} % of {count} endpoints is less than one"
    )
    assert said.endswith(f"; set maxEjectionPercent to {least} or more")


@pytest.mark.parametrize(("percent", "count"), [(50, 2), (34, 3), (10, 1)])
def test_outlier_detection_that_can_take_one_of_several_out_is_well(
    listen: Listen, percent: int, count: int
) -> None:
    endpoints = tuple(Endpoint(listen()) for _ in range(count))
    primary = Cluster("p", "shop", endpoints, outlier=OutlierDetection(max_ejection_percent=percent))
    assert worded(config(primary, listen()), "warning") == []


def test_a_destination_that_gets_nothing_is_not_tried(listen: Listen) -> None:
    down = cluster_at("p", Address("127.0.0.1", free_port()))
    destinations = (Destination("shop/v1", "p", 0), Destination("shop/v2", "m", 1))
    assert worded(config(down, listen(), destinations=destinations), "problem") == []


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"numerator": 11},
            "mirror shop/v2 gets 11 % of all requests; for a first time begin at 1 and watch v2",
        ),
        (
            {"numerator": 0},
            "mirror shop/v2 gets no request: its percentage takes effect as 0 %; 0.0001 is the smallest that fires",
        ),
        (
            {"mirroring": Mirroring()},
            f"mirror shop/v2 gets every method{WRITES}",
        ),
        (
            {"mirroring": Mirroring(methods=frozenset({"GET", "POST", "DELETE"}))},
            f"mirror shop/v2 gets DELETE POST{WRITES}",
        ),
    ],
)
def test_what_is_bold_is_a_warning(listen: Listen, changes: dict[str, object], said: str) -> None:
    policy = replace(POLICY, **changes)  # type: ignore[arg-type]  # MirrorPolicy's own fields
    assert worded(config(listen(), listen(), policy), "warning") == [f"warning    {said}"]


def test_what_listens_is_reached_and_what_its_name_stands_for_is_known(listen: Listen) -> None:
    address = listen()
    probed = probe(cluster_at("v1", address), address)
    assert not probed.failure
    assert probed.resolved == {("127.0.0.1", address.port)}


def test_what_does_not_listen_is_not_and_the_reason_is_the_kernels() -> None:
    address = Address("127.0.0.1", free_port())
    probed = probe(cluster_at("v1", address), address)
    assert probed.failure == "cannot be connected to: Connection refused"
    assert not probed.is_unresolved


def test_a_name_that_means_nothing_is_told_from_a_place_that_is_down() -> None:
    address = Address("v2.invalid", 80)
    probed = probe(cluster_at("v2", address), address)
    assert probed.is_unresolved
    assert probed.failure.startswith("does not resolve: ")


def test_tls_is_spoken_and_its_certificate_checked_where_the_cluster_does(
    listen: Listen, tmp_path: Path
) -> None:
    authority = Authority(tmp_path)
    address = listen(authority.server("shop.test"))

    def failure(**tls: str) -> str:
        return probe(cluster_at("v1", address, tls=UpstreamTls(**tls)), address).failure  # type: ignore[arg-type]

    assert not failure(sni="shop.test", ca_file=authority.file)
    assert failure(ca_file=authority.file) == (
        "TLS fails: IP address mismatch, certificate is not valid for '127.0.0.1'."
    )
    assert failure(sni="shop.test") == "TLS fails: unable to get local issuer certificate"


def test_every_endpoint_of_every_cluster_is_tried_and_the_watcher_told(listen: Listen) -> None:
    here, there = listen(), Address("127.0.0.1", free_port())
    told: list[str] = []
    probed = probe_all([cluster_at("a", here, there), cluster_at("b", here)], told.append)
    assert {where: bool(one.failure) for where, one in probed.items()} == {
        ("a", here): False,
        ("a", there): True,
        ("b", here): False,
    }
    assert len(told) == 3
    assert told[-1].startswith("3/3 127.0.0.1:")


@pytest.mark.parametrize("sni", ["a..b", "." * 3])
def test_a_server_name_that_cannot_be_one_is_a_failure_not_a_crash(
    listen: Listen, tmp_path: Path, sni: str
) -> None:
    authority = Authority(tmp_path)
    address = listen(authority.server("shop.test"))
    tls = UpstreamTls(sni=sni, ca_file=authority.file)
    assert probe(cluster_at("v1", address, tls=tls), address).failure.startswith("TLS fails: ")


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
    return list(bypasses(document.read([str(path)], Problems()), config))


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
