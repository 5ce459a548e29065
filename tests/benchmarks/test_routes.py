"""The files with many routes, read by the proxy they are for, and the load that asks for each."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import pytest

from benchmarks import routes, wrk
from mirror_proxy.config import loader
from mirror_proxy.config.model import Config
from tests.conftest import MakeOrigin


def load(tmp_path: Path, kind: str, count: int) -> Config:
    path = tmp_path / "routes.yaml"
    path.write_text(routes.write(kind, 8001, count))
    return loader.load([str(path)])


@pytest.mark.parametrize("kind", routes.KINDS)
def test_the_files_are_read_without_a_warning(tmp_path: Path, kind: str) -> None:
    assert load(tmp_path, kind, 3).warnings == ()


def test_one_virtual_host_has_a_route_for_each_path(tmp_path: Path) -> None:
    for kind, path in (("exact", "/bench/0002/item"), ("prefix", "/bench/0002/")):
        [host] = load(tmp_path, kind, 3).virtual_hosts
        assert host.domains == ("*",)
        taken = [match.path for route in host.routes for match in route.matches]
        assert [(one.kind, one.value) for one in taken[2:] if one is not None] == [(kind, path)]


def test_each_host_has_its_virtual_host(tmp_path: Path) -> None:
    hosts = load(tmp_path, "hosts", 3).virtual_hosts
    assert [host.domains for host in hosts] == [(f"000{number}.bench.example",) for number in range(3)]


def test_a_whole_shop_has_a_canary_and_a_mirror(tmp_path: Path) -> None:
    config = load(tmp_path, "shops", 2)
    assert len(config.virtual_hosts) == 2
    [testers, everyone] = config.virtual_hosts[0].routes
    assert [one.name for one in testers.destinations] == ["shop0.bench.example/v2"]
    assert [one.weight for one in everyone.destinations] == [95, 5]
    assert [(one.numerator, one.denominator) for one in everyone.mirrors] == [(10_000, 1_000_000)]


@pytest.mark.skipif(not shutil.which("wrk"), reason="wrk is not installed")
async def test_the_load_asks_for_one_route_after_the_other(origin: MakeOrigin) -> None:
    v1 = await origin()
    done = await asyncio.to_thread(wrk.load, v1.port, 1, 0, 1, routes=3)
    assert done.errors == 0
    first = int(v1.requests[0].target.split(b"/")[2])
    numbers = [(first + turn) % 3 for turn in range(4)]
    assert [(one.target, one.get(b"host")) for one in v1.requests[:4]] == [
        (f"/bench/{number:04}/item".encode(), f"{number:04}.bench.example".encode()) for number in numbers
    ]
