"""One request to v1 and its shadow to v2, which may refuse what shadow requests look like."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from mirror_proxy.check.status_probe import compare_statuses
from mirror_proxy.config.model import Address, Config, HeaderOps, Mirroring, MirrorPolicy
from mirror_proxy.explain import trial
from tests.support.plane import cluster_at, free_port, local_cluster, make_config
from tests.support.threaded_origin import ThreadedOrigin
from tests.support.threaded_origin import origin as threaded_origin

NO_HOST = (
    "warning    GET /healthz gets 200 from v1, and its shadow 400 from mirror shop/v2; likely cause: a Host"
    " or another header that it does not take; see mirroring.host and mirroring.headers"
)


@pytest.fixture
def origins() -> Iterator[tuple[ThreadedOrigin, ThreadedOrigin]]:
    with ExitStack() as stack:
        v1, v2 = (stack.enter_context(threaded_origin()) for _ in range(2))
        yield v1, v2


def configured(v1: int, v2: int, **mirroring: object) -> Config:
    mirror = local_cluster("mirror", v2, host="v2.test")
    policy = MirrorPolicy("shop/v2", "mirror", 1, 100, Mirroring(**mirroring))  # type: ignore[arg-type]
    config = make_config(v1, policy)
    virtual_host = replace(config.virtual_hosts[0], domains=("shop.test",))
    return replace(config, clusters=(*config.clusters, mirror), virtual_hosts=(virtual_host,))


def findings(config: Config, path: str = "/healthz") -> list[str]:
    [host] = config.virtual_hosts
    [route] = host.routes
    result = asyncio.run(trial.run(*trial.mirrored(config, host, route, path)))
    return [str(finding) for finding in compare_statuses(config, route, result.heads)]


def test_both_get_the_request_that_the_proxy_would_send(
    origins: tuple[ThreadedOrigin, ThreadedOrigin],
) -> None:
    v1, v2 = origins
    headers = HeaderOps(remove=("accept",))
    config = configured(v1.address.port, v2.address.port, path="/v2", headers=headers)
    assert findings(config) == [
        "ok         GET /healthz gets 200 from v1, and its shadow 200 from mirror shop/v2"
    ]
    [request], [shadow] = v1.requests, v2.requests
    assert (request.path, request.headers["host"], request.headers["accept"]) == (
        "/healthz",
        "shop.test",
        "*/*",
    )
    assert (shadow.path, shadow.headers["host"], shadow.headers["accept"]) == (
        "/v2/healthz",
        "shop.test",
        None,
    )
    assert "x-mirror-proxy-shadow" in shadow.headers


def test_host_of_the_mirror_itself_is_sent_where_it_is_configured(
    origins: tuple[ThreadedOrigin, ThreadedOrigin],
) -> None:
    v1, v2 = origins
    findings(configured(v1.address.port, v2.address.port, host="upstream"))
    assert v2.requests[-1].headers["host"] == str(v2.address)


@pytest.mark.parametrize(
    ("expected", "found", "said"),
    [
        (200, 204, "ok         GET /healthz gets 200 from v1, and its shadow 204 from mirror shop/v2"),
        (
            200,
            400,
            NO_HOST,
        ),
        (200, 500, "warning    GET /healthz gets 200 from v1, and its shadow 500 from mirror shop/v2"),
        (404, 200, "warning    GET /healthz gets 404 from v1, and its shadow 200 from mirror shop/v2"),
    ],
)
def test_statuses_of_two_classes_are_a_warning_with_what_v2_may_not_like(
    origins: tuple[ThreadedOrigin, ThreadedOrigin], expected: int, found: int, said: str
) -> None:
    v1, v2 = origins
    v1.status, v2.status = expected, found
    assert findings(configured(v1.address.port, v2.address.port)) == [said]


def test_an_upstream_that_does_not_respond_is_a_problem(
    origins: tuple[ThreadedOrigin, ThreadedOrigin], tmp_path: Path
) -> None:
    v1, _ = origins
    [said] = findings(configured(v1.address.port, free_port()))
    assert said.startswith(
        "problem    GET /healthz gets 200 from v1, and its shadow no response from mirror shop/v2: "
    )
    config = configured(free_port(), v1.address.port)
    [said] = findings(config)
    assert said.startswith("problem    GET /healthz gets no response from v1: ")
    nowhere = cluster_at("v1", Address(str(tmp_path / "none.sock"), 0))
    [said] = findings(replace(config, clusters=(nowhere, *config.clusters[1:])))
    assert said.startswith("problem    GET /healthz gets no response from v1: ")
