"""How many workers `auto` means: the processors this container may use, not those the machine has."""

from __future__ import annotations

import math
import os
from pathlib import Path

from mirror_proxy.supervisor.cgroup import folders, read


def worker_count(root: Path = Path("/"), affinity: int | None = None) -> int:
    """Return the CPU limit in whole processors, at least 1.

    The limit is the smallest of the scheduler affinity and each cgroup's quota from ours up to `root`:
    v2's `cpu.max`, v1's `cpu.cfs_quota_us` / `cpu.cfs_period_us` (kernel's `admin-guide/cgroup-v2.rst`,
    `scheduler/sched-bwc.rst`). Half a processor over is not worth a worker that would be throttled.
    """
    most = affinity if affinity is not None else len(os.sched_getaffinity(0))
    return max(1, math.floor(min([float(most), *_quotas(root)])))


def _quotas(root: Path) -> list[float]:
    found = []
    for folder, is_v2 in folders(root, "cpu"):
        quota = _quota_v2(folder) if is_v2 else _quota_v1(folder)
        if quota is not None:
            found.append(quota)
    return found


def _quota_v2(folder: Path) -> float | None:
    quota, _, period = read(folder / "cpu.max").strip().partition(" ")
    return int(quota) / int(period) if quota.isdigit() and period.isdigit() else None


def _quota_v1(folder: Path) -> float | None:
    quota = read(folder / "cpu.cfs_quota_us").strip()
    period = read(folder / "cpu.cfs_period_us").strip()
    return int(quota) / int(period) if quota.isdigit() and period.isdigit() else None  # -1: no limit
