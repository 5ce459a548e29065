"""config/release in Docker as its story tells it, and Istio's mirroring task with its file as it stands."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from http.client import HTTPConnection
from pathlib import Path

import pytest

from tests.container.docker_engine import ROOT, Compose, eventually, inspect

FOLDER = ROOT / "config/release"
STEPS = FOLDER / "steps"
HTTPBIN = Path(__file__).parent / "httpbin"
ALL_V1, ALL_V2 = {"v1"}, {"v2"}


@dataclass(frozen=True)
class Release:
    """The release under way: its containers, and the file that is edited."""

    compose: Compose
    live: Path

    def ask(self, users: Iterable[int], method: str = "GET", **headers: str) -> Counter[str]:
        """Ask once for each user, over one connection; count who answered."""
        return ask(self.compose, [{"Cookie": f"user={user}", **headers} for user in users], method)

    def edit(self, text: str) -> None:
        """Write the file in place, as cp and an editor do."""
        self.live.write_text(text)

    def take(self, step: str) -> None:
        """Copy a step over the file and wait for it to be in force."""
        generation = self.metric("config_generation")
        self.edit((STEPS / f"{step}.yaml").read_text())
        assert self.comes("config_generation", generation + 1), self.compose("logs", "--no-color", "proxy")

    def ctl(self, *words: str) -> str:
        return self.compose("exec", "-T", "proxy", "mirror-proxy", "ctl", *words)

    def copies(self) -> int:
        """Tell how many copies v2 has had."""
        return int(counts(self.compose, "shop-v2", 8080)["shadows"])

    def metric(self, name: str) -> float:
        """Read a metric, given with its labels, over the door that is published for Prometheus."""
        connection = HTTPConnection(*self.compose.published("proxy", 9902), timeout=10)
        connection.request("GET", "/metrics")
        text = connection.getresponse().read().decode()
        connection.close()
        found = re.findall(rf"^mirror_proxy_{re.escape(name)} ([\d.]+)$", text, re.MULTILINE)
        return float(found[0]) if found else 0.0

    def outcome(self, name: str) -> float:
        labels = f'mirror="everyone/shop/v2",outcome="{name}",route="everyone"'
        return self.metric(f"mirror_requests_total{{{labels}}}")

    def comes(self, name: str, value: float) -> bool:
        return eventually(lambda: self.metric(name), lambda found: found >= value) == value


def counts(compose: Compose, origin: str, port: int) -> dict[str, int]:
    found: dict[str, int] = json.loads(compose.get(origin, f"http://127.0.0.1:{port}/__counts"))
    return found


def ask(compose: Compose, requests: list[dict[str, str]], method: str = "GET") -> Counter[str]:
    connection = HTTPConnection(*compose.published("proxy", 8080), timeout=10)
    answers: Counter[str] = Counter()
    for headers in requests:
        connection.request(method, "/cart", headers=headers)
        response = connection.getresponse()
        body = response.read()
        answers[json.loads(body)["version"] if response.status == 200 else str(response.status)] += 1
    connection.close()
    return answers


def up(compose: Compose, *origins: str, port: int) -> None:
    """Build and start; wait for the origins, and for the proxy to be healthy."""
    compose("up", "-d", timeout_s=900)
    for origin in origins:
        url = f"http://127.0.0.1:{port}/healthz"
        assert eventually(partial(compose.can_get, origin, url), bool), compose("logs", "--no-color", origin)
    container = compose.container("proxy")
    health = eventually(lambda: inspect(container)["State"]["Health"], lambda h: h["Status"] == "healthy")
    assert health["Status"] == "healthy", compose("logs", "--no-color", "proxy")


def down(compose: Compose) -> None:
    compose("down", "--timeout", "5", "--rmi", "local", "--remove-orphans")
    assert compose.leftovers() == []


def mounting(folder: Path, source: str | Path, target: str) -> Path:
    """Write a compose file that, after another, has the proxy read what a test may edit."""
    file = folder / "mounting.yml"
    file.write_text(json.dumps({"services": {"proxy": {"volumes": [f"{source}:{target}:ro"]}}}))
    return file


@pytest.fixture
def release(base: str, image: str, tmp_path: Path) -> Iterator[Release]:
    folder = tmp_path / "release"
    shutil.copytree(FOLDER, folder)
    environment = {"BASE_IMAGE": base, "PROXY_PORT": "0", "METRICS_PORT": "0"}
    files = (FOLDER / "docker-compose.yml", mounting(tmp_path, folder, "/release"))
    compose = Compose(f"{image}-release-{os.getpid()}", environment, files)
    try:
        up(compose, "shop-v1", "shop-v2", port=8080)
        yield Release(compose, folder / "live/virtual-service.yaml")
    finally:
        down(compose)


def test_the_release_is_walked_in_docker(release: Release) -> None:
    begins_with_v1_alone(release)
    mirrors_a_quarter(release)
    keeps_what_is_in_force_when_the_file_is_wrong(release)
    shares_users_out(release)
    cuts_over_and_back(release)
    lets_v1_go(release)


def begins_with_v1_alone(release: Release) -> None:
    assert release.ask(range(20)) == {"v1": 20}
    assert counts(release.compose, "shop-v2", 8080)["requests"] == 0
    for service in ("proxy", "shop-v1", "shop-v2"):
        host = inspect(release.compose.container(service))["HostConfig"]
        assert (host["ReadonlyRootfs"], host["CapDrop"]) == (True, ["ALL"])
    published = inspect(release.compose.container("proxy"))["NetworkSettings"]["Ports"]
    assert {port: {one["HostIp"] for one in at} for port, at in published.items() if at} == {
        "8080/tcp": {"127.0.0.1"},
        "9902/tcp": {"127.0.0.1"},
    }


def mirrors_a_quarter(release: Release) -> None:
    release.take("04-mirror-25")
    logs = release.compose("logs", "--no-color", "proxy")
    assert "INFO supervisor configuration is reloaded generation=2" in logs
    assert release.ask(range(200)) == {"v1": 200}
    first = eventually(release.copies, lambda copies: copies == 200 - release.outcome("not_sampled"))
    assert 30 <= first <= 70
    assert release.ask(range(200)) == {"v1": 200}
    assert eventually(release.copies, lambda copies: copies >= 2 * first) == 2 * first, "a user sticks"
    assert release.ask(range(200), "POST") == {"v1": 200}
    assert (release.copies(), release.outcome("completed")) == (2 * first, 2 * first)
    assert release.outcome("method") == 200


def keeps_what_is_in_force_when_the_file_is_wrong(release: Release) -> None:
    text = (STEPS / "04-mirror-25.yaml").read_text()
    release.edit(text.replace("mirror: {host: shop, subset: v2}", "mirror: {host: shop, subset: v9}"))
    assert release.comes("config_reload_failures_total", 1)
    logs = release.compose("logs", "--no-color", "proxy")
    refused = "ERROR supervisor reload is refused, the running configuration stays generation=2 problem="
    assert f'{refused}"/release/live/virtual-service.yaml:' in logs
    assert release.ask(range(20)) == {"v1": 20}


def shares_users_out(release: Release) -> None:
    release.take("07-canary-5")
    users = range(1, 101)
    assert release.ask(users) == {"v1": 95, "v2": 5}
    assert release.ask([16]) == {"v2": 1}, "whom README's explain names"
    assert set(release.ask(users, **{"x-canary": "always"})) == ALL_V2


def cuts_over_and_back(release: Release) -> None:
    told = release.ctl("weights", "everyone", "shop/v1=0", "shop/v2=100", "--ttl", "10m")
    assert set(release.ask(range(100))) == ALL_V2
    assert "until in 10 min\n" in told
    release.ctl("weights", "everyone", "shop/v1=100", "shop/v2=0")
    assert set(release.ask(range(100))) == ALL_V1
    assert "weights of everyone are set live" in release.ctl("status")
    release.take("08-cutover")
    assert set(release.ask(range(100))) == ALL_V1, "what was set live outlives a file"
    logs = release.compose("logs", "--no-color", "proxy")
    assert "override stays in force, whatever the files say route=everyone" in logs
    release.ctl("weights", "everyone", "shop/v2=100", "--ttl", "1s")
    assert eventually(lambda: set(release.ask(range(100))), lambda who: who == ALL_V2) == ALL_V2
    assert eventually(lambda: "set live" in release.ctl("status"), lambda told: not told) is False
    assert set(release.ask(range(100))) == ALL_V2, "the file's"


def lets_v1_go(release: Release) -> None:
    beside = release.live.with_name("new")
    beside.write_bytes((STEPS / "10-clean-up.yaml").read_bytes())
    generation = release.metric("config_generation")
    beside.replace(release.live)  # as editors and kubectl do; the folder is mounted, so it is seen
    assert release.comes("config_generation", generation + 1)
    release.compose("rm", "-sf", "shop-v1")
    assert set(release.ask(range(100))) == ALL_V2
    release.compose("stop", "proxy")
    state = inspect(release.compose.container("proxy"))["State"]
    assert (state["Status"], state["ExitCode"]) == ("exited", 0)


@pytest.fixture
def httpbin(image: str, tmp_path: Path) -> Iterator[tuple[Compose, Path]]:
    """Run Istio's file; give the copy of it that is mounted, by itself."""
    mounted = shutil.copy(HTTPBIN / "mirroring.yaml", tmp_path)
    files = (HTTPBIN / "docker-compose.yml", mounting(tmp_path, mounted, "/mesh/mirroring.yaml"))
    compose = Compose(f"{image}-httpbin-{os.getpid()}", {}, files)
    try:
        up(compose, "httpbin-v1", "httpbin-v2", port=80)
        yield compose, Path(mounted)
    finally:
        down(compose)


def test_istios_mirroring_task_runs_as_it_stands(httpbin: tuple[Compose, Path]) -> None:
    compose, mounted = httpbin
    requests = [{"Host": "httpbin:8000"}] * 50
    assert ask(compose, requests) == {"v1": 50}
    copies = eventually(lambda: counts(compose, "httpbin-v2", 80), lambda found: found["shadows"] >= 50)
    assert copies == {"requests": 50, "shadows": 50}
    text = mounted.read_text()
    mounted.write_text(text.replace("subset: v1", "subset: v2"))
    answers = eventually(lambda: ask(compose, requests), lambda found: "v1" not in found)
    assert answers == {"v2": 50}, "a mounted file that is edited in place is seen"
