"""Fit the proxy to its machine or container: workers to processors, budgets to memory, threads that yield to workers.

The memory of idle processes is subtracted from the memory limit first. Only a part of the rest is divided: sockets,
responses in flight and the allocator need memory that no budget counts. The figures for idle processes were measured in
the container image (anonymous memory and their share of mapped files, `smaps_rollup`) and rounded up.
"""

from __future__ import annotations

import contextlib
import math
import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from mirror_proxy.config.model import Config, Memory
from mirror_proxy.descriptors import limit_of_process, share_out
from mirror_proxy.supervisor.sockets import StartError
from mirror_proxy.telemetry.event import Event, event

MIB = 1024 * 1024
SUPERVISOR = 44 * MIB
WORKER = 24 * MIB
COMPARER = 48 * MIB
#: Memory for buffers that comparing needs at least.
LEAST_TO_COMPARE = 64 * MIB
#: A v1 cgroup without a limit has one of almost 2^63.
_NO_LIMIT = 1 << 60
_NICENESS = 10


def worker_count(root: Path = Path("/"), affinity: int | None = None) -> int:
    """Return the CPU limit in whole processors, at least 1.

    The limit is the smallest of the scheduler affinity and each cgroup's quota from ours up to `root`:
    v2's `cpu.max`, v1's `cpu.cfs_quota_us` / `cpu.cfs_period_us` (kernel's `admin-guide/cgroup-v2.rst`,
    `scheduler/sched-bwc.rst`). A fraction is rounded down: a worker for it would be throttled.
    """
    most = affinity if affinity is not None else len(os.sched_getaffinity(0))
    return max(1, math.floor(min([float(most), *_quotas(root)])))


def fitted(config: Config, root: Path = Path("/")) -> Config:
    """Return `config` with its number of workers and budgets that fit the memory limit; a configured budget stays.

    Raises `StartError` if the limit is too small to compare.
    """
    workers = config.settings.workers or worker_count(root)
    settings = replace(config.settings, worker_count=workers)
    limit = memory_limit(root)
    if limit is None:
        return replace(config, settings=settings)
    compares = settings.compare.is_on
    left = limit - idle_memory(workers, compares=compares)
    if compares and left < LEAST_TO_COMPARE:
        raise StartError(_too_little_to_compare(limit, workers))
    allowance = divide_memory(max(left, MIB), workers, compares=compares)
    buffered = settings.max_buffered_bytes
    if not settings.is_buffer_given:
        buffered = min(buffered, allowance.buffered_bytes)
    return replace(config, settings=replace(settings, max_buffered_bytes=buffered, memory=allowance.memory))


def lowered(config: Config) -> Iterator[Event]:
    """Yield a log line for each limit of a `fitted` configuration that is below its default or configured value."""
    yield from _lowered_by_descriptors(config)
    yield from _lowered_by_memory(config)


def yield_to_others() -> None:
    """Give this thread a lower priority than other threads (on Linux, each thread has its own niceness)."""
    with contextlib.suppress(OSError):  # the process has a lower priority already
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICENESS)


@dataclass(frozen=True, slots=True)
class WorkerMemory:
    """The budgets of one worker: bytes buffered for shadows, and everything else."""

    buffered_bytes: int
    memory: Memory


def memory_limit(root: Path = Path("/")) -> int | None:
    """Return the smallest memory limit of our cgroup and its parents; None: there is none."""
    found = []
    for folder, is_v2 in _cgroup_folders(root, "memory"):
        text = _read_text(folder / ("memory.max" if is_v2 else "memory.limit_in_bytes")).strip()
        if text.isdigit() and int(text) < _NO_LIMIT:
            found.append(int(text))
    return min(found, default=None)


def idle_memory(workers: int, *, compares: bool) -> int:
    """Return the memory of all processes while idle."""
    return SUPERVISOR + workers * WORKER + compares * COMPARER


def divide_memory(left: int, workers: int, *, compares: bool) -> WorkerMemory:
    """Divide what idle processes leave: a half for the workers, and a quarter for the comparer if there is one."""
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


def _cgroup_folders(root: Path, controller: str) -> list[tuple[Path, bool]]:
    """Return the folders of our cgroup and its parents, each with whether it is v2's; `controller` is v1's.

    In a container, the kernel often names the path on the host, of which only the end is mounted: some of the folders
    do not exist.
    """
    found = []
    for line in _read_text(root / "proc/self/cgroup").splitlines():
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


def _read_text(path: Path) -> str:
    """Return the text of a file, an empty one if it cannot be read."""
    try:
        return path.read_text(encoding="ascii")
    except OSError:
        return ""


def _too_little_to_compare(limit: int, workers: int) -> str:
    needed = idle_memory(workers, compares=True) + LEAST_TO_COMPARE
    return (
        f"compare.percent: the memory limit of {limit // MIB} MiB is too small to compare; use at least "
        f"{needed // MIB} MiB (supervisor {SUPERVISOR // MIB}, {workers} x worker {WORKER // MIB}, "
        f"comparer {COMPARER // MIB}, buffers {LEAST_TO_COMPARE // MIB}), or set compare.percent to 0"
    )


def _lowered_by_descriptors(config: Config) -> Iterator[Event]:
    limit, wanted = limit_of_process(), config.settings.limits.max_connections
    shares = share_out(limit, wanted)
    if shares.clients < wanted:
        yield event(
            "limits.maxConnections is lowered to fit RLIMIT_NOFILE",
            configured=wanted,
            effective=shares.clients,
            nofile=limit,
        )
    mirrors = (mirror for route in config.routes() for mirror in route.mirrors)
    most = max((mirror.mirroring.max_in_flight for mirror in mirrors), default=0)
    if shares.shadows < most:
        yield event(
            "mirroring.maxInFlight is lowered to fit RLIMIT_NOFILE, for all mirrors of a worker",
            configured=most,
            effective=shares.shadows,
            nofile=limit,
        )


def _lowered_by_memory(config: Config) -> Iterator[Event]:
    settings = config.settings
    if settings.memory.heads_bytes < Memory().heads_bytes:
        yield event(
            "buffers of each worker are lowered to fit the memory limit",
            maxBufferedBytes=settings.max_buffered_bytes,
            heads=settings.memory.heads_bytes,
            retries=settings.memory.replays_bytes,
        )


def _quotas(root: Path) -> list[float]:
    found = []
    for folder, is_v2 in _cgroup_folders(root, "cpu"):
        quota = _quota_v2(folder) if is_v2 else _quota_v1(folder)
        if quota is not None:
            found.append(quota)
    return found


def _quota_v2(folder: Path) -> float | None:
    quota, _, period = _read_text(folder / "cpu.max").strip().partition(" ")
    return int(quota) / int(period) if quota.isdigit() and period.isdigit() else None


def _quota_v1(folder: Path) -> float | None:
    quota = _read_text(folder / "cpu.cfs_quota_us").strip()
    period = _read_text(folder / "cpu.cfs_period_us").strip()
    return int(quota) / int(period) if quota.isdigit() and period.isdigit() else None  # -1: no limit
