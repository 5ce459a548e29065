"""Clients of the admin server, however many and slow, neither keep a worker from being replaced nor others out."""

from __future__ import annotations

import os
import signal
import socket
from contextlib import ExitStack
from pathlib import Path

import pytest

from mirror_proxy.config.model import Address
from tests.support.plane import free_port
from tests.support.running_proxy import RunningProxy, config_for, running
from tests.support.threaded_origin import origin
from tests.support.waiting import until

pytestmark = pytest.mark.slow

MANY = 400


@pytest.mark.parametrize("descriptors", [128, 1024])
def test_held_admin_connections_do_not_keep_a_worker_from_being_replaced(
    tmp_path: Path, descriptors: int
) -> None:
    with origin() as primary, ExitStack() as held:
        metrics = Address("127.0.0.1", free_port())
        config = config_for(primary.address, workers=2, metrics=metrics)
        with running(config, tmp_path, descriptors=descriptors) as proxy:
            pids = [row["pid"] for row in proxy.workers()]
            for address in (config.settings.admin.address, metrics):
                for _ in range(MANY // 2):
                    client = held.enter_context(socket.create_connection((address.host, address.port)))
                    client.sendall(b"GET /metrics HTTP/1.1\r\nHost: loc")
            os.kill(pids[0], signal.SIGKILL)
            until(lambda: has_replaced(proxy, *pids), "another worker")
            assert proxy.ask()[0] == 200
            assert proxy.metric("admin_connections_ended_total", reason="over_limit") > MANY // 2
            assert proxy.metric("admin_connections_active") <= 128
            assert "cannot be spawned" not in proxy.stderr


def has_replaced(proxy: RunningProxy, killed: int, other: int) -> bool:
    pids = [row["pid"] for row in proxy.workers()]
    return len(pids) == 2 and killed not in pids and other in pids


def test_clients_that_read_no_metrics_do_not_keep_a_probe_out(tmp_path: Path) -> None:
    with origin() as primary, ExitStack() as held:
        config = config_for(primary.address)
        address = config.settings.admin.address
        with running(config, tmp_path) as proxy:
            for _ in range(200):
                client = held.enter_context(socket.create_connection((address.host, address.port)))
                client.sendall(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")
                assert proxy.ask_admin("/healthz") == (200, "ok\n")
