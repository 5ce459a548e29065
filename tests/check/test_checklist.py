"""The checklist, on real sockets."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mirror_proxy.check.checklist import Finding, checklist
from mirror_proxy.config.model import (
    Address,
    Cluster,
    Config,
    Destination,
    Endpoint,
    Mirroring,
    MirrorPolicy,
    OutlierDetection,
    Route,
    Settings,
    VirtualHost,
)
from tests.check.conftest import Listen
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
    return [str(finding) for finding in findings(made) if finding.word == word]


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
