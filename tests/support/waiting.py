"""Bounded waits: a busy machine may be late, and a condition that never comes true fails the test."""

from __future__ import annotations

import time
from collections.abc import Callable
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
