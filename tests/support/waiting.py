"""Bounded waits: a busy machine may be late, and a condition that never comes true fails the test."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

#: Far beyond what any wait takes on an idle machine.
BOUND_S = 60.0


def until(condition: Callable[[], Any], what: str) -> Any:
    """Return the condition's first true value; fail after `BOUND_S`."""
    end = time.monotonic() + BOUND_S
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.02)
    raise AssertionError(f"waited {BOUND_S} s in vain for: {what}")


def hurry(pid: int) -> None:
    """Schedule a comparer as other processes are, where that is allowed: beside a busy loop it would hardly run."""
    with suppress(OSError):
        for thread in Path(f"/proc/{pid}/task").iterdir():
            os.sched_setscheduler(int(thread.name), os.SCHED_OTHER, os.sched_param(0))
            os.setpriority(os.PRIO_PROCESS, int(thread.name), 0)
