"""Health checks in a data plane that serves: what clients, mirrors, counts and the access log see of them."""

from __future__ import annotations

import json
import weakref
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mirror_proxy import control
from mirror_proxy.config.model import Address, Cluster, Config, HealthCheck, HttpHealthCheck, UpstreamTls
from mirror_proxy.telemetry.access_log import AccessLog
from tests.conftest import Connect, MakeOrigin, MakePlane
from tests.support.certificates import Authority
from tests.support.client import get
from tests.support.message import Message
from tests.support.origin import OK, Origin, answering, stall
from tests.support.plane import Plane, cluster_at, free_port, make_config, until
from tests.support.waiting import BOUND_S

HTTP = HttpHealthCheck("/healthz")
OFTEN = HealthCheck(HTTP, interval_s=0.02, timeout_s=BOUND_S)
BUSY = b"HTTP/1.1 503 Busy\r\ncontent-length: 0\r\n\r\n"


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a start and a reload wait for first checks however busy the machine is."""
    monkeypatch.setattr("mirror_proxy.worker.data_plane._FIRST_CHECKS_S", BOUND_S)


def of(*upstreams: Origin | int, **changes: Any) -> Cluster:
    ports = [one if isinstance(one, int) else one.port for one in upstreams]
    addresses = [Address("127.0.0.1", port) for port in ports]
    return cluster_at("v1", *addresses, **{"connect_timeout_s": 2.0, "health_check": OFTEN, **changes})


def flags(served: Plane) -> list[str]:
    rows = {row["name"]: row for row in served.inner.clusters()}
    return [endpoint["health_flags"] for endpoint in rows["v1"]["endpoints"]]  # type: ignore[attr-defined]


async def put(served: Plane, config: Config) -> None:
    """Have `config` in force, as a worker does."""
    generation = served.inner.snapshot.generation + 1
    parts = map(control.part_from, control.parts_of(config))
    await served.inner.prepare(generation, config.settings, parts)
    await served.inner.commit(())


def is_check(message: Message) -> bool:
    return message.start.startswith(b"GET /healthz ")


async def test_first_request_goes_to_a_healthy_endpoint(
    origin: MakeOrigin, plane: MakePlane, connect: Connect
) -> None:
    bad, good = await origin(BUSY), await origin()
    served = await plane(make_config(of(bad, good)))
    client = await connect(served)
    for _ in range(8):
        assert (await client.ask(get())).status == 200
    assert all(map(is_check, bad.requests))


async def test_check_counts_no_request_and_is_neither_mirrored_nor_logged(
    origin: MakeOrigin, plane: MakePlane, connect: Connect, tmp_path: Path
) -> None:
    v1, v2 = await origin(), await origin()
    log = AccessLog(str(tmp_path / "access.log"))
    served = await plane(make_config(of(v1), v2.port), access_log=log)
    await until(lambda: len(v1.requests) > 5, "checks")
    assert (await (await connect(served)).ask(get())).status == 200
    await served.ended("completed")
    await served.finish()
    log.close(5.0)
    lines = [json.loads(line) for line in (tmp_path / "access.log").read_text().splitlines()]
    assert len(lines) == 2  # of the request and its shadow
    assert len(v2.requests) == 1
    assert served.count("requests_total", "r", "v1", "200") == 1
    assert served.count("upstream_connections_total", "v1") == 1
    assert served.count("upstream_health_checks_total", "v1", "success") >= 5


async def test_failing_endpoint_is_shown_in_clusters_and_metrics(
    origin: MakeOrigin, plane: MakePlane
) -> None:
    bad, good = await origin(BUSY), await origin()
    served = await plane(make_config(of(bad, good)))
    assert flags(served) == ["/failed_active_hc", "healthy"]
    [row] = served.inner.clusters()
    assert row["endpoints"][0]["check_failure"] == "status 503"  # type: ignore[index]
    assert (row["panic"], served.count("upstream_panic", "v1")) == (False, 0)
    assert served.count("upstream_endpoints_unhealthy", "v1") == 1
    assert served.count("upstream_health_checks_total", "v1", "unexpected_status") >= 1


async def test_all_endpoints_serve_while_too_few_are_healthy(
    origin: MakeOrigin, plane: MakePlane, connect: Connect
) -> None:
    def answer(message: Message) -> bytes:
        return BUSY if is_check(message) else OK

    v1 = await origin(answering(answer))
    served = await plane(make_config(of(v1)))
    assert flags(served) == ["/failed_active_hc"]
    assert served.count("upstream_panic", "v1") == 1
    assert (await (await connect(served)).ask(get())).status == 200


async def test_endpoint_that_recovers_serves_again(
    origin: MakeOrigin, plane: MakePlane, connect: Connect
) -> None:
    port, good = free_port(), await origin()
    served = await plane(make_config(of(port, good)))
    assert flags(served) == ["/failed_active_hc", "healthy"]
    recovered = await origin(port=port)
    await until(lambda: flags(served) == ["healthy", "healthy"], "the endpoint to recover")
    for _ in range(40):
        await (await connect(served)).ask(get())
    assert not all(map(is_check, recovered.requests))


async def test_start_does_not_wait_for_a_first_check_without_a_response(
    origin: MakeOrigin, plane: MakePlane, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mirror_proxy.worker.data_plane._FIRST_CHECKS_S", 0.1)
    check = replace(OFTEN, timeout_s=60.0)
    served = await plane(make_config(of(await origin(stall), health_check=check)))
    assert flags(served) == ["/failed_active_hc/pending_active_hc"]


@pytest.mark.parametrize("fault", ["", "unknown authority", "another name"])
async def test_check_verifies_the_certificate_as_requests_do(
    origin: MakeOrigin, plane: MakePlane, tmp_path: Path, fault: str
) -> None:
    authority = Authority(tmp_path)
    v1 = await origin(tls=authority.server("shop.test"))
    trusted = Authority(tmp_path, "other").file if fault == "unknown authority" else authority.file
    names = ("v2.test",) if fault == "another name" else ("shop.test",)
    tls = UpstreamTls(ca_file=trusted, subject_alt_names=names)
    served = await plane(make_config(of(v1, tls=tls)))
    assert flags(served) == ["/failed_active_hc" if fault else "healthy"]
    assert bool(v1.requests) == (not fault)


async def test_reload_keeps_the_health_of_endpoints(origin: MakeOrigin, plane: MakePlane) -> None:
    bad, good = await origin(BUSY), await origin()
    rare = replace(OFTEN, interval_s=3600.0)
    config = make_config(of(bad, good, health_check=rare))
    served = await plane(config)
    await put(served, replace(config, clusters=(of(bad, good, health_check=rare, max_connections=7),)))
    assert flags(served) == ["/failed_active_hc", "healthy"]
    assert len(bad.requests) == len(good.requests) == 1


async def test_new_cluster_of_a_reload_is_checked_before_it_serves(
    origin: MakeOrigin, plane: MakePlane, connect: Connect
) -> None:
    first, bad, good = await origin(), await origin(BUSY), await origin()
    served = await plane(make_config(of(first)))
    config = make_config(replace(of(bad, good), host="other"))
    await put(served, config)
    assert flags(served) == ["/failed_active_hc", "healthy"]
    assert (await (await connect(served)).ask(get())).status == 200
    assert all(map(is_check, first.requests))


async def test_abandoned_cluster_is_checked_no_more(origin: MakeOrigin, plane: MakePlane) -> None:
    first, second = await origin(), await origin()
    served = await plane(make_config(of(first)))
    config = make_config(replace(of(second), host="other"))
    await served.inner.prepare(2, config.settings, map(control.part_from, control.parts_of(config)))
    prepared = served.inner._prepared
    assert prepared is not None
    cluster = weakref.ref(prepared.components.clusters["v1"])
    del prepared
    served.inner.abandon()
    await until(lambda: cluster() is None, "the cluster to be freed")
