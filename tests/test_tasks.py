from __future__ import annotations

import asyncio

import pytest

from mirror_proxy import tasks


async def test_a_task_that_fails_is_logged_and_counted_by_name(caplog: pytest.LogCaptureFixture) -> None:
    async def fail() -> None:
        raise ValueError("no luck")

    before = tasks.failures.get("unlucky", 0)
    await asyncio.wait([tasks.spawn(fail(), "unlucky")])
    assert tasks.failures.pop("unlucky") == before + 1
    assert "task failed task=unlucky error=\"ValueError('no luck')\"" in caplog.text


async def test_a_cancelled_task_is_not_a_failure(caplog: pytest.LogCaptureFixture) -> None:
    task = tasks.spawn(asyncio.Event().wait(), "waits")
    task.cancel()
    await asyncio.wait([task])
    assert "waits" not in tasks.failures
    assert caplog.records == []


async def test_a_task_is_kept_while_it_runs_and_let_go_after() -> None:
    done = asyncio.Event()
    task = tasks.spawn(done.wait(), "kept")
    assert task in tasks._running
    done.set()
    assert await task is True
    assert task not in tasks._running
