from __future__ import annotations

import http.client
import os
import signal
import socket
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from mirror_proxy.config.model import Address, Listener
from tests.support.running_proxy import config_for, is_alive, running
from tests.support.threaded_origin import origin
from tests.support.waiting import until

pytestmark = pytest.mark.slow


def test_all_workers_together_answer_for_what_each_has_served(tmp_path: Path) -> None:
    with (
        origin() as v1,
        origin() as v2,
        running(config_for(v1.address, mirror=v2.address, workers=2), tmp_path) as proxy,
    ):
        for _ in range(20):
            assert proxy.ask() == (200, "ok")
        until(lambda: proxy.metric("mirror_requests_total", outcome="completed") == 20, "20 shadows")
        assert proxy.metric("requests_total", code="200") == 20
        assert proxy.metric("workers") == 2
        assert proxy.metric("config_generation") == 1
        [mirror] = proxy.admin_json("/mirrors")["mirrors"]
        assert mirror["outcomes"] == {"completed": 20}
        assert mirror["percent"] == 100


def test_a_worker_that_dies_is_replaced_on_its_socket_and_its_counts_are_kept(tmp_path: Path) -> None:
    with origin() as v1, running(config_for(v1.address, workers=2), tmp_path) as proxy:
        for _ in range(20):
            proxy.ask()
        assert proxy.metric("requests_total") == 20
        lost, other = proxy.workers()
        os.kill(lost["pid"], signal.SIGKILL)

        def is_replaced() -> bool:
            pids = [worker["pid"] for worker in proxy.workers()]
            return len(pids) == 2 and lost["pid"] not in pids

        until(is_replaced, "a replacement")
        assert proxy.workers()[1]["pid"] == other["pid"]
        assert proxy.metric("requests_total") == 20
        assert proxy.metric("worker_restarts_total", reason="died") == 1
        for _ in range(20):
            assert proxy.ask() == (200, "ok")
        assert proxy.metric("requests_total") == 40
        said = f'worker=0 worker_pid={lost["pid"]} exit="was killed by SIGKILL"'
        proxy.wait_logged(f"ERROR supervisor worker is gone, replacing it {said}")


def test_a_worker_that_stops_answering_is_killed_and_replaced(tmp_path: Path) -> None:
    with origin() as v1, running(config_for(v1.address), tmp_path, heartbeat_s=2.0) as proxy:
        [hung] = proxy.workers()
        os.kill(hung["pid"], signal.SIGSTOP)
        until(lambda: proxy.metric("worker_restarts_total", reason="hung") == 1, "the hang to be seen")
        until(lambda: proxy.ready_status() == 200, "a replacement")
        assert not is_alive(hung["pid"])
        assert proxy.ask() == (200, "ok")
        proxy.wait_logged(f"worker does not answer, killing it worker=0 worker_pid={hung['pid']} silent_s=2")


def test_a_container_that_was_frozen_wakes_up_with_its_workers(tmp_path: Path) -> None:
    with origin() as v1, running(config_for(v1.address), tmp_path, heartbeat_s=3.0) as proxy:
        before = proxy.children()
        for pid in (*before, proxy.process.pid):
            os.kill(pid, signal.SIGSTOP)
        _wait_for_silence(proxy.process.pid, seconds=4.0)
        proxy.signal(signal.SIGCONT)
        until(lambda: proxy.ready_status() == 200, "the supervisor to wake")
        for pid in before:
            os.kill(pid, signal.SIGCONT)
        assert proxy.ask() == (200, "ok")
        assert proxy.children() == before
        assert proxy.metric("worker_restarts_total") == 0


def test_a_worker_that_cannot_come_back_is_tried_with_growing_pauses(tmp_path: Path) -> None:
    folder = tmp_path / "logs"
    folder.mkdir()
    with origin() as v1, running(config_for(v1.address, access_log=str(folder / "log")), tmp_path) as proxy:
        folder.rename(tmp_path / "moved")
        os.kill(proxy.children()[0], signal.SIGKILL)
        proxy.wait_logged("retry_s=0.4")
        assert proxy.ready_status() == 503
        why = 'error="worker 0 did not start: [Errno 2] No such file or directory: '
        proxy.wait_logged(f"ERROR supervisor worker cannot be started, retrying {why}")
        folder.mkdir()
        until(lambda: proxy.ready_status() == 200, "a replacement")
        assert proxy.ask() == (200, "ok")
        assert proxy.metric("worker_restarts_total") == 1


def test_shadows_of_a_dead_worker_are_counted_as_reset(tmp_path: Path) -> None:
    with (
        origin() as v1,
        origin() as v2,
        running(config_for(v1.address, mirror=v2.address), tmp_path) as proxy,
    ):
        v1.release.set()
        proxy.ask()
        until(lambda: proxy.metric("mirror_requests_total", outcome="completed") == 1, "a complete shadow")
        assert proxy.ask("/held") == (200, "ok")
        until(lambda: v2.waiting == 1, "the shadow at v2")
        assert proxy.metric("mirror_in_flight") == 1
        assert proxy.metric("mirror_requests_total") == 1
        os.kill(proxy.workers()[0]["pid"], signal.SIGKILL)
        until(lambda: proxy.metric("mirror_requests_total", outcome="reset") == 1, "the lost shadow")
        assert proxy.metric("mirror_in_flight") == 0
        assert proxy.metric("mirror_requests_total") == 2


def test_workers_whose_supervisor_dies_finish_what_they_have_and_leave(tmp_path: Path) -> None:
    with origin() as v1, running(config_for(v1.address, workers=2), tmp_path) as proxy:
        client = proxy.hold()
        until(lambda: v1.waiting == 1, "the request at v1")
        workers = proxy.children()
        proxy.signal(signal.SIGKILL)
        until(lambda: sum(map(is_alive, workers)) == 1, "the idle worker to leave")
        v1.release.set()
        answer = client.getresponse()
        assert (answer.status, answer.read()) == (200, b"ok")
        client.close()
        until(lambda: not any(map(is_alive, workers)), "the busy worker to leave")


def test_a_worker_inherits_nothing_but_its_sockets_and_its_pipe(tmp_path: Path) -> None:
    with origin() as v1, running(config_for(v1.address, workers=2), tmp_path) as proxy:
        for row in proxy.workers():
            shared = _sockets(row["pid"]) & _sockets(proxy.process.pid)
            assert len(shared) == 1, "the listener's socket, and not a neighbour's"


def test_signals_that_reach_the_whole_group_do_not_end_a_worker(tmp_path: Path) -> None:
    with origin() as v1, running(config_for(v1.address), tmp_path) as proxy:
        [worker] = proxy.workers()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1):
            os.kill(worker["pid"], number)
        assert proxy.ask() == (200, "ok")
        assert [row["pid"] for row in proxy.workers()] == [worker["pid"]]


def _sockets(pid: int) -> set[str]:
    links = set()
    for path in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):  # closed meanwhile
            links.add(str(path.readlink()))
    return {link for link in links if link.startswith("socket:")}


def _wait_for_silence(pid: int, *, seconds: float) -> None:
    """Wait for `seconds` in which `pid` lives but says nothing: a heartbeat's absence takes its time."""
    start = time.monotonic()
    until(lambda: is_alive(pid) and time.monotonic() - start > seconds, f"{seconds} s to pass")


def test_unix_listener_is_shared_by_all_workers_and_kept_by_a_reload(tmp_path: Path) -> None:
    path = tmp_path / "proxy.sock"
    with origin() as v1:
        config = config_for(v1.address, workers=2, listeners=(Listener(Address(str(path), 0)),))
        with running(config, tmp_path) as proxy:
            assert proxy.admin_json("/server_info")["listeners"] == [f"unix://{path}"]
            assert [ask_unix(path) for _ in range(20)] == [200] * 20
            proxy.reload(replace(config, settings=replace(config.settings, workers=1)))
            assert ask_unix(path) == 200
            assert proxy.metric("requests_total", code="200") == 21
            proxy.signal(signal.SIGTERM)
            assert proxy.wait() == 0
    assert not path.exists()


def ask_unix(path: Path) -> int:
    with socket.socket(socket.AF_UNIX) as raw:
        raw.connect(str(path))
        raw.sendall(b"GET / HTTP/1.1\r\nhost: shop\r\nconnection: close\r\n\r\n")
        response = http.client.HTTPResponse(raw)
        response.begin()
        return response.status
