"""Divide the container's memory limit between the workers' buffers and the comparer.

The memory of idle processes is subtracted first. Only a part of the rest is divided: sockets, responses in flight and
the allocator need memory that no budget counts. The figures for idle processes were measured in the container image
(anonymous memory and their share of mapped files, `smaps_rollup`) and rounded up.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mirror_proxy.config.model import Memory
from mirror_proxy.supervisor.cgroup import folders, read

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


def limit(root: Path = Path("/")) -> int | None:
    """Return the smallest memory limit of our cgroup and its parents; None: there is none."""
    found = []
    for folder, is_v2 in folders(root, "memory"):
        text = read(folder / ("memory.max" if is_v2 else "memory.limit_in_bytes")).strip()
        if text.isdigit() and int(text) < _NO_LIMIT:
            found.append(int(text))
    return min(found, default=None)


def idle(workers: int, *, compares: bool) -> int:
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
