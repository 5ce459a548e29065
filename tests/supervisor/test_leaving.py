from __future__ import annotations

import signal
import socket
from dataclasses import replace
from pathlib import Path

import pytest

from mirror_proxy.config.model import Drain, Limits
from tests.support.running_proxy import config_for, is_alive, running
from tests.support.threaded_origin import origin
from tests.support.waiting import BOUND_S, until

pytestmark = pytest.mark.slow


def test_sigterm_finishes_what_is_in_flight_and_exits_with_0(tmp_path: Path) -> None:
    with origin() as v1, running(config_for(v1.address, workers=2), tmp_path) as proxy:
        clients = [proxy.hold() for _ in range(6)]
        until(lambda: v1.waiting == 6, "the requests at v1")
        workers = proxy.children()
        proxy.signal(signal.SIGTERM)
        until(lambda: proxy.ready_status() == 503, "/ready to fail")
        until(lambda: not _accepts(proxy.config.settings.listeners[0].address.port), "accepting to end")
        v1.release.set()
        for client in clients:
            answer = client.getresponse()
            assert (answer.status, answer.read()) == (200, b"ok")
            assert answer.getheader("Connection") == "close"
            client.close()
        assert proxy.wait() == 0
        assert not any(map(is_alive, workers))
        assert proxy.stderr.rstrip().endswith(" INFO supervisor drained")


def test_accepting_goes_on_for_the_drain_delay(tmp_path: Path) -> None:
    with origin() as v1, running(config_for(v1.address, drain=Drain(4.0, 10.0)), tmp_path) as proxy:
        proxy.signal(signal.SIGTERM)
        until(lambda: proxy.ready_status() == 503, "/ready to fail")
        assert proxy.ask() == (200, "ok")
        assert proxy.wait() == 0


def test_a_request_that_outlasts_the_grace_period_is_cut(tmp_path: Path) -> None:
    with origin() as v1, running(config_for(v1.address, drain=Drain(0.0, 1.0)), tmp_path) as proxy:
        client = proxy.hold()
        until(lambda: v1.waiting == 1, "the request at v1")
        proxy.signal(signal.SIGTERM)
        assert proxy.wait() == 0
        assert v1.waiting == 1
        assert not v1.release.is_set()
        client.close()


def test_a_proxy_that_drains_still_says_how_it_stands_and_takes_no_configuration(tmp_path: Path) -> None:
    with origin() as v1, running(config_for(v1.address, workers=2), tmp_path) as proxy:
        client = proxy.hold()
        until(lambda: v1.waiting == 1, "the request at v1")
        listener = proxy.config.settings.listeners[0].address
        proxy.signal(signal.SIGTERM)
        until(lambda: not _accepts(listener.port), "accepting to end")
        info = proxy.admin_json("/server_info")
        assert (info["state"], info["listeners"]) == ("DRAINING", [str(listener)])
        changed = replace(proxy.config.settings, limits=Limits(max_headers=50))
        for settings in (changed, replace(changed, workers=3)):
            proxy.write(replace(proxy.config, settings=settings))
            status, answer = proxy.change("POST", "/reload")
            assert (status, answer["problems"]) == (422, ["the proxy is draining"])
        v1.release.set()
        assert client.getresponse().status == 200
        client.close()
        assert proxy.wait() == 0


def test_a_second_signal_exits_at_once(tmp_path: Path) -> None:
    with origin() as v1, running(config_for(v1.address, drain=Drain(0.0, 600.0)), tmp_path) as proxy:
        client = proxy.hold()
        until(lambda: v1.waiting == 1, "the request at v1")
        proxy.signal(signal.SIGINT)
        until(lambda: proxy.ready_status() == 503, "/ready to fail")
        workers = proxy.children()
        proxy.signal(signal.SIGTERM)
        assert proxy.wait() == 1
        assert not any(map(is_alive, workers))
        client.close()


def test_a_signal_while_starting_ends_the_start(tmp_path: Path) -> None:
    with origin() as v1, running(config_for(v1.address), tmp_path, ready=False) as proxy:
        until(lambda: proxy.children() or proxy.process.poll() is not None, "a worker to be spawned")
        proxy.signal(signal.SIGTERM)
        assert proxy.wait() == 0


def test_sigusr1_reopens_a_renamed_access_log(tmp_path: Path) -> None:
    log, old = tmp_path / "access.log", tmp_path / "access.log.1"
    with origin() as v1, running(config_for(v1.address, access_log=str(log)), tmp_path) as proxy:
        proxy.ask("/before")
        until(lambda: "/before" in log.read_text(), "the first line")
        log.rename(old)
        proxy.signal(signal.SIGUSR1)
        until(log.exists, "a new file")
        proxy.ask("/after")
        until(lambda: "/after" in log.read_text(), "the second line")
        assert "/after" not in old.read_text()


def _accepts(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), BOUND_S).close()
    except OSError:
        return False
    return True
