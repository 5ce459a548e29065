"""More clients than there may be: who goes, who is refused, who waits, and that none is reset."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path

import pytest

from mirror_proxy.config.model import ListenerTls
from mirror_proxy.downstream import listener, refusal
from tests.conftest import Connect, MakeOrigin, MakePlane
from tests.support.certificates import Authority
from tests.support.client import Client, get, post
from tests.support.origin import OK, Visit
from tests.support.plane import Plane, until


class HeldScript:
    """An origin's script: `/held` is answered once `release` is set, everything else at once."""

    def __init__(self) -> None:
        self.release = asyncio.Event()

    async def __call__(self, visit: Visit) -> None:
        while True:
            request = await visit.request()
            if request.target == b"/held":
                await self.release.wait()
            await visit.send(OK)


async def refused(client: Client, data: bytes = get()) -> None:
    response = await client.ask(data)
    assert (response.status, response.body) == (503, b"too many connections\n")
    assert response.get(b"connection") == b"close"
    assert response.get(b"x-envoy-local-overloaded") == b"true"
    assert await client.is_closed()


async def full(served: Plane, connect: Connect, count: int) -> list[Client]:
    """Have `count` clients wait for an answer."""
    clients = [await connect(served) for _ in range(count)]
    for client in clients:
        await client.send(get(b"/held"))
    await until(lambda: served.count("downstream_requests_active") == count, "requests to be held")
    return clients


async def test_the_connection_that_is_idle_longest_makes_room_for_a_new_client(
    origin: MakeOrigin, plane: MakePlane, connect: Connect
) -> None:
    served = await plane(await origin(), limits={"max_connections": 3})
    first, second, third = [await connect(served) for _ in range(3)]
    for client in (second, first, third):
        assert (await client.ask(get())).status == 200
    fourth = await connect(served)
    assert (await fourth.ask(get())).status == 200
    assert await second.is_closed()
    assert [(await client.ask(get())).status for client in (first, third, fourth)] == [200] * 3
    assert served.count("downstream_connections_active") == 3
    assert served.count("downstream_connections_rejected_total") == 0


async def test_a_silent_connection_makes_room_before_one_that_has_just_been_used(
    origin: MakeOrigin, plane: MakePlane, connect: Connect
) -> None:
    limits = {"max_connections": 2, "head_timeout_s": 30.0, "idle_timeout_s": 60.0}
    served = await plane(await origin(), limits=limits)
    silent, used = await connect(served), await connect(served)
    assert (await used.ask(get())).status == 200
    assert (await (await connect(served)).ask(get())).status == 200
    assert await silent.is_closed()
    assert (await used.ask(get())).status == 200


async def test_a_connection_that_has_just_come_stays_and_one_that_has_been_idle_makes_room(
    origin: MakeOrigin, plane: MakePlane, connect: Connect
) -> None:
    limits = {"max_connections": 2, "head_timeout_s": 30.0, "idle_timeout_s": 60.0}
    served = await plane(await origin(), limits=limits)
    used = await connect(served)
    assert (await used.ask(get())).status == 200
    fresh = await connect(served)
    await until(lambda: len(served.inner._downstream.connections) == 2, "the fresh connection")
    assert (await (await connect(served)).ask(get())).status == 200
    assert await used.is_closed()
    assert (await fresh.ask(get())).status == 200


@pytest.mark.parametrize("data", [get(), post(bytes(3 << 20))], ids=["GET", "large POST"])
async def test_a_client_gets_503_when_every_connection_is_busy(
    origin: MakeOrigin, plane: MakePlane, connect: Connect, data: bytes
) -> None:
    held = HeldScript()
    v1 = await origin(held)
    served = await plane(v1, limits={"max_connections": 2})
    busy = await full(served, connect, 2)
    for number in range(1, 11):
        await refused(await connect(served), data)
        assert served.count("downstream_connections_rejected_total") == number
    assert served.count("downstream_connections_active") == 2
    held.release.set()
    assert [(await client.response()).status for client in busy] == [200, 200]
    assert (await (await connect(served)).ask(get())).status == 200


async def test_half_a_head_is_not_idle(origin: MakeOrigin, plane: MakePlane, connect: Connect) -> None:
    served = await plane(await origin(), limits={"max_connections": 1})
    slow = await connect(served)
    assert (await slow.ask(get())).status == 200
    await slow.send(get()[:-2])
    await until(lambda: not any(one.is_idle for one in served.inner._downstream.connections), "half a head")
    await refused(await connect(served))
    assert (await slow.ask(b"\r\n")).status == 200


async def test_a_silent_client_gets_503_too(
    origin: MakeOrigin, plane: MakePlane, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(refusal, "PATIENCE_S", 0.05)
    held = HeldScript()
    served = await plane(await origin(held), limits={"max_connections": 1})
    await full(served, connect, 1)
    silent = await connect(served)
    assert (await silent.response()).status == 503
    await until(lambda: not served.inner._downstream.refused, "the silent one to be cut off")
    held.release.set()


async def test_a_client_that_leaves_instead_of_asking_is_no_refusal_that_lasts(
    origin: MakeOrigin, plane: MakePlane, connect: Connect
) -> None:
    held = HeldScript()
    served = await plane(await origin(held), limits={"max_connections": 1})
    await full(served, connect, 1)
    for leave in (Client.reset, Client.half_close):
        gone = await connect(served)
        await until(lambda: served.inner._downstream.refused == 1, "the refusal")
        leave(gone)
        await until(lambda: not served.inner._downstream.refused, "its end")
    held.release.set()


async def test_a_client_waits_in_the_queue_while_as_many_as_may_be_are_refused(
    origin: MakeOrigin, plane: MakePlane, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listener, "MOST_REFUSED", 2)
    held = HeldScript()
    served = await plane(await origin(held), limits={"max_connections": 1})
    (busy,) = await full(served, connect, 1)
    silent = [await connect(served) for _ in range(2)]
    await until(lambda: served.inner._downstream.refused == 2, "both refusals")
    waiting = await connect(served)
    await waiting.send(get())
    held.release.set()
    assert (await busy.response()).status == 200
    assert (await waiting.response()).status == 200
    for client in silent:
        client.reset()
    assert served.count("downstream_connections_rejected_total") == 2


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


async def test_a_handshake_counts_as_a_connection_from_accept_on(
    origin: MakeOrigin, plane: MakePlane, connect: Connect, authority: Authority
) -> None:
    tls = ListenerTls(*authority.issue("localhost"))
    served = await plane(await origin(), tls=tls, limits={"max_connections": 3})
    silent = [await connect(served) for _ in range(3)]
    await until(lambda: served.count("downstream_connections_active") == 3, "three handshakes")
    await refused(await connect(served, tls=authority.client()))
    silent[0].reset()
    await until(lambda: served.count("downstream_connections_active") == 2, "one to be gone")
    client = await connect(served, tls=authority.client())
    assert (await client.ask(get())).status == 200
    assert served.count("downstream_connections_active") == 3
    assert served.count("downstream_connections_total") == 5


async def test_a_handshake_that_fails_is_counted_out(
    origin: MakeOrigin, plane: MakePlane, connect: Connect, authority: Authority
) -> None:
    tls = ListenerTls(*authority.issue("localhost"))
    served = await plane(await origin(), tls=tls, limits={"max_connections": 1, "head_timeout_s": 1.0})
    for _ in range(3):
        plain = await connect(served)
        await plain.send(get())
        assert await plain.is_closed() or True  # an alert comes first
        await until(lambda: served.count("downstream_connections_active") == 0, "it to be counted out")
    assert await (await connect(served)).is_closed()  # by the timeout
    with pytest.raises((ConnectionError, ssl.SSLError)):
        await connect(served, tls=Authority.client(Authority(Path(authority.file).parent, "strangers")))
    await until(lambda: served.count("downstream_connections_active") == 0, "all to be counted out")
    assert (await (await connect(served, tls=authority.client())).ask(get())).status == 200
