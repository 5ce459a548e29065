"""A configuration takes the place of another in running workers, whole or not at all."""

from __future__ import annotations

import os
import signal
import ssl
from dataclasses import replace
from pathlib import Path

import pytest

from mirror_proxy.config.model import Address, Config, Listener, ListenerTls, MirrorPolicy, Route
from tests.support.certificates import Authority
from tests.support.plane import cluster_at, free_port
from tests.support.running_proxy import RunningProxy, config_for, running
from tests.support.threaded_origin import origin
from tests.support.traffic import traffic
from tests.support.waiting import until

pytestmark = pytest.mark.slow


def test_a_changed_configuration_goes_into_the_workers_that_serve_and_cuts_nothing(tmp_path: Path) -> None:
    with origin() as v1, running(config_for(v1.address, workers=2), tmp_path) as proxy:
        client = proxy.hold()
        until(lambda: v1.waiting == 1, "the request at v1")
        before = proxy.children()
        proxy.write(renamed(proxy.config))
        proxy.signal(signal.SIGHUP)
        until(lambda: [row["generation"] for row in proxy.workers()] == [2, 2], "the new generation")
        for _ in range(8):
            assert proxy.ask() == (200, "ok")
        assert proxy.metric("requests_total", route="renamed") == 8
        v1.release.set()
        answer = client.getresponse()
        assert (answer.status, answer.read()) == (200, b"ok")
        client.close()
        until(lambda: proxy.metric("requests_total", route="r") == 1, "the request of the route that is gone")
        assert proxy.children() == before
        assert proxy.metric("worker_restarts_total") == 0


def test_a_reload_that_is_asked_for_is_in_force_when_the_answer_comes(tmp_path: Path) -> None:
    with (
        origin(b"1") as v1,
        origin(b"2") as v2,
        running(config_for(v1.address, workers=2), tmp_path) as proxy,
    ):
        with traffic(proxy.config.settings.listeners[0].address) as clients:
            for body, one in (("2", v2), ("1", v1), ("2", v2)):
                clients.wait_for(50)
                proxy.write(to(proxy.config, one.address))
                assert proxy.change("POST", "/reload")[0] == 200
                answered = len(clients.asked)
                clients.wait_for(50)
                began = min(asked.began for asked in clients.asked[answered + 8 :])
                assert set(clients.since(began)) == {body}
        assert {asked.answer for asked in clients.asked} == {"1", "2"}
        assert proxy.metric("config_generation") == 4


def test_connections_and_counts_of_what_stays_outlive_a_reload(tmp_path: Path) -> None:
    with (
        origin() as v1,
        origin() as v2,
        running(config_for(v1.address, mirror=v2.address), tmp_path) as proxy,
    ):
        for _ in range(3):
            assert proxy.ask() == (200, "ok")
        until(lambda: proxy.metric("mirror_requests_total", outcome="completed") == 3, "three shadows")
        made = proxy.metric("upstream_connections_total")
        [cluster, mirror] = proxy.config.clusters
        changed = replace(proxy.config, clusters=(replace(cluster, connect_timeout_s=3.0), mirror))
        proxy.write(changed)
        assert proxy.change("POST", "/reload") == (200, {"generation": 2})
        assert proxy.ask() == (200, "ok")
        until(lambda: proxy.metric("mirror_requests_total", outcome="completed") == 4, "a shadow more")
        assert proxy.metric("requests_total", route="r") == 4
        assert proxy.metric("upstream_connections_total") == made


def test_what_is_gone_keeps_its_counts_and_no_connection(tmp_path: Path) -> None:
    with (
        origin() as v1,
        origin() as v2,
        running(config_for(v1.address, mirror=v2.address), tmp_path) as proxy,
    ):
        assert proxy.ask() == (200, "ok")
        until(lambda: proxy.metric("upstream_connections_active", cluster="m") == 1, "a shadow")
        until(lambda: proxy.metric("mirror_requests_total", outcome="completed") == 1, "its end")
        proxy.write(without_mirror(proxy.config))
        assert proxy.change("POST", "/reload")[0] == 200
        until(lambda: proxy.metric("upstream_connections_active", cluster="m") == 0, "the idle connection")
        assert proxy.metric("upstream_connections_total", cluster="m") == 1
        assert proxy.metric("mirror_requests_total", outcome="completed") == 1
        assert proxy.admin_json("/mirrors")["mirrors"] == []
        assert proxy.ask() == (200, "ok")
        assert proxy.metric("mirror_requests_total") == 1


def test_every_request_is_accounted_for_over_reloads_under_traffic(tmp_path: Path) -> None:
    with (
        origin() as v1,
        origin() as v2,
        origin() as v3,
        running(config_for(v1.address, mirror=v2.address, workers=2), tmp_path) as proxy,
    ):
        mirrored = proxy.config
        with traffic(proxy.config.settings.listeners[0].address) as clients:
            for config in (moved(mirrored, v3.address), halved(mirrored), mirrored, halved(mirrored)):
                clients.wait_for(40)
                proxy.write(config)
                assert proxy.change("POST", "/reload")[0] == 200
        assert {asked.answer for asked in clients.asked} == {"ok"}
        until(lambda: proxy.metric("mirror_in_flight") == 0, "the last shadows")
        count = len(clients.asked)
        until(lambda: proxy.metric("requests_total", route="r") == count, "all requests to be counted")
        assert proxy.metric("mirror_requests_total", mirror="mirror") == count
        assert proxy.metric("mirror_requests_total", outcome="reset") == 0


def test_a_configuration_that_cannot_be_loaded_changes_nothing(tmp_path: Path) -> None:
    with origin() as v1, running(config_for(v1.address), tmp_path) as proxy:
        proxy.write(b"not a configuration")
        reload_in_vain(proxy)
        proxy.wait_logged(
            "ERROR supervisor reload is refused, the running configuration stays generation=1 problem="
        )
        [dumped] = proxy.admin_json("/config_dump")["configs"][1]["dynamic_route_configs"]
        assert dumped["error_state"]["details"]
        proxy.write(renamed(proxy.config))
        assert proxy.change("POST", "/reload")[0] == 200
        [dumped] = proxy.admin_json("/config_dump")["configs"][1]["dynamic_route_configs"]
        assert "error_state" not in dumped


def test_a_configuration_that_one_worker_cannot_compile_changes_nothing(tmp_path: Path) -> None:
    with origin() as v1, running(config_for(v1.address, workers=2), tmp_path) as proxy:
        proxy.write(broken(renamed(proxy.config)))
        reload_in_vain(proxy)
        proxy.wait_logged("problem=\"worker 0 cannot use it: 'nowhere'\"")
        proxy.write(renamed(proxy.config))
        assert proxy.change("POST", "/reload")[0] == 200
        assert proxy.ask() == (200, "ok")
        assert proxy.metric("requests_total", route="renamed") == 1


def test_an_unchanged_configuration_is_not_a_new_generation(tmp_path: Path) -> None:
    with origin() as v1, running(config_for(v1.address), tmp_path) as proxy:
        before = proxy.children()
        proxy.signal(signal.SIGHUP)
        proxy.wait_logged("configuration is unchanged")
        assert proxy.children() == before
        assert proxy.metric("config_generation") == 1
        assert proxy.metric("config_reload_failures_total") == 0


def test_a_worker_that_is_killed_in_a_reload_is_replaced_with_what_is_committed(tmp_path: Path) -> None:
    with origin() as v1, running(config_for(v1.address, workers=2), tmp_path) as proxy:
        lost = proxy.workers()[0]["pid"]
        os.kill(lost, signal.SIGSTOP)  # it will not answer Prepare
        proxy.write(renamed(proxy.config))
        proxy.signal(signal.SIGHUP)
        until(lambda: proxy.workers() and "cannot" not in proxy.stderr, "the reload to begin")
        os.kill(lost, signal.SIGKILL)
        until(lambda: proxy.metric("config_generation") == 2, "the new generation")
        until(lambda: [row["generation"] for row in proxy.workers()] == [2, 2], "both workers")
        assert lost not in proxy.children()
        assert proxy.metric("config_reload_failures_total") == 0
        for _ in range(8):
            assert proxy.ask() == (200, "ok")
        assert proxy.metric("requests_total", route="renamed") == 8


def test_a_worker_that_dies_after_a_reload_comes_back_with_the_new_generation(tmp_path: Path) -> None:
    with origin() as v1, running(config_for(v1.address), tmp_path) as proxy:
        proxy.write(renamed(proxy.config))
        assert proxy.change("POST", "/reload")[0] == 200
        os.kill(proxy.children()[0], signal.SIGKILL)
        until(lambda: proxy.metric("worker_restarts_total") == 1 and proxy.workers(), "a replacement")
        assert proxy.ask() == (200, "ok")
        assert proxy.metric("requests_total", route="renamed") == 1


def test_a_renewed_certificate_is_served_after_sighup(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    cert, key = authority.issue("localhost", stem="server")
    listener = Listener(Address("127.0.0.1", free_port()), ListenerTls(cert, key))
    with origin() as v1, running(config_for(v1.address, listeners=(listener,)), tmp_path) as proxy:
        where = (listener.address.host, listener.address.port)
        workers = proxy.children()
        assert ssl.get_server_certificate(where) in Path(cert).read_text()
        authority.issue("localhost", stem="server")
        proxy.signal(signal.SIGHUP)
        until(lambda: ssl.get_server_certificate(where) in Path(cert).read_text(), "the new certificate")
        assert proxy.children() == workers


def reload_in_vain(proxy: RunningProxy) -> None:
    before = proxy.workers()
    failures = proxy.metric("config_reload_failures_total")
    status, answer = proxy.change("POST", "/reload")
    assert status == 422
    assert answer["problems"]
    assert proxy.metric("config_reload_failures_total") == failures + 1
    assert proxy.metric("config_generation") == 1
    assert [row["pid"] for row in proxy.workers()] == [row["pid"] for row in before]
    assert proxy.ask() == (200, "ok")


def with_route(config: Config, **changes: object) -> Config:
    [host] = config.virtual_hosts
    [route] = host.routes
    made: Route = replace(route, **changes)  # type: ignore[arg-type]  # the route's own fields
    return replace(config, virtual_hosts=(replace(host, routes=(made,)),))


def renamed(config: Config) -> Config:
    return with_route(config, name="renamed")


def without_mirror(config: Config) -> Config:
    return replace(with_route(config, mirrors=()), clusters=config.clusters[:1])


def halved(config: Config) -> Config:
    return with_route(config, mirrors=(MirrorPolicy("mirror", "m", numerator=50),))


def broken(config: Config) -> Config:
    """Name a cluster that is not there, as no loader would."""
    return with_route(config, mirrors=(MirrorPolicy("mirror", "nowhere"),))


def to(config: Config, primary: Address) -> Config:
    return replace(config, clusters=(cluster_at("p", primary),))


def moved(config: Config, mirror: Address) -> Config:
    return replace(config, clusters=(config.clusters[0], cluster_at("m", mirror)))
