"""Mirrors are steered while the proxy runs: in every worker when the call returns, and for as long as was asked."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from mirror_proxy.config.model import Address, Config, Limits, MirrorPolicy
from tests.support.plane import free_port
from tests.support.running_proxy import RunningProxy, config_for, running
from tests.support.threaded_origin import ThreadedOrigin, origin
from tests.support.traffic import Traffic, traffic
from tests.support.waiting import until

pytestmark = pytest.mark.slow


@contextmanager
def mirrored(folder: Path, *mirrors: MirrorPolicy, **settings: Any) -> Iterator[RunningProxy]:
    """Run a proxy whose mirrors, or the one called `mirror`, all ask the same v2."""
    with origin(b"v1") as v1, origin(b"v2") as v2:
        config = with_mirrors(config_for(v1.address, mirror=v2.address, **settings), *mirrors)
        with running(config, folder) as proxy:
            yield proxy


def with_mirrors(config: Config, *mirrors: MirrorPolicy) -> Config:
    [host] = config.virtual_hosts
    route = replace(host.routes[0], mirrors=mirrors or host.routes[0].mirrors)
    return replace(config, virtual_hosts=(replace(host, routes=(route,)),))


def steer(proxy: RunningProxy, **body: object) -> dict[str, Any]:
    status, answer = proxy.change("PATCH", "/mirrors", body)
    assert status == 200, answer
    rows: dict[str, Any] = {row["name"]: row for row in answer["mirrors"]}
    return rows


def row_of(proxy: RunningProxy, name: str = "mirror") -> dict[str, Any]:
    [row] = [row for row in proxy.admin_json("/mirrors")["mirrors"] if row["name"] == name]
    found: dict[str, Any] = row
    return found


def outcomes(proxy: RunningProxy, name: str = "mirror") -> dict[str, float]:
    """Give what became of all requests so far; those that are under way end first."""
    until(lambda: not row_of(proxy, name)["in_flight"], "copies to end")
    found: dict[str, float] = row_of(proxy, name)["outcomes"]
    return found


class Watched:
    """A proxy of two workers under traffic, all of it mirrored at first; who was copied comes out at the end."""

    def __init__(self, proxy: RunningProxy, clients: Traffic, v2: ThreadedOrigin) -> None:
        self.proxy = proxy
        self._clients = clients
        self._v2 = v2
        self._periods: list[tuple[dict[str, object], str, set[float]]] = []

    def steer(self, expected: str, **body: object) -> None:
        """Change something, and note who asked after that and before the next change: all count as `expected`."""
        self._clients.wait_for(30)
        steer(self.proxy, **body)
        returned = time.monotonic()
        self._clients.wait_for(60)
        asked = {one.began for one in tuple(self._clients.asked) if one.began >= returned}
        self._periods.append((body, expected, asked))

    def check(self) -> None:
        """Every request has been on the side where it had to be, and counts as that."""
        counts, at_v2 = outcomes(self.proxy), set(self._v2.began)
        for body, expected, asked in self._periods:
            assert asked
            if expected == "completed":
                assert asked <= at_v2, body
            else:
                assert asked.isdisjoint(at_v2), body
        for name in {expected for _, expected, _ in self._periods}:
            assert counts[name] >= sum(len(asked) for _, expected, asked in self._periods if expected == name)
        assert sum(counts.values()) == len(self._clients.asked)
        assert counts["completed"] == len(at_v2)


@contextmanager
def watched(folder: Path) -> Iterator[Watched]:
    with (
        origin(b"v1") as v1,
        origin(b"v2") as v2,
        running(config_for(v1.address, mirror=v2.address, workers=2), folder) as proxy,
    ):
        with traffic(proxy.config.settings.listeners[0].address, clients=6) as clients:
            made = Watched(proxy, clients, v2)
            yield made
        assert {one.answer for one in clients.asked} == {"v1"}
        made.check()


def test_no_request_that_begins_after_a_change_is_on_the_side_of_what_held_before(tmp_path: Path) -> None:
    with watched(tmp_path) as proxy:
        for _ in range(2):
            proxy.steer("disabled", mirror="mirror", percent=0)
            proxy.steer("completed", mirror="mirror", percent=100)
            proxy.steer("paused", mirror="mirror", paused=True)
            proxy.steer("disabled", mirror="mirror", percent=0)
            proxy.steer("disabled", mirror="mirror", paused=False)
            proxy.steer("completed", mirror="mirror", percent=None)


def test_the_kill_switch_stops_every_copy_before_the_call_returns(tmp_path: Path) -> None:
    with watched(tmp_path) as proxy:
        for _ in range(3):
            proxy.steer("paused", paused=True)
            proxy.steer("completed", paused=False)


def test_a_pause_ends_at_its_time_and_so_does_a_percent(tmp_path: Path) -> None:
    with mirrored(tmp_path, workers=2) as proxy:
        for body, said in (
            ({"mirror": "mirror", "percent": 0, "ttl": "500ms"}, "mirror=mirror percent=0"),
            ({"mirror": "mirror", "paused": True, "ttl": "500ms"}, "mirror=mirror paused=true"),
            ({"paused": True, "ttl": "500ms"}, "mirror=all paused=true"),
        ):
            steer(proxy, **body)
            proxy.wait_logged(f"override has expired {said}")
            row = row_of(proxy)
            assert [row["percent"], row["paused"], "ends_in_s" in row] == [100, False, False]
            before = outcomes(proxy).get("completed", 0)
            for _ in range(6):
                proxy.ask()
            assert outcomes(proxy)["completed"] == before + 6


def test_a_row_says_when_it_will_stand_otherwise(tmp_path: Path) -> None:
    with mirrored(tmp_path) as proxy:
        steer(proxy, mirror="mirror", percent=5, ttl="1h")
        assert 3500 < row_of(proxy)["ends_in_s"] <= 3600
        steer(proxy, mirror="mirror", paused=True, ttl="10m")
        assert 500 < row_of(proxy)["ends_in_s"] <= 600
        steer(proxy, paused=True, ttl="20m")
        assert 1100 < row_of(proxy)["ends_in_s"] <= 1200
        steer(proxy, paused=True)
        assert "ends_in_s" not in row_of(proxy)
        steer(proxy, paused=False)
        assert 500 < row_of(proxy)["ends_in_s"] <= 600


def test_what_was_steered_outlives_reloads_rolled_workers_and_workers_that_die(tmp_path: Path) -> None:
    mirrors = (MirrorPolicy("one", "m"), MirrorPolicy("two", "m"))
    with mirrored(tmp_path, *mirrors, workers=2) as proxy:
        steer(proxy, mirror="one", percent=0)
        steer(proxy, mirror="two", paused=True)

        def ask() -> None:
            for _ in range(6):
                assert proxy.ask() == (200, "v1")
            assert [outcomes(proxy, name).keys() for name in ("one", "two")] == [{"disabled"}, {"paused"}]

        more = MirrorPolicy("more", "m")
        reloaded = with_mirrors(proxy.config, replace(mirrors[0], numerator=70), mirrors[1], more)
        rolled = replace(reloaded, settings=replace(reloaded.settings, limits=Limits(max_headers=50)))
        for config in (reloaded, rolled):
            proxy.reload(config)
            ask()
        stays = "override stays in force, whatever the files say"
        proxy.wait_logged(f"{stays} mirror=one percent=0\n", f"{stays} mirror=two paused=true\n")
        assert [row_of(proxy, "one")[name] for name in ("percent", "file_percent")] == [0, 70]
        for row in proxy.workers():
            os.kill(row["pid"], signal.SIGKILL)
        until(lambda: len(proxy.workers()) == 2 and proxy.metric("worker_restarts_total") == 2, "successors")
        ask()
        assert proxy.metric("mirror_paused", mirror="two") == 1


def test_the_kill_switch_holds_for_a_mirror_that_a_reload_adds(tmp_path: Path) -> None:
    with mirrored(tmp_path, MirrorPolicy("one", "m")) as proxy:
        steer(proxy, paused=True)
        proxy.write(with_mirrors(proxy.config, MirrorPolicy("new", "m")))
        assert proxy.change("POST", "/reload")[0] == 200
        for _ in range(3):
            proxy.ask()
        assert row_of(proxy, "new")["paused"]
        assert outcomes(proxy, "new") == {"paused": 3}
        proxy.wait_logged("override stays in force, whatever the files say mirror=all paused=true\n")
        steer(proxy, paused=False)
        proxy.ask()
        assert outcomes(proxy, "new") == {"paused": 3, "completed": 1}


def test_the_kill_switch_does_not_wait_for_a_reload_that_hangs(tmp_path: Path) -> None:
    with mirrored(tmp_path, workers=2) as proxy, ThreadPoolExecutor(2) as thread:
        os.kill(proxy.workers()[0]["pid"], signal.SIGSTOP)
        listener = Address("127.0.0.1", free_port())
        reloaded = with_mirrors(proxy.config, MirrorPolicy("new", "m"))
        proxy.write(replace(reloaded, settings=replace(reloaded.settings, metrics=listener)))
        reload = thread.submit(proxy.change, "POST", "/reload")
        until(partial(_listens, listener), "the reload to have begun")
        kill_switch = thread.submit(steer, proxy, paused=True)
        until(lambda: proxy.metric("mirror_paused", mirror="mirror"), "the worker that can to obey")
        assert proxy.metric("config_generation") == 1
        assert reload.result()[0] == 200
        assert kill_switch.result()["new"]["paused"]
        assert proxy.ask() == (200, "v1")
        assert outcomes(proxy, "new") == {"paused": 1}


def _listens(address: Address) -> bool:
    with socket.socket() as client:
        return client.connect_ex((address.host, address.port)) == 0


def test_what_was_set_of_a_mirror_that_is_gone_is_dropped_and_said(tmp_path: Path) -> None:
    with mirrored(tmp_path) as proxy:
        steer(proxy, mirror="mirror", percent=5, paused=True)
        with_another = with_mirrors(proxy.config, MirrorPolicy("other", "m"))
        for config in (with_another, proxy.config):
            proxy.reload(config)
        row = row_of(proxy)
        assert [row["percent"], row["overridden"], row["paused"]] == [100, False, False]
        removed = "override is removed, its target is not configured any more mirror=mirror"
        proxy.wait_logged(f"{removed} percent=5", f"{removed} paused=true")


def test_what_cannot_be_is_refused_with_what_could_and_nothing_changes(tmp_path: Path) -> None:
    mirrors = (MirrorPolicy("shop/v2", "m", numerator=5), MirrorPolicy("shop/repeat", "m", role="repeat"))
    with mirrored(tmp_path, *mirrors) as proxy:
        for body, answer in (
            (
                {"mirror": "shop/v3", "percent": 5},
                {
                    "error": 'no mirror is named "shop/v3"; did you mean "shop/v2"?',
                    "mirrors": ["shop/v2"],
                },
            ),
            (
                {"mirror": "shop/v3", "percent": None},
                {
                    "error": 'no mirror is named "shop/v3"; did you mean "shop/v2"?',
                    "mirrors": ["shop/v2"],
                },
            ),
            (
                {"mirror": "shop/repaet", "paused": True},
                {
                    "error": 'no mirror is named "shop/repaet"; did you mean "shop/repeat"?',
                    "mirrors": ["shop/repeat", "shop/v2"],
                },
            ),
            (
                {"mirror": "shop/repeat", "percent": 5, "paused": True},
                {
                    "error": '"shop/repeat" is asked for comparing only and has no percent; it can be paused',
                    "mirrors": ["shop/v2"],
                },
            ),
        ):
            assert proxy.change("PATCH", "/mirrors", body) == (422, answer)
        found = proxy.admin_json("/mirrors")
        assert not found["all_paused"]
        assert [(row["percent"], row["overridden"], row["paused"]) for row in found["mirrors"]] == [
            (5, False, False),
            (100, False, False),
        ]
        assert steer(proxy, mirror="shop/repeat", paused=True)["shop/repeat"]["paused"]


def test_one_mirror_does_not_resume_while_all_are_paused(tmp_path: Path) -> None:
    with mirrored(tmp_path) as proxy:
        steer(proxy, mirror="mirror", paused=True)
        steer(proxy, paused=True)
        refused = {"error": "all mirrors are paused: this one resumes when all do"}
        assert proxy.change("PATCH", "/mirrors", {"mirror": "mirror", "paused": False}) == (422, refused)
        assert steer(proxy, paused=False)["mirror"]["paused"]  # by its own name
        assert not steer(proxy, mirror="mirror", paused=False)["mirror"]["paused"]


def test_a_route_has_the_file_s_weights_again_when_it_is_told_so(tmp_path: Path) -> None:
    with mirrored(tmp_path) as proxy:
        body: dict[str, object] = {"route": "r", "weights": {"p": 7}}
        for weights, now in (({"p": 7}, 7), (None, 1)):
            status, answer = proxy.change("PATCH", "/routes", {**body, "weights": weights})
            assert status == 200
            [row] = answer["routes"]
            assert (row["destinations"][0]["weight"], row["overridden"]) == (now, weights is not None)
        assert proxy.change("PATCH", "/routes", {"route": "s", "weights": None})[0] == 422
