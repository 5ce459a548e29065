from __future__ import annotations

from pathlib import Path

import pytest

from mirror_proxy.supervisor.machine import worker_count


def _write(root: Path, path: str, text: str) -> None:
    file = root / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


@pytest.mark.parametrize(
    ("cpu_max", "count"),
    [
        ("400000 100000\n", 4),
        ("250000 100000\n", 2),
        ("50000 100000\n", 1),
        ("max 100000\n", 8),
        ("9900000 100000\n", 8),
    ],
)
def test_a_container_on_cgroup_v2_gets_its_whole_processors(tmp_path: Path, cpu_max: str, count: int) -> None:
    _write(tmp_path, "proc/self/cgroup", "0::/\n")
    _write(tmp_path, "sys/fs/cgroup/cpu.max", cpu_max)
    assert worker_count(tmp_path, affinity=8) == count


def test_the_limit_of_a_parent_cgroup_holds_too(tmp_path: Path) -> None:
    _write(tmp_path, "proc/self/cgroup", "0::/kubepods/pod1/proxy\n")
    _write(tmp_path, "sys/fs/cgroup/kubepods/pod1/proxy/cpu.max", "max 100000\n")
    _write(tmp_path, "sys/fs/cgroup/kubepods/pod1/cpu.max", "300000 100000\n")
    assert worker_count(tmp_path, affinity=8) == 3


@pytest.mark.parametrize(("quota", "count"), [("200000\n", 2), ("-1\n", 8)])
def test_a_container_on_cgroup_v1_gets_its_quota(tmp_path: Path, quota: str, count: int) -> None:
    _write(tmp_path, "proc/self/cgroup", "5:memory:/\n4:cpu,cpuacct:/docker/1\n1:name=systemd:/docker/1\n")
    _write(tmp_path, "sys/fs/cgroup/cpu/docker/1/cpu.cfs_quota_us", quota)
    _write(tmp_path, "sys/fs/cgroup/cpu/docker/1/cpu.cfs_period_us", "100000\n")
    assert worker_count(tmp_path, affinity=8) == count


def test_without_cgroups_the_affinity_is_the_limit(tmp_path: Path) -> None:
    assert worker_count(tmp_path, affinity=3) == 3
