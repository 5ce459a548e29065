"""Heads that do not come to an end: together they hold what they may, and the oldest make room."""

from __future__ import annotations

import asyncio

from mirror_proxy.config.model import Memory
from mirror_proxy.downstream.state import HeadBudget
from tests.conftest import Connect, MakeOrigin, MakePlane
from tests.support.client import Client, get, post
from tests.support.origin import OK, Visit
from tests.support.plane import Plane, until

HALF = b"GET / HTTP/1.1\r\nhost: shop\r\nx: "
KIB = 1024


class Sender:
    """A connection that is refused when it is told so."""

    def __init__(self, budget: HeadBudget) -> None:
        self.budget = budget
        self.is_refused = False

    def refuse_head(self) -> None:
        self.is_refused = True
        self.budget.drop(self)


def test_the_oldest_is_refused_however_much_it_holds() -> None:
    budget = HeadBudget(100)
    first, second, third = Sender(budget), Sender(budget), Sender(budget)
    budget.set_size(first, 10)
    budget.set_size(second, 60)
    budget.set_size(first, 30)
    assert not first.is_refused
    budget.set_size(third, 20)
    assert [one.is_refused for one in (first, second, third)] == [True, False, False]
    assert budget.used_bytes == 80
    budget.drop(second)
    budget.drop(second)
    assert budget.used_bytes == 20


def test_one_that_is_larger_than_the_budget_is_refused_itself() -> None:
    budget = HeadBudget(100)
    only = Sender(budget)
    budget.set_size(only, 101)
    assert only.is_refused
    assert budget.used_bytes == 0


def test_a_request_that_waits_is_counted_until_its_head_is_read_or_there_is_no_room() -> None:
    budget = HeadBudget(100)
    first, second = Sender(budget), Sender(budget)
    assert budget.queue(first, 60)
    assert not budget.queue(second, 50)
    assert budget.used_bytes == 60
    budget.set_size(first, 70)
    assert budget.used_bytes == 70
    assert budget.queue(second, 30)
    assert not budget.queue(second, 31)
    assert (budget.used_bytes, first.is_refused, second.is_refused) == (70, False, False)
    budget.drop(first)
    assert budget.used_bytes == 0


async def half_heads(served: Plane, connect: Connect, count: int, size: int) -> list[Client]:
    clients = []
    for number in range(1, count + 1):
        clients.append(await connect(served))
        await clients[-1].send(HALF + b"a" * (size - len(HALF)))
        await until(lambda: served.inner._downstream.heads.used_bytes == number * size, "half a head")  # noqa: B023
    return clients


async def test_half_heads_beyond_the_budget_push_the_oldest_out(
    origin: MakeOrigin, plane: MakePlane, connect: Connect
) -> None:
    v1 = await origin()
    served = await plane(v1, settings={"memory": Memory(heads_bytes=64 * KIB)})
    first, second, *_, last = await half_heads(served, connect, 8, 8 * KIB)
    client = await connect(served)
    assert (await client.ask(get())).status == 200
    await last.send(b"a" * KIB)
    refused = await first.response()
    assert (refused.status, refused.body) == (503, b"too many unfinished heads\n")
    assert refused.get(b"connection") == b"close"
    assert await first.is_closed()
    assert served.count("downstream_bad_requests_total", "503") == 1
    for one in (second, last):
        assert (await one.ask(b"\r\n\r\n")).status == 200
    assert len(v1.requests) == 3


async def test_a_head_that_is_finished_refused_or_gone_is_counted_out(
    origin: MakeOrigin, plane: MakePlane, connect: Connect
) -> None:
    served = await plane(await origin())
    finished, broken, left = await half_heads(served, connect, 3, KIB)
    assert (await finished.ask(b"\r\n\r\n")).status == 200
    assert (await broken.ask(b"\n")).status == 400
    left.reset()
    await until(lambda: served.inner._downstream.heads.used_bytes == 0, "all to be counted out")


async def test_a_head_that_is_late_is_counted_out(
    origin: MakeOrigin, plane: MakePlane, connect: Connect
) -> None:
    served = await plane(await origin(), limits={"head_timeout_s": 0.05})
    late = await connect(served)
    await late.send(HALF)
    assert (await late.response()).status == 408
    await until(lambda: served.inner._downstream.heads.used_bytes == 0, "it to be counted out")


async def test_a_pipelined_half_head_counts_too(
    origin: MakeOrigin, plane: MakePlane, connect: Connect
) -> None:
    served = await plane(await origin())
    client = await connect(served)
    assert (await client.ask(get() + HALF)).status == 200
    await until(lambda: served.inner._downstream.heads.used_bytes == len(HALF), "the second head's half")
    assert (await client.ask(b"\r\n\r\n")).status == 200
    assert served.inner._downstream.heads.used_bytes == 0


async def test_a_pipelined_request_without_room_is_dropped_and_the_one_before_it_is_answered(
    origin: MakeOrigin, plane: MakePlane, connect: Connect
) -> None:
    release = asyncio.Event()

    async def held(visit: Visit) -> None:
        await visit.request()
        await release.wait()
        await visit.send(OK)

    v1 = await origin(held)
    served = await plane(v1, settings={"memory": Memory(heads_bytes=64 * KIB)})
    clients = [await connect(served) for _ in range(10)]
    for client in clients:
        await client.send(get() + HALF + b"a" * (30 * KIB))
    await until(lambda: len(v1.requests) == 10, "every first request")
    heads = served.inner._downstream.heads
    await until(lambda: heads.used_bytes == 2 * (len(HALF) + 30 * KIB), "two to wait")
    for client in clients:
        await client.send(b"a" * 10)
    release.set()
    assert [(await client.response()).status for client in clients] == [200] * 10
    assert [await client.is_closed() for client in clients[2:]] == [True] * 8
    assert len(v1.requests) == 10
    for client in clients[:2]:
        assert (await client.ask(b"\r\n\r\n")).status == 200
    assert heads.used_bytes == 0


async def test_bodies_beyond_the_budget_are_not_kept_for_a_retry(
    origin: MakeOrigin, plane: MakePlane, connect: Connect
) -> None:
    v1 = await origin()
    served = await plane(v1, settings={"memory": Memory(replays_bytes=64 * KIB)})
    downstream = served.inner._downstream
    clients = [await connect(served) for _ in range(8)]
    body = bytes(20 * KIB)
    for number, client in enumerate(clients, 1):
        await client.send(post(body)[:-1])
        await until(lambda: len(v1.requests) == number, "its head")  # noqa: B023
        await until(lambda: len(v1.requests[-1].body) == len(body) - 1, "its body")
    assert 40 * KIB <= downstream.replay_bytes <= 64 * KIB
    assert {(await client.ask(b"\0")).status for client in clients} == {200}
    assert downstream.replay_bytes == 0
    assert [len(request.body) for request in v1.requests] == [len(body)] * 8
