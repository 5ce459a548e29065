from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator

import pytest

from mirror_proxy.admin.beside import MOST_WAITING, Beside, BusyError


@pytest.fixture
def beside() -> Iterator[Beside]:
    made = Beside("views")
    yield made
    made.close()


async def test_work_is_done_in_another_thread_while_the_loop_turns(beside: Beside) -> None:
    goes_on = threading.Event()
    work = asyncio.create_task(beside.run(lambda: goes_on.wait() and threading.current_thread()))
    await asyncio.sleep(0)
    goes_on.set()
    assert await work is not threading.current_thread()


async def test_more_work_than_may_wait_is_refused_and_room_is_there_again_afterwards(beside: Beside) -> None:
    goes_on = threading.Event()
    waiting = [asyncio.create_task(beside.run(goes_on.wait)) for _ in range(MOST_WAITING)]
    await asyncio.sleep(0)
    with pytest.raises(BusyError, match="too many requests for views wait; try again"):
        await beside.run(lambda: None)
    goes_on.set()
    assert all(await asyncio.gather(*waiting))
    assert await beside.run(lambda: "again") == "again"


async def test_posted_work_is_done_before_what_is_asked_for_later(beside: Beside) -> None:
    done: list[int] = []
    for number in range(3):
        beside.post(lambda number=number: done.append(number))  # type: ignore[misc]
    assert await beside.run(done.copy) == [0, 1, 2]


async def test_work_for_a_closed_thread_is_cancelled(beside: Beside) -> None:
    beside.close()
    beside.post(lambda: None)
    with pytest.raises(asyncio.CancelledError):
        await beside.run(lambda: None)


async def test_an_error_of_the_work_is_raised(beside: Beside) -> None:
    with pytest.raises(ZeroDivisionError):
        await beside.run(lambda: 1 // 0)
