"""The generated configurations, as far as they can be read without starting anything, and one real run."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from benchmarks import envoy, nginx
from benchmarks.__main__ import main
from benchmarks.measures import Bench
from benchmarks.proxies import MirrorProxy, PlainAiohttp, Setup
from benchmarks.results import from_json
from benchmarks.runner import run
from benchmarks.scenarios import SCENARIOS

MIRROR = ("127.0.0.1", 8002)


def test_envoy_mirrors_the_percentage_to_its_own_cluster() -> None:
    bootstrap = json.loads(envoy.bootstrap(8000, 8001, MIRROR, 10))["static_resources"]
    listener = bootstrap["listeners"][0]["filter_chains"][0]["filters"][0]["typed_config"]
    (policy,) = listener["route_config"]["virtual_hosts"][0]["routes"][0]["route"]["request_mirror_policies"]
    assert policy["runtime_fraction"]["default_value"] == {"numerator": 10, "denominator": "HUNDRED"}
    assert [cluster["name"] for cluster in bootstrap["clusters"]] == ["v1", policy["cluster"]]


def test_envoy_without_a_mirror_has_one_cluster() -> None:
    bootstrap = json.loads(envoy.bootstrap(8000, 8001, None, 100))["static_resources"]
    assert len(bootstrap["clusters"]) == 1
    assert "request_mirror_policies" not in json.dumps(bootstrap)


def test_envoy_mirrors_the_attacked_route_only() -> None:
    bootstrap = json.loads(envoy.bootstrap(8000, 8001, MIRROR, 100, attacked=8003))["static_resources"]
    listener = bootstrap["listeners"][0]["filter_chains"][0]["filters"][0]["typed_config"]
    attacked, others = listener["route_config"]["virtual_hosts"][0]["routes"]
    assert attacked["match"] == {"path": "/attacked"}
    assert attacked["route"]["cluster"] == "attacked"
    assert attacked["route"]["request_mirror_policies"][0]["cluster"] == "v2"
    assert others["route"] == {"cluster": "v1"}


def test_mirror_proxy_mirrors_the_attacked_route_only(tmp_path: Path) -> None:
    MirrorProxy().command(Setup(8000, 8001, MIRROR, attacked=8003), tmp_path)
    (service,) = yaml.safe_load_all((tmp_path / "routes.yaml").read_text())
    attacked, others = service["spec"]["http"]
    assert attacked["match"] == [{"uri": {"exact": "/attacked"}}]
    assert attacked["route"][0]["destination"]["port"] == {"number": 8003}
    assert attacked["mirror"]["port"] == {"number": 8002}
    assert "mirror" not in others


@pytest.mark.skipif(not nginx.EXECUTABLE, reason="nginx is not installed")
@pytest.mark.parametrize("percent", [100, 10])
@pytest.mark.parametrize(
    "mirror", [None, MIRROR, ("v2.mirror.invalid", 8002)], ids=["off", "address", "dead name"]
)
def test_nginx_accepts_its_configuration(
    tmp_path: Path, mirror: tuple[str, int] | None, percent: int
) -> None:
    command = nginx.write_config(tmp_path, nginx.proxy(8000, 8001, mirror, percent))
    done = subprocess.run([*command, "-t"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_scenario_that_does_not_exist_is_refused_by_name(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["--scenario", "stalled_put"])
    assert "stalled_put" in capsys.readouterr().err


def test_a_scenario_on_files_is_measured_on_the_proxy_that_reads_them() -> None:
    results = run([SCENARIOS["load_1000"]], [PlainAiohttp()], 1, Bench([], 1, 1))
    assert results.rounds == {}


@pytest.mark.parametrize("kind", ["one", "hosts"])
def test_a_proxy_is_started_on_a_file_of_routes(tmp_path: Path, kind: str) -> None:
    command = MirrorProxy().command(Setup(8000, 8001, routes=kind), tmp_path)
    path = tmp_path / "routes.yaml"
    assert str(path) in command
    assert "--primary" not in command
    assert path.read_text().count("kind: VirtualService") == {"one": 1, "hosts": 1000}[kind]


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("wrk"), reason="wrk is not installed")
def test_one_scenario_is_measured_printed_and_written(tmp_path: Path) -> None:
    chosen = ["--quick", "--scenario", "get_mirror_100", "--proxies", "aiohttp,no-such-proxy"]
    files = ["--json", str(tmp_path / "r.json"), "--plot", str(tmp_path / "r.png")]
    command = [sys.executable, "-m", "benchmarks", *chosen, *files]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "skipped: no-such-proxy: no such proxy" in done.stdout
    results = from_json((tmp_path / "r.json").read_text())
    for scenario in ("get_mirror_100", "get_mirror_off"):
        (figures,) = results.taken(scenario, "aiohttp")
        assert figures["errors"] == 0
        assert figures["cpu_us"] > 0
    assert (tmp_path / "r.png").exists()
