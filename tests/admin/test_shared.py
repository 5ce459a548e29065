from __future__ import annotations

import asyncio

import pytest

from mirror_proxy import tasks
from mirror_proxy.admin.shared import Shared


class Work:
    """Runs that end when they are told to; each returns its number."""

    def __init__(self) -> None:
        self.begun = 0
        self.goes_on = asyncio.Event()
        self.shared = Shared(self._run, "work")

    async def _run(self) -> int:
        self.begun += 1
        number = self.begun
        await self.goes_on.wait()
        return number


async def turns() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_all_who_ask_at_the_same_time_share_one_run() -> None:
    work = Work()
    asked = [asyncio.create_task(work.shared.get()) for _ in range(100)]
    work.goes_on.set()
    assert set(await asyncio.gather(*asked)) == {1}


async def test_who_asks_while_a_run_is_under_way_gets_the_next_one_however_many_ask() -> None:
    work = Work()
    first = asyncio.create_task(work.shared.get())
    await turns()
    later = [asyncio.create_task(work.shared.get()) for _ in range(100)]
    await turns()
    assert work.begun == 1
    work.goes_on.set()
    assert await first == 1
    assert set(await asyncio.gather(*later)) == {2}
    assert await work.shared.get() == 3


async def test_who_leaves_does_not_end_the_run_for_others() -> None:
    work = Work()
    one, other = (asyncio.create_task(work.shared.get()) for _ in range(2))
    await turns()
    one.cancel()
    work.goes_on.set()
    assert await other == 1


async def test_an_error_is_raised_for_all_and_the_next_run_is_another(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tasks, "failures", {})
    runs = iter((ValueError("once"), None))

    async def run() -> str:
        error = next(runs)
        if error is not None:
            raise error
        return "well"

    shared = Shared(run, "run")
    found = await asyncio.gather(shared.get(), shared.get(), return_exceptions=True)
    assert [str(error) for error in found] == ["once", "once"]
    assert await shared.get() == "well"
    assert tasks.failures == {"run": 1}
