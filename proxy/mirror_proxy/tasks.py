"""Background tasks: named, referenced until they end, their failures logged and counted.

The only `create_task` in the package. A task without a reference may be collected while it waits, and a task
that is never awaited fails in silence; `spawn` prevents both.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any, TypeVar

from mirror_proxy.telemetry.event import event

T = TypeVar("T")

#: Unforeseen failures by task name, for `task_failures_total`.
failures: dict[str, int] = {}

_running: set[asyncio.Task[Any]] = set()
_log = logging.getLogger(__name__)


def spawn(coro: Coroutine[Any, Any, T], name: str) -> asyncio.Task[T]:
    """Run `coro` in the background; `name` is a fixed word, for it becomes a label."""
    task = asyncio.get_running_loop().create_task(coro, name=name)
    _running.add(task)
    task.add_done_callback(_on_done)
    return task


def _on_done(task: asyncio.Task[Any]) -> None:
    _running.discard(task)
    if task.cancelled():
        return
    error = task.exception()
    if error is not None:
        name = task.get_name()
        failures[name] = failures.get(name, 0) + 1
        _log.error(event("task failed", task=name, error=repr(error)), exc_info=error)
