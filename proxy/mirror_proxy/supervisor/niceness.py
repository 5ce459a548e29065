"""Let a thread yield to whoever needs the processor: workers first."""

from __future__ import annotations

import contextlib
import os
import threading

_NICENESS = 10


def yield_to_others() -> None:
    """Let this thread run when nobody else needs the processor (on Linux, a thread has its own niceness)."""
    with contextlib.suppress(OSError):  # somebody has us yield more than that already
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICENESS)
