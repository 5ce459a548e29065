"""What the processes of a running proxy log, and that nobody has to read it."""

from __future__ import annotations

import fcntl
import json
import os
import pickle
import signal
import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mirror_proxy.config.model import Address, Compare, Config, Log, Share
from tests.support.plane import free_port
from tests.support.running_proxy import RunningProxy, config_for, is_alive, running
from tests.support.threaded_origin import origin
from tests.support.waiting import until

pytestmark = pytest.mark.slow

PIPE_BYTES = 4096


@pytest.fixture
def full_pipe() -> Iterator[int]:
    """Give the end of a pipe of one page that is full and that nobody reads."""
    reading, writing = os.pipe()
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
    os.write(writing, b"x" * PIPE_BYTES)
    yield writing
    os.close(writing)
    os.close(reading)


class Refused:
    """A configuration that cannot be loaded, for so many reasons."""

    def __init__(self, problems: int) -> None:
        self._problems = problems

    def __reduce__(self) -> tuple[Any, ...]:
        return eval, (f"(_ for _ in ()).throw(ValueError('a problem of this line\\n' * {self._problems}))",)


def test_with_a_standard_error_that_nobody_reads_clients_are_served_and_workers_replaced(
    tmp_path: Path, full_pipe: int
) -> None:
    with origin() as v1:
        config = config_for(v1.address, mirror=Address("127.0.0.1", free_port()), workers=2)
        with running(config, tmp_path, heartbeat_s=3.0, stderr=full_pipe) as proxy:
            proxy.write(pickle.dumps(Refused(5_000)))
            assert proxy.change("POST", "/reload")[0] == 422
            for _ in range(20):  # of which each fails at the mirror, and the workers log that
                assert proxy.ask() == (200, "ok")
            lost = proxy.workers()[0]["pid"]
            os.kill(lost, signal.SIGKILL)
            until(
                lambda: len(proxy.workers()) == 2 and proxy.workers()[0]["pid"] != lost,
                "the worker to be replaced",
            )
            for _ in range(20):
                assert proxy.ask() == (200, "ok")
            assert proxy.ask_admin("/healthz") == (200, "ok\n")
            assert proxy.metric("worker_restarts_total", reason="hung") == 0
            assert proxy.metric("log_dropped_total") > 1_000
            workers = proxy.children()
            proxy.signal(signal.SIGTERM)
            assert proxy.wait() == 0
            assert not any(map(is_alive, workers))


def test_a_start_that_fails_ends_though_nobody_reads_why(tmp_path: Path, full_pipe: int) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        config = config_for(Address("127.0.0.1", 1), metrics=Address(*taken.getsockname()))
        with running(config, tmp_path, ready=False, stderr=full_pipe) as proxy:
            assert proxy.wait() == 1


def test_warnings_of_files_hold_up_no_start_when_nobody_reads_them(tmp_path: Path, full_pipe: int) -> None:
    with origin() as v1:
        config = config_for(v1.address)
        file = tmp_path / "shop.yaml"
        file.write_text(_with_warnings(config, v1.address))
        with running(config, tmp_path, files=(file,), stderr=full_pipe) as proxy:
            assert proxy.ask() == (200, "ok")


def _with_warnings(config: Config, primary: Address) -> str:
    """Write a route with a snake_case field, which is warned of."""
    settings = config.settings
    return f"""
apiVersion: mirror-proxy.dev/v1
kind: MirrorProxy
metadata: {{name: shop}}
spec:
  listeners: [{{address: "{settings.listeners[0].address}"}}]
  admin: {{address: "{settings.admin.address}"}}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: shop}}
spec:
  hosts: ["{primary.host}"]
  http:
  - route:
    - destination: {{host: "{primary.host}", port: {{number: {primary.port}}}}}
    mirror_percentage: {{value: 0}}
    mirror: {{host: "{primary.host}", port: {{number: {primary.port}}}}}
"""


def test_warnings_of_files_are_lines_of_the_log(tmp_path: Path) -> None:
    with origin() as v1:
        config = config_for(v1.address)
        file = tmp_path / "shop.yaml"
        file.write_text(_with_warnings(config, v1.address))
        with running(config, tmp_path, files=(file,)) as proxy:
            proxy.wait_logged(f'Z WARNING supervisor configuration has a warning problem="{file}:')


def compared(folder: Path, primary: Address, **settings: Any) -> Config:
    compare = Compare(share=Share(100), store=f"sqlite:///{folder}/store.db")
    return config_for(primary, mirror=Address("127.0.0.1", free_port()), compare=compare, **settings)


def processes(lines: list[str]) -> set[str]:
    return {line.split()[2] for line in lines}


def set_level(proxy: RunningProxy, level: str) -> Any:
    status, answer = proxy.change("POST", f"/logging?level={level}")
    assert status == 200
    return answer


def test_a_level_that_is_changed_holds_in_every_process_and_its_successors(tmp_path: Path) -> None:
    with origin() as v1, running(compared(tmp_path, v1.address, workers=2), tmp_path) as proxy:
        comparer = until(lambda: proxy.admin_json("/server_info").get("comparer"), "a comparer")["pid"]
        assert proxy.admin_json("/logging") == {"level": "info", "file_level": "info", "format": "text"}
        assert set_level(proxy, "debug") == {"level": "debug", "file_level": "info", "format": "text"}
        names = {"supervisor", "worker-0", "worker-1", "comparer"}
        told = " log level is set to=debug"
        until(
            lambda: processes([line for line in proxy.stderr.splitlines() if told in line]) == names,
            "each process to say so",
        )
        for pid in (comparer, *(row["pid"] for row in proxy.workers())):
            os.kill(pid, signal.SIGKILL)
        until(lambda: proxy.stderr.count("worker is ready generation=1") == 2, "both successors")
        until(
            lambda: proxy.admin_json("/server_info").get("comparer", {"pid": comparer})["pid"] != comparer,
            "it",
        )
        pid = proxy.admin_json("/server_info")["comparer"]["pid"]
        assert b"--log-level\0debug\0" in Path(f"/proc/{pid}/cmdline").read_bytes()


def test_a_level_that_is_set_live_outlives_reloads_and_the_form_is_the_files(tmp_path: Path) -> None:
    with origin() as v1, running(config_for(v1.address), tmp_path) as proxy:
        settings = replace(proxy.config.settings, log=Log("json", "error"))
        set_level(proxy, "debug")
        proxy.write(replace(proxy.config, settings=settings))
        assert proxy.change("POST", "/reload")[0] == 200
        assert proxy.admin_json("/logging") == {"level": "debug", "file_level": "error", "format": "json"}
        proxy.wait_logged('"message":"configuration is reloaded","generation":2}')
        os.kill(proxy.workers()[0]["pid"], signal.SIGKILL)
        proxy.wait_logged('"level":"debug","process":"worker-0","pid":', '"message":"worker is ready"')


def test_a_reload_changes_the_level_that_nobody_set_live(tmp_path: Path) -> None:
    with origin() as v1, running(config_for(v1.address), tmp_path) as proxy:
        settings = replace(proxy.config.settings, log=Log("text", "debug"))
        proxy.write(replace(proxy.config, settings=settings))
        assert proxy.change("POST", "/reload")[0] == 200
        assert proxy.admin_json("/logging")["level"] == "debug"
        proxy.wait_logged("DEBUG worker-0 log level is set to=debug")


def test_with_json_every_line_of_every_process_is_an_object(tmp_path: Path) -> None:
    with (
        origin() as v1,
        running(compared(tmp_path, v1.address, log=Log("json", "debug")), tmp_path) as proxy,
    ):
        assert proxy.ask() == (200, "ok")
        proxy.wait_logged('"mirror failed"')
        set_level(proxy, "debug")
        proxy.wait_logged('"process":"comparer"')
        proxy.signal(signal.SIGTERM)
        assert proxy.wait() == 0
        lines = [json.loads(line) for line in proxy.stderr.splitlines()]
    assert {line["process"] for line in lines} == {"supervisor", "worker-0", "comparer"}
    assert all({"time", "level", "process", "pid", "message"} <= line.keys() for line in lines)


def test_requests_that_the_admin_server_cannot_read_are_few_lines_and_a_count(tmp_path: Path) -> None:
    with origin() as v1, running(config_for(v1.address), tmp_path) as proxy:
        address = proxy.config.settings.admin.address
        for _ in range(50):
            with socket.create_connection((address.host, address.port)) as client:
                client.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\x1b[2Jno colon\r\n\r\n")
                assert client.recv(12).endswith(b" 400")
        proxy.signal(signal.SIGTERM)
        assert proxy.wait() == 0
        said = proxy.stderr
    assert said.count("ERROR supervisor admin request failed error=") == 5
    assert 'log lines were left out like="admin request failed" left_out=45 ' in said
    assert "Traceback" not in said
    assert "\x1b" not in said
    assert all(line.startswith("20") for line in said.splitlines()), "each line begins with its time"
