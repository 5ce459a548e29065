from __future__ import annotations

import socket
from dataclasses import replace
from pathlib import Path

import pytest

from mirror_proxy.config.model import Address, Admin, Destination, Listener, ListenerTls, Route, VirtualHost
from mirror_proxy.supervisor import banner
from tests.support.plane import cluster_at, free_port
from tests.support.running_proxy import config_for, running
from tests.support.threaded_origin import origin
from tests.support.waiting import until

pytestmark = pytest.mark.slow

HERE = Address("127.0.0.1", 1)
IN_USE = "the port is already in use; stop what uses it or choose another port"


def test_a_busy_listener_port_is_one_plain_line_and_exit_code_1(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0), reuse_port=True) as busy:
        address = Address(*busy.getsockname())
        with running(config_for(HERE, listeners=(Listener(address),)), tmp_path, ready=False) as proxy:
            assert proxy.wait() == 1
            [line] = proxy.stderr.splitlines()
            assert line.endswith(f' ERROR supervisor proxy cannot start error="listener {address}: {IN_USE}"')


def test_a_busy_admin_port_is_one_plain_line_and_exit_code_1(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as busy:
        address = Address(*busy.getsockname())
        with running(config_for(HERE, admin=Admin(address)), tmp_path, ready=False) as proxy:
            assert proxy.wait() == 1
            [line] = proxy.stderr.splitlines()
            assert line.endswith(f' ERROR supervisor proxy cannot start error="admin {address}: {IN_USE}"')


def test_a_worker_that_cannot_start_says_why_and_ends_the_start(tmp_path: Path) -> None:
    missing = str(tmp_path / "missing.pem")
    listener = Listener(Address("127.0.0.1", free_port()), ListenerTls(missing, missing))
    with running(config_for(HERE, listeners=(listener,)), tmp_path, ready=False) as proxy:
        assert proxy.wait() == 1
        assert 'ERROR supervisor proxy cannot start error="worker 0 did not start: ' in proxy.stderr
        assert "No such file" in proxy.stderr
        assert "Traceback" not in proxy.stderr


def test_a_mark_key_file_that_is_too_short_is_refused(tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_bytes(b"short\n")
    with running(config_for(HERE, mark_key_file=str(key)), tmp_path, ready=False) as proxy:
        assert proxy.wait() == 1
        said = f'error="mark key file {key}: 5 bytes are too few; use at least 16"\n'
        assert proxy.stderr.endswith(f" ERROR supervisor proxy cannot start {said}")


def test_an_unreachable_primary_is_a_warning(tmp_path: Path) -> None:
    nobody = Address("127.0.0.1", free_port())
    with running(config_for(nobody), tmp_path) as proxy:
        until(lambda: "WARNING supervisor primary" in proxy.stderr, "the warning")
        assert f'primary=http://{nobody} error="Connection refused"' in proxy.stderr
        assert proxy.ask()[0] == 503


def test_port_0_is_one_free_port_for_all_workers(tmp_path: Path) -> None:
    anywhere = (Listener(Address("127.0.0.1", 0)), Listener(Address("::1", 0)))
    with origin() as v1, running(config_for(v1.address, listeners=anywhere, workers=2), tmp_path) as proxy:
        four, six = proxy.admin_json("/server_info")["listeners"]
        for host, port in (("127.0.0.1", four.rpartition(":")[2]), ("::1", six.rpartition(":")[2])):
            with socket.create_connection((host, int(port))) as client:
                client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
                assert client.makefile("rb").readline() == b"HTTP/1.1 200 OK\r\n"
        assert six.startswith("[::1]:")


def test_the_banner_names_every_address_and_share() -> None:
    config = config_for(HERE, mirror=Address("v2", 80))
    listener = config.settings.listeners[0].address
    text = list(map(str, banner.lines(config, "1.0", [listener], Address("::1", 9901))))
    assert text == [
        "mirror-proxy version=1.0",
        f"listening address=http://{listener}",
        "primary address=http://127.0.0.1:1",
        "mirror name=mirror address=http://v2:80 percent=100 methods=all",
        "admin address=http://[::1]:9901",
    ]


def test_the_banner_of_a_mesh_stays_short() -> None:
    config = config_for(HERE)
    ports = range(1, 101)
    clusters = tuple(cluster_at(f"c{port}", Address("v1", port)) for port in ports)
    routes = tuple(Route(f"r{port}", (Destination("v1", f"c{port}"),)) for port in ports for _ in range(2))
    config = replace(config, clusters=clusters, virtual_hosts=(VirtualHost("any", ("*",), routes),))
    listener = config.settings.listeners[0].address
    text = list(map(str, banner.lines(config, "1.0", [listener], HERE)))
    assert text[2:4] == ["primary address=http://v1:1", "primary address=http://v1:2"]
    assert text[-2] == "more primaries and mirrors, see mirror-proxy check number=80"
    assert len(text) == 24


async def test_a_reachable_primary_and_a_mirror_that_is_not_are_not_warned_of(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with origin() as v1:
        await banner.warn_of_unreachable_primaries(config_for(v1.address, mirror=HERE))
    assert caplog.records == []


async def test_a_name_that_does_not_resolve_is_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    await banner.warn_of_unreachable_primaries(config_for(Address("nowhere.invalid", 80)))
    assert "primary=http://nowhere.invalid:80" in caplog.text


async def test_a_primary_without_endpoints_is_told_of_and_not_tried(caplog: pytest.LogCaptureFixture) -> None:
    config = config_for(HERE)
    config = replace(config, clusters=(replace(config.clusters[0], host="shop", endpoints=()),))

    listening = [listener.address for listener in config.settings.listeners]
    lines = list(map(str, banner.lines(config, "1.0", listening, HERE)))
    await banner.warn_of_unreachable_primaries(config)

    assert 'primary address="nowhere (shop has no endpoints)"' in lines
    assert caplog.text == ""
