from __future__ import annotations

import ast
import asyncio
from pathlib import Path

import pytest

import mirror_proxy
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


def test_task_names_are_fixed_words_as_they_become_a_label() -> None:
    found: list[ast.expr] = []
    for path in Path(mirror_proxy.__file__).parent.rglob("*.py"):
        calls = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
        makers = (
            {"Shared"} if path.name == "shared.py" else {"tasks.spawn", "Shared"}
        )  # it spawns by its own name
        found += [call.args[1] for call in calls if ast.unparse(call.func) in makers]
    assert found
    assert [ast.unparse(name) for name in found if not isinstance(name, ast.Constant)] == []
