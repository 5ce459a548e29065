"""Workers follow the processors and budgets the memory that the kernel allows; a configured budget stays."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from mirror_proxy.config.loader import load
from mirror_proxy.config.model import Compare, Config, Memory, Settings, Share
from mirror_proxy.supervisor import machine
from mirror_proxy.supervisor.machine import fitted, lowered, worker_count
from mirror_proxy.supervisor.sockets import StartError

MIB = 1 << 20
DEFAULT = Settings()


def _write(root: Path, path: str, text: str) -> None:
    file = root / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


def limited(root: Path, mib: int) -> Path:
    """Have a container of so much memory."""
    _write(root, "proc/self/cgroup", "0::/\n")
    _write(root, "sys/fs/cgroup/memory.max", f"{mib * MIB}\n")
    return root


def config(**settings: object) -> Config:
    return Config(replace(DEFAULT, **settings), (), ())  # type: ignore[arg-type]  # they are Settings'


COMPARING = Compare(share=Share(1_000_000))


# --- processors ---


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


@pytest.mark.parametrize("mib", [None, 256])
def test_number_of_workers_is_part_of_a_fitted_configuration(tmp_path: Path, mib: int | None) -> None:
    root = limited(tmp_path, mib) if mib else tmp_path
    assert fitted(config(workers=3), root).settings.worker_count == 3
    assert fitted(config(workers=0), root).settings.worker_count == worker_count(root)


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


# --- the memory limit ---


def test_a_container_on_cgroup_v2_has_its_limit(tmp_path: Path) -> None:
    assert machine.memory_limit(limited(tmp_path, 128)) == 128 * MIB


def test_the_smallest_limit_up_the_tree_holds(tmp_path: Path) -> None:
    _write(tmp_path, "proc/self/cgroup", "0::/kubepods/pod1/proxy\n")
    _write(tmp_path, "sys/fs/cgroup/kubepods/pod1/proxy/memory.max", "max\n")
    _write(tmp_path, "sys/fs/cgroup/kubepods/pod1/memory.max", "200\n")
    _write(tmp_path, "sys/fs/cgroup/kubepods/memory.max", "300\n")
    assert machine.memory_limit(tmp_path) == 200


def test_a_container_on_cgroup_v1_has_its_limit_where_only_the_end_of_its_path_is_mounted(
    tmp_path: Path,
) -> None:
    _write(tmp_path, "proc/self/cgroup", "4:memory:/docker/0a1b\n3:cpuset:/docker/0a1b\n0::/docker/0a1b\n")
    _write(tmp_path, "sys/fs/cgroup/memory/memory.limit_in_bytes", "134217728\n")
    assert machine.memory_limit(tmp_path) == 128 * MIB


@pytest.mark.parametrize("text", ["9223372036854771712\n", "-1\n", ""])
def test_a_cgroup_v1_without_a_limit_has_none(tmp_path: Path, text: str) -> None:
    _write(tmp_path, "proc/self/cgroup", "4:memory:/\n")
    _write(tmp_path, "sys/fs/cgroup/memory/memory.limit_in_bytes", text)
    assert machine.memory_limit(tmp_path) is None


def test_without_cgroups_there_is_no_limit_and_nothing_changes(tmp_path: Path) -> None:
    assert machine.memory_limit(tmp_path) is None
    assert fitted(config(), tmp_path) == config()
    assert not [line for line in map(str, lowered(config())) if "memory" in line]


# --- budgets ---


@pytest.mark.parametrize(("mib", "buffered", "heads"), [(128, 15, 7), (256, 47, 23), (4096, 64, 32)])
def test_budgets_follow_what_idle_processes_leave(
    tmp_path: Path, mib: int, buffered: int, heads: int
) -> None:
    settings = fitted(config(), limited(tmp_path, mib)).settings
    assert settings.max_buffered_bytes // MIB == buffered
    assert settings.memory.heads_bytes // MIB == heads


def test_workers_share_the_budgets(tmp_path: Path) -> None:
    one = fitted(config(workers=1), limited(tmp_path, 256)).settings
    four = fitted(config(workers=4), limited(tmp_path, 256 + 3 * machine.WORKER // MIB)).settings
    assert four.max_buffered_bytes == pytest.approx(one.max_buffered_bytes / 4, rel=0.01)
    assert four.memory.heads_bytes == pytest.approx(one.memory.heads_bytes / 4, rel=0.01)


@pytest.mark.parametrize("mib", [1, 64, 100, 128, 256, 512, 1024])
@pytest.mark.parametrize("workers", [1, 2, 8])
@pytest.mark.parametrize("compare", [Compare(), COMPARING], ids=["plain", "comparing"])
def test_budgets_are_never_more_than_what_is_left(
    tmp_path: Path, mib: int, workers: int, compare: Compare
) -> None:
    left = mib * MIB - machine.idle_memory(workers, compares=compare.is_on)
    if compare.is_on and left < machine.LEAST_TO_COMPARE:
        with pytest.raises(StartError):
            fitted(config(workers=workers, compare=compare), limited(tmp_path, mib))
        return
    settings = fitted(config(workers=workers, compare=compare), limited(tmp_path, mib)).settings
    held = settings.max_buffered_bytes + settings.memory.heads_bytes + settings.memory.replays_bytes
    comparing = workers * settings.memory.captures_bytes + settings.memory.comparer_bytes
    assert 0 < workers * held + compare.is_on * comparing <= max(left, MIB)


def test_a_budget_in_a_file_is_never_changed(tmp_path: Path) -> None:
    file = tmp_path / "proxy.yaml"
    for given in ("64MiB", "100MiB"):
        file.write_text(
            "apiVersion: mirror-proxy.dev/v1\nkind: MirrorProxy\nmetadata: {name: shop}\n"
            f"spec: {{mirroring: {{maxBufferedBytes: {given}}}}}\n---\n"
            "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: app}\n"
            "spec: {hosts: ['*'], http: [{route: [{destination: {host: 127.0.0.1, port: {number: 1}}}]}]}\n"
        )
        loaded = load(paths=[str(file)])
        settings = fitted(loaded, limited(tmp_path, 128)).settings
        assert settings.max_buffered_bytes == loaded.settings.max_buffered_bytes
        assert settings.memory.heads_bytes < Memory().heads_bytes


def test_too_little_memory_to_compare_is_refused_with_its_numbers(tmp_path: Path) -> None:
    with pytest.raises(StartError) as refused:
        fitted(config(compare=COMPARING), limited(tmp_path, 128))
    assert str(refused.value) == (
        "compare.percent: the memory limit of 128 MiB is too small to compare; use at least 180 MiB (supervisor 44, "
        "1 x worker 24, comparer 48, buffers 64), or set compare.percent to 0"
    )
    assert fitted(config(compare=COMPARING), limited(tmp_path, 256)).settings.memory.captures_bytes > 8 * MIB


def test_what_is_lowered_is_said(tmp_path: Path) -> None:
    lines = map(str, lowered(fitted(config(), limited(tmp_path, 128))))
    (line,) = [line for line in lines if "memory" in line]
    assert line == (
        "buffers of each worker are lowered to fit the memory limit maxBufferedBytes=15728640 heads=7864320 "
        "retries=7864320"
    )
