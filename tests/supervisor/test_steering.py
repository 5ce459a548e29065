"""Weights are changed while the proxy runs: in every worker when the call returns, and for as long as was asked."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mirror_proxy.config.model import Address, Config, Destination, Limits, Route, VirtualHost
from tests.support.plane import cluster_at
from tests.support.running_proxy import RunningProxy, config_for, running
from tests.support.threaded_origin import origin
from tests.support.traffic import traffic
from tests.support.waiting import until

pytestmark = pytest.mark.slow

BLUE, GREEN = {"shop/v1": 100, "shop/v2": 0}, {"shop/v1": 0, "shop/v2": 100}


@contextmanager
def blue_green(folder: Path, **settings: Any) -> Iterator[RunningProxy]:
    """Run a proxy in front of two versions that answer with their names; v1 has all requests."""
    with (
        origin(b"v1") as v1,
        origin(b"v2") as v2,
        running(split(v1.address, v2.address, **settings), folder) as proxy,
    ):
        yield proxy


def split(v1: Address, v2: Address, **settings: Any) -> Config:
    destinations = (Destination("shop/v1", "c1", 100), Destination("shop/v2", "c2", 0))
    return replace(
        config_for(v1, **settings),
        clusters=(cluster_at("c1", v1), cluster_at("c2", v2)),
        virtual_hosts=(VirtualHost("v", ("*",), (Route("shop", destinations),)),),
    )


def steer(proxy: RunningProxy, weights: dict[str, int], **more: object) -> list[int]:
    status, answer = proxy.change("PATCH", "/routes", {"route": "shop", "weights": weights, **more})
    assert status == 200, answer
    return [one["weight"] for one in answer["routes"][0]["destinations"]]


def test_no_request_that_begins_after_a_cutover_is_served_by_the_other_side(tmp_path: Path) -> None:
    with blue_green(tmp_path, workers=2) as proxy:
        with traffic(proxy.config.settings.listeners[0].address, clients=6) as clients:
            for name, weights in (("v2", GREEN), ("v1", BLUE)) * 3:
                clients.wait_for(60)
                steer(proxy, weights)
                returned = time.monotonic()
                clients.wait_for(60)
                assert set(clients.since(returned)) == {name}
        assert {asked.answer for asked in clients.asked} == {"v1", "v2"}


def test_those_that_are_not_named_keep_their_weights(tmp_path: Path) -> None:
    with blue_green(tmp_path) as proxy:
        assert steer(proxy, {"shop/v2": 50}) == [100, 50]
        assert steer(proxy, {"shop/v1": 0}) == [0, 50]
        assert [proxy.ask() for _ in range(5)] == [(200, "v2")] * 5


def test_what_does_not_exist_or_leaves_nothing_is_refused(tmp_path: Path) -> None:
    with blue_green(tmp_path) as proxy:
        for body, answer in (
            (
                {"route": "shpo", "weights": GREEN},
                {"error": 'there is no route "shpo"; did you mean "shop"?', "routes": ["shop"]},
            ),
            (
                {"route": "shop", "weights": {"shop/v3": 1}},
                {
                    "error": 'the route "shop" has no destination "shop/v3"; did you mean "shop/v2"?',
                    "destinations": ["shop/v1", "shop/v2"],
                },
            ),
            (
                {"route": "shop", "weights": {"shop/v1": 0}},
                {"error": "total destination weight = 0", "destinations": ["shop/v1", "shop/v2"]},
            ),
        ):
            assert proxy.change("PATCH", "/routes", body) == (422, answer)
        assert proxy.ask() == (200, "v1")


def test_an_override_outlives_reloads_rolled_workers_and_workers_that_die(tmp_path: Path) -> None:
    with blue_green(tmp_path, workers=2) as proxy:
        steer(proxy, GREEN)
        [host] = proxy.config.virtual_hosts
        routes = (replace(host.routes[0], timeout_s=9.0),)
        reloaded = replace(proxy.config, virtual_hosts=(replace(host, routes=routes),))
        rolled = replace(reloaded, settings=replace(reloaded.settings, limits=Limits(max_headers=50)))
        for config in (reloaded, rolled):
            proxy.reload(config)
            assert [proxy.ask() for _ in range(6)] == [(200, "v2")] * 6
        proxy.wait_logged('override stays in force, whatever the files say route=shop weights="shop/v1=0,')
        for row in proxy.workers():
            os.kill(row["pid"], signal.SIGKILL)
        until(lambda: len(proxy.workers()) == 2 and proxy.metric("worker_restarts_total") == 2, "successors")
        assert [proxy.ask() for _ in range(6)] == [(200, "v2")] * 6


def test_an_override_of_what_is_gone_is_dropped_and_said(tmp_path: Path) -> None:
    with blue_green(tmp_path) as proxy:
        steer(proxy, GREEN)
        [host] = proxy.config.virtual_hosts
        destinations = (host.routes[0].destinations[0], Destination("shop/v3", "c2"))
        routes = (replace(host.routes[0], destinations=destinations),)
        proxy.write(replace(proxy.config, virtual_hosts=(replace(host, routes=routes),)))
        assert proxy.change("POST", "/reload")[0] == 200
        [row] = proxy.admin_json("/routes")["routes"]
        assert not row["overridden"]
        proxy.wait_logged("override is removed, its target is not configured any more route=shop ")


def test_an_override_ends_at_its_time(tmp_path: Path) -> None:
    with blue_green(tmp_path, workers=2) as proxy:
        assert steer(proxy, GREEN, ttl="500ms") == [0, 100]
        until(lambda: not proxy.admin_json("/routes")["routes"][0]["overridden"], "the end")
        proxy.wait_logged("override has expired route=shop ")
        assert [proxy.ask() for _ in range(6)] == [(200, "v1")] * 6


def test_a_worker_that_does_not_obey_is_replaced_by_one_that_does(tmp_path: Path) -> None:
    with blue_green(tmp_path, workers=2) as proxy:
        deaf = proxy.workers()[0]["pid"]
        os.kill(deaf, signal.SIGSTOP)
        steer(proxy, GREEN)
        assert deaf not in proxy.children()
        until(lambda: len(proxy.workers()) == 2, "a successor")
        assert [proxy.ask() for _ in range(6)] == [(200, "v2")] * 6
