"""Reap orphans: whose parent dies in a container becomes a child of its process 1, and that may be the supervisor.

The exit status of the supervisor's own children is read by whoever started them, so each orphan is waited for by its
number: waiting for any child would take theirs.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Container
from pathlib import Path


def reap(own: Container[int], proc: Path = Path("/proc/self/task")) -> int:
    """Wait for every child that has ended and is not among `own`; return how many there were."""
    reaped = 0
    for pid in _children(proc):
        if pid not in own:
            with contextlib.suppress(ChildProcessError):  # somebody has waited for it
                reaped += os.waitpid(pid, os.WNOHANG)[0] == pid
    return reaped


def _children(proc: Path) -> list[int]:
    """Return the children of every thread of this process."""
    found: list[int] = []
    for file in proc.glob("*/children"):
        with contextlib.suppress(OSError):  # the thread has ended
            found += map(int, file.read_text("ascii").split())
    return found
