"""A proxy of many routes and mirrors: what is made of all of them holds nobody who asks for something else."""

from __future__ import annotations

import select
import socket
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace

import pytest

from mirror_proxy.config.model import Destination, Match, MirrorPolicy, Route, StringMatch, VirtualHost
from tests.support.plane import cluster_at
from tests.support.running_proxy import RunningProxy, config_for, running
from tests.support.threaded_origin import origin
from tests.support.waiting import until

pytestmark = pytest.mark.slow

COUNT = 500


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningProxy]:
    with origin() as primary:
        routes = tuple(
            Route(
                f"r{number}",
                (Destination("p", "p"),),
                (MirrorPolicy(f"r{number}/m", "p"),),
                matches=(Match(path=StringMatch("prefix", f"/{number}/")),),
            )
            for number in range(COUNT)
        )
        config = replace(
            config_for(primary.address, workers=2),
            clusters=(cluster_at("p", primary.address),),
            virtual_hosts=(VirtualHost("v", ("*",), routes),),
        )
        with running(config, tmp_path_factory.mktemp("proxy")) as one:
            yield one


@pytest.mark.parametrize("path", ["/metrics", "/mirrors", "/config_dump", "/"])
def test_a_probe_is_answered_while_something_is_made_of_all_routes(proxy: RunningProxy, path: str) -> None:
    address = proxy.config.settings.admin.address
    with closing(socket.create_connection((address.host, address.port))) as slow:
        slow.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
        answered = 0
        while not select.select([slow], [], [], 0)[0]:
            assert proxy.ask_admin("/healthz") == (200, "ok\n")
            answered += 1
        assert answered > 1
        with slow.makefile("rb") as answer:
            head, _, body = answer.read().partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 ")
    assert len(body) == int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])


def test_the_kill_switch_does_not_wait_for_a_scrape(proxy: RunningProxy) -> None:
    address = proxy.config.settings.admin.address
    with closing(socket.create_connection((address.host, address.port))) as scrape:
        scrape.sendall(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        status, found = proxy.change("PATCH", "/mirrors", {"paused": True})
        assert status == 200
        assert found["all_paused"]
        assert len(found["mirrors"]) == COUNT
        assert all(row["paused"] for row in found["mirrors"])
        scrape.recv(1)
    assert proxy.change("PATCH", "/mirrors", {"paused": False})[0] == 200


def test_what_workers_have_counted_is_whole_though_it_comes_in_parts(proxy: RunningProxy) -> None:
    asked = proxy.metric("requests_total")
    for number in (0, 1, COUNT // 2, COUNT - 1):
        assert proxy.ask(f"/{number}/x")[0] == 200
    until(lambda: proxy.metric("requests_total") == asked + 4, "all requests to be counted")
    assert proxy.metric("mirror_percent") == 100 * COUNT
    assert {row["name"] for row in proxy.admin_json("/mirrors")["mirrors"]} == {
        f"r{n}/m" for n in range(COUNT)
    }
