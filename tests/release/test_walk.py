"""The whole release on real processes, under traffic: nothing is lost, and nobody is served by the wrong side."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from mirror_proxy import cli
from mirror_proxy.config.model import Address
from tests.release.release import BASE, PROXY, STEPS, V2
from tests.support.running_proxy import RunningProxy, config_for, running
from tests.support.threaded_origin import origin
from tests.support.traffic import Traffic, traffic
from tests.support.waiting import until

pytestmark = pytest.mark.slow

MIRROR = "everyone/shop/v2"


class Release:
    """A release under way: the proxy, its traffic, and the file that is edited."""

    def __init__(self, proxy: RunningProxy, clients: Traffic, live: Path) -> None:
        self.proxy = proxy
        self.clients = clients
        self._live = live

    def step(self, name: str) -> set[str]:
        """Edit the file; once that is in force, return who answers."""
        generation = self.proxy.metric("config_generation")
        beside = self._live.with_name("new")
        beside.write_bytes(STEPS[name].read_bytes())
        beside.replace(self._live)
        until(lambda: self.proxy.metric("config_generation") > generation, f"{name} to take effect")
        return self._answering()

    def weights(self, **weights: int) -> set[str]:
        """Change the weights; once the command has returned, return who answers."""
        words = [f"shop/{name}={weight}" for name, weight in weights.items()]
        admin = str(self.proxy.config.settings.admin.address)
        assert cli.main(["ctl", "weights", "everyone", *words, "--admin", admin], {}) == 0
        return self._answering()

    def _answering(self) -> set[str]:
        began = time.monotonic()
        until(lambda: len(self.clients.since(began)) >= 40, "answers")
        return set(self.clients.since(began))

    def outcome(self, name: str) -> float:
        return self.proxy.metric("mirror_requests_total", mirror=MIRROR, outcome=name)

    def ask(self, **headers: str) -> str:
        """Ask once, with headers, and return who answered."""
        return self.proxy.ask(**headers)[1]


@pytest.fixture
def release(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Release]:
    """Start as step 1 says, with two workers and clients that ask all the time."""
    live = tmp_path / "live.yaml"
    live.write_bytes(STEPS["01-v1-alone"].read_bytes())
    with origin(b"v1") as v1, origin(b"v2") as v2:
        config = config_for(v1.address)
        settings = {
            "ENDPOINT": f"shop/v1={v1.address},shop/v2={v2.address}",
            "LISTEN": str(config.settings.listeners[0].address),
            "ADMIN": str(config.settings.admin.address),
            "WORKERS": "2",
            "DRAIN_DELAY": "0s",
        }
        for name, value in settings.items():
            monkeypatch.setenv(f"MIRROR_PROXY_{name}", value)
        with running(config, tmp_path, files=[BASE, V2, PROXY, live]) as proxy:
            address: Address = config.settings.listeners[0].address
            with traffic(address) as clients:
                yield Release(proxy, clients, live)
            assert {one.answer for one in clients.asked} == {"v1", "v2"}


def test_a_release_loses_no_request_and_serves_nobody_by_the_wrong_side(release: Release) -> None:
    release.clients.wait_for(40)
    for name in ("02-mirror-1", "03-mirror-5", "04-mirror-25"):
        assert release.step(name) == {"v1"}
    before = release.outcome("not_sampled")
    assert before
    assert release.step("05-mirror-100") == {"v1"}
    until(lambda: release.outcome("completed") > 40, "copies of everything")
    assert release.step("06-testers") == {"v1"}
    assert release.ask(x_canary="always") == release.ask(cookie="a=b; canary=always") == "v2"
    assert release.ask(x_canary="never") == release.ask(cookie="uncanary=always") == "v1"

    assert release.step("07-canary-5") <= {"v1", "v2"}
    asked = [[release.ask(cookie=f"user={number}") for _ in range(2)] for number in range(120)]
    assert all(one == other for one, other in asked)
    on_v2 = sum(one == "v2" for one, _ in asked)
    assert 0 < on_v2 < 20

    assert release.step("08-cutover") == {"v2"}
    assert release.step("09-rollback") == {"v1"}
    assert release.weights(v1=0, v2=100) == {"v2"}
    assert release.weights(v1=100, v2=0) == {"v1"}
    assert release.weights(v1=0, v2=100) == {"v2"}
    assert release.step("10-clean-up") == {"v2"}
    assert release.proxy.metric("worker_restarts_total") == 0
