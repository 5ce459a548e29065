from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator

import pytest

from mirror_proxy.admin.work_thread import MOST_WAITING, BusyError, WorkThread


@pytest.fixture
def thread() -> Iterator[WorkThread]:
    made = WorkThread("views")
    yield made
    made.close()


async def test_work_is_done_in_another_thread_while_the_loop_turns(thread: WorkThread) -> None:
    goes_on = threading.Event()
    work = asyncio.create_task(thread.run(lambda: goes_on.wait() and threading.current_thread()))
    await asyncio.sleep(0)
    goes_on.set()
    assert await work is not threading.current_thread()


async def test_more_work_than_may_wait_is_refused_and_room_is_there_again_afterwards(
    thread: WorkThread,
) -> None:
    goes_on = threading.Event()
    waiting = [asyncio.create_task(thread.run(goes_on.wait)) for _ in range(MOST_WAITING)]
    await asyncio.sleep(0)
    with pytest.raises(BusyError, match="too many requests for views wait; try again"):
        await thread.run(lambda: None)
    goes_on.set()
    assert all(await asyncio.gather(*waiting))
    assert await thread.run(lambda: "again") == "again"


async def test_posted_work_is_done_before_what_is_asked_for_later(thread: WorkThread) -> None:
    done: list[int] = []
    for number in range(3):
        thread.post(lambda number=number: done.append(number))  # type: ignore[misc]
    assert await thread.run(done.copy) == [0, 1, 2]


async def test_work_for_a_closed_thread_is_cancelled(thread: WorkThread) -> None:
    thread.close()
    thread.post(lambda: None)
    with pytest.raises(asyncio.CancelledError):
        await thread.run(lambda: None)


async def test_an_error_of_the_work_is_raised(thread: WorkThread) -> None:
    with pytest.raises(ZeroDivisionError):
        await thread.run(lambda: 1 // 0)
