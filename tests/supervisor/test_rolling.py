"""What only new processes or sockets can take up: they come first, then the old ones finish and go."""

from __future__ import annotations

import socket
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mirror_proxy.config.model import Address, Admin, Config, Limits, Listener, ListenerTls
from tests.support.fetch import fetch
from tests.support.plane import free_port
from tests.support.running_proxy import RunningProxy, config_for, running
from tests.support.threaded_origin import origin
from tests.support.traffic import traffic
from tests.support.waiting import until

pytestmark = pytest.mark.slow


def test_another_listener_is_served_by_new_workers_and_the_old_one_finishes(tmp_path: Path) -> None:
    with origin() as v1, running(config_for(v1.address, workers=2), tmp_path) as proxy:
        held = proxy.hold()
        until(lambda: v1.waiting == 1, "the request at v1")
        old, new = proxy.config.settings.listeners[0].address, Address("127.0.0.1", free_port())
        put(proxy, listeners=(Listener(new),))
        assert proxy.admin_json("/server_info")["listeners"] == [str(new)]
        assert fetch(new)[0] == 200
        until(lambda: not accepts(old), "the old address to be closed")
        v1.release.set()
        answer = held.getresponse()
        assert (answer.status, answer.read()) == (200, b"ok")
        held.close()
        until(lambda: len(proxy.children()) == 2, "the old workers to leave")
        assert proxy.metric("worker_restarts_total") == 0
        assert proxy.metric("requests_total") == 2


def test_one_more_listener_cuts_nothing_at_the_one_that_stays(tmp_path: Path) -> None:
    with origin() as v1, running(config_for(v1.address), tmp_path) as proxy:
        stays = proxy.config.settings.listeners[0]
        more = Listener(Address("127.0.0.1", free_port()))
        with traffic(stays.address, per_connection=3) as clients:
            clients.wait_for(50)
            put(proxy, listeners=(more, stays))
            clients.wait_for(50)
        assert {asked.answer for asked in clients.asked} == {"ok"}
        assert fetch(more.address)[0] == 200


def test_workers_become_more_and_fewer_and_no_request_is_lost(tmp_path: Path) -> None:
    with origin() as v1, running(config_for(v1.address), tmp_path) as proxy:
        with traffic(proxy.config.settings.listeners[0].address, per_connection=2) as clients:
            for count in (3, 2, 1, 2):
                clients.wait_for(30)
                put(proxy, workers=count)
                assert len(proxy.workers()) == count
            clients.wait_for(30)
        assert {asked.answer for asked in clients.asked} == {"ok"}
        until(lambda: len(proxy.children()) == 2, "the old workers to leave")
        until(lambda: proxy.metric("requests_total") == len(clients.asked), "all requests to be counted")
        assert proxy.metric("worker_restarts_total") == 0


def test_another_access_log_and_other_limits_are_taken_up(tmp_path: Path) -> None:
    with origin() as v1, running(config_for(v1.address), tmp_path) as proxy:
        path = tmp_path / "log"
        proxy.reload(with_settings(proxy.config, access_log=str(path), limits=Limits(max_headers=3)))
        assert proxy.ask() == (200, "ok")
        until(lambda: path.exists() and path.read_text().count("\n") == 1, "a line")
        address = proxy.config.settings.listeners[0].address
        assert fetch(address, **{f"x-{number}": "1" for number in range(4)})[0] == 431


def test_other_admin_and_metrics_addresses_open_and_the_old_ones_close(tmp_path: Path) -> None:
    with origin() as v1, running(config_for(v1.address), tmp_path) as proxy:
        workers = proxy.children()
        old, new = proxy.config.settings.admin.address, Address("127.0.0.1", free_port())
        metrics = Address("127.0.0.1", free_port())
        put(proxy, admin=Admin(new), metrics=metrics)
        assert fetch(new, "/ready")[0] == 200
        assert fetch(metrics, "/ready")[0] == 200
        assert fetch(metrics, "/clusters")[0] == 404
        until(lambda: not accepts(old), "the old listener to close")
        proxy.config = with_settings(proxy.config, admin=Admin(new))
        put(proxy, metrics=None)
        until(lambda: not accepts(metrics), "the second listener to close")
        assert fetch(new, "/ready")[0] == 200
        assert proxy.children() == workers


def test_a_listener_that_cannot_be_used_changes_nothing(tmp_path: Path) -> None:
    missing = str(tmp_path / "missing.pem")
    with (
        socket.create_server(("127.0.0.1", 0)) as busy,
        origin() as v1,
        running(config_for(v1.address, workers=2), tmp_path) as proxy,
    ):
        stays = proxy.config.settings.listeners[0]
        free, taken = Address("127.0.0.1", free_port()), Address(*busy.getsockname())
        for listeners, words in (
            ((stays, Listener(free), Listener(taken)), "the port is already in use"),
            ((stays, Listener(free, ListenerTls(missing, missing))), "No such file"),
        ):
            before = proxy.workers()
            proxy.write(with_settings(proxy.config, listeners=listeners))
            status, answer = proxy.change("POST", "/reload")
            assert status == 422
            assert words in answer["problems"][0]
            assert [row["pid"] for row in proxy.workers()] == [row["pid"] for row in before]
            assert proxy.ask() == (200, "ok")
            assert not accepts(free)


def test_a_busy_admin_address_is_refused_and_the_old_one_stays(tmp_path: Path) -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as busy,
        origin() as v1,
        running(config_for(v1.address), tmp_path) as proxy,
    ):
        proxy.write(with_settings(proxy.config, admin=Admin(Address(*busy.getsockname()))))
        status, answer = proxy.change("POST", "/reload")
        assert status == 422
        assert "the port is already in use" in answer["problems"][0]
        assert proxy.ready_status() == 200


def test_another_mark_key_needs_a_restart(tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_bytes(b"k" * 32)
    with origin() as v1, running(config_for(v1.address), tmp_path) as proxy:
        proxy.write(with_settings(proxy.config, mark_key_file=str(key)))
        status, answer = proxy.change("POST", "/reload")
        assert (status, answer["problems"]) == (
            422,
            ["the mark key cannot change while running; restart the proxy for that"],
        )


def test_a_drain_that_is_asked_for_is_that_of_sigterm(tmp_path: Path) -> None:
    with origin() as v1, running(config_for(v1.address), tmp_path) as proxy:
        assert proxy.change("POST", "/drain") == (202, {"state": "DRAINING"})
        assert proxy.wait() == 0
        assert proxy.stderr.rstrip().endswith(" INFO supervisor drained")


def put(proxy: RunningProxy, **settings: Any) -> None:
    """Have other settings in force."""
    config = with_settings(proxy.config, **settings)
    proxy.write(config)
    status, answer = proxy.change("POST", "/reload")
    assert status == 200, answer


def with_settings(config: Config, **settings: Any) -> Config:
    return replace(config, settings=replace(config.settings, **settings))


def accepts(address: Address) -> bool:
    try:
        socket.create_connection((address.host, address.port)).close()
    except ConnectionRefusedError:
        return False
    return True
