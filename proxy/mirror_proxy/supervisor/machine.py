"""What this container may use: its processors, and its memory limit divided between the processes.

The memory of idle processes is subtracted first. Only a part of the rest is divided: sockets, responses in flight and
the allocator need memory that no budget counts. The figures for idle processes were measured in the container image
(anonymous memory and their share of mapped files, `smaps_rollup`) and rounded up.
"""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from pathlib import Path

from mirror_proxy.config.model import Memory


def folders(root: Path, controller: str) -> list[tuple[Path, bool]]:
    """Return the folders of our cgroup and of its parents for a `controller` of v1, with whether each is v2's.

    In a container the path that the kernel names is often that of the host, and only its end is mounted: folders that
    do not exist are among them.
    """
    found = []
    for line in read(root / "proc/self/cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        if not controllers:
            base = root / "sys/fs/cgroup"
        elif controller in controllers.split(","):
            base = root / "sys/fs/cgroup" / controller
        else:
            continue
        own = Path(path.lstrip("/"))
        found += [(base / part, not controllers) for part in (own, *own.parents)]
    return found


def read(path: Path) -> str:
    """Return what a file says; nothing where it cannot be read."""
    try:
        return path.read_text(encoding="ascii")
    except OSError:
        return ""


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


MIB = 1024 * 1024
SUPERVISOR = 44 * MIB
WORKER = 24 * MIB
COMPARER = 48 * MIB
#: Less than this beside idle processes is too little to compare anything.
LEAST_TO_COMPARE = 64 * MIB
#: A v1 cgroup without a limit has one of almost 2^63.
_NO_LIMIT = 1 << 60


@dataclass(frozen=True, slots=True)
class WorkerMemory:
    """What one worker may hold for shadows, and everything else."""

    buffered_bytes: int
    memory: Memory


def memory_limit(root: Path = Path("/")) -> int | None:
    """Return the smallest memory limit of our cgroup and its parents; None: there is none."""
    found = []
    for folder, is_v2 in folders(root, "memory"):
        text = read(folder / ("memory.max" if is_v2 else "memory.limit_in_bytes")).strip()
        if text.isdigit() and int(text) < _NO_LIMIT:
            found.append(int(text))
    return min(found, default=None)


def idle_memory(workers: int, *, compares: bool) -> int:
    """Return what the processes take before anything happens."""
    return SUPERVISOR + workers * WORKER + compares * COMPARER


def share_out(left: int, workers: int, *, compares: bool) -> WorkerMemory:
    """Share out what idle processes leave: a half to workers and, where they compare, a quarter to the comparer."""
    defaults = Memory()
    worker = left // (2 * workers)
    part = worker // 5 if compares else worker // 4
    return WorkerMemory(
        2 * part,
        Memory(
            heads_bytes=min(defaults.heads_bytes, part),
            replays_bytes=min(defaults.replays_bytes, part),
            captures_bytes=min(defaults.captures_bytes, part),
            comparer_bytes=min(defaults.comparer_bytes, left // 4),
        ),
    )
