"""Connections of one door: how many, for how long, and who goes for another."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator

import pytest

from mirror_proxy.admin import connections
from mirror_proxy.admin.connections import HEAD_S, IDLE_S, Connection, Connections
from tests.support.plane import until

MOST = 3


class Held(asyncio.Protocol):
    """Serves nothing, and keeps what came."""

    def __init__(self) -> None:
        self.received = b""

    def data_received(self, data: bytes) -> None:
        self.received += data


class Door:
    """A door with a clock of its own."""

    def __init__(self) -> None:
        self.time = 100.0
        self.ended = {"over_limit": 0, "timeout": 0}
        self.sock = socket.create_server(("127.0.0.1", 0))
        self.inner: list[Held] = []
        self.connections = Connections(self.sock, self._make, self.ended)
        self.connections.now = lambda: self.time
        self.clients: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    @property
    def open(self) -> list[Connection]:
        return list(self.connections._open)

    def _make(self) -> Held:
        self.inner.append(Held())
        return self.inner[-1]

    async def connect(self) -> asyncio.StreamReader:
        """Connect, a second after whoever was before; return what reads the answer."""
        self.time += 1
        accepted = len(self.inner)
        refused = self.ended["over_limit"]
        self.clients.append(await asyncio.open_connection(*self.sock.getsockname()))
        await until(
            lambda: len(self.inner) > accepted or self.ended["over_limit"] > refused, "the connection"
        )
        return self.clients[-1][0]

    async def send(self, client: int, data: bytes) -> None:
        self.clients[client][1].write(data)
        await until(lambda: self.inner[client].received.endswith(data), "the data")

    async def close(self) -> None:
        self.connections.close()
        self.sock.close()
        for _, writer in self.clients:
            writer.close()
        for connection in self.open:
            connection.end()
        await asyncio.sleep(0)


@pytest.fixture
async def door(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Door]:
    monkeypatch.setattr(connections, "MOST", MOST)
    made = Door()
    yield made
    await made.close()


async def lost(reader: asyncio.StreamReader) -> bool:
    try:
        return await reader.read() == b""
    except ConnectionResetError:
        return True


async def test_the_connection_that_has_waited_for_longest_goes_for_a_new_one(door: Door) -> None:
    first = await door.connect()
    for _ in range(MOST):
        await door.connect()
    assert await lost(first)
    assert len(door.connections) == MOST
    assert door.ended == {"over_limit": 1, "timeout": 0}


async def test_one_that_works_for_its_client_stays(door: Door) -> None:
    await door.connect()
    door.open[0].work()
    second = await door.connect()
    for _ in range(MOST):
        await door.connect()
    assert await lost(second)
    assert not door.clients[0][0].at_eof()


async def test_where_all_work_a_new_connection_is_answered_503(door: Door) -> None:
    for _ in range(MOST):
        await door.connect()
    for connection in door.open:
        connection.work()
    answer = await (await door.connect()).read()
    assert answer.startswith(b"HTTP/1.1 503 Service Unavailable\r\n")
    assert answer.endswith(b'{"error": "too many connections; try again soon"}')
    assert len(door.connections) == MOST
    assert door.ended == {"over_limit": 1, "timeout": 0}


async def test_descriptors_are_left_for_workers(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    await door.connect()
    door.open[0].work()
    monkeypatch.setattr(door.connections, "_last_descriptor", 0)
    assert (await (await door.connect()).read()).startswith(b"HTTP/1.1 503 ")


async def test_a_head_must_end_in_time_however_slowly_it_comes(door: Door) -> None:
    reader = await door.connect()
    for byte in b"GET / HTT":
        door.time += HEAD_S / 10
        door.connections.end_overdue(door.time)
        await door.send(0, bytes([byte]))
    assert len(door.connections) == 1
    door.time += HEAD_S / 10
    door.connections.end_overdue(door.time)
    assert await lost(reader)
    assert door.ended == {"over_limit": 0, "timeout": 1}


async def test_an_idle_connection_has_longer_until_its_next_request_begins(door: Door) -> None:
    reader = await door.connect()
    [connection] = door.open
    connection.work()
    door.connections.end_overdue(door.time + 1e9)
    connection.wait(IDLE_S)
    door.connections.end_overdue(door.time + IDLE_S - 1)
    assert len(door.connections) == 1
    await door.send(0, b"G")
    door.connections.end_overdue(door.time + HEAD_S)
    assert await lost(reader)


async def test_a_client_that_leaves_is_counted_out(door: Door) -> None:
    await door.connect()
    door.clients[0][1].close()
    await until(lambda: not len(door.connections), "the client to leave")
    assert door.ended == {"over_limit": 0, "timeout": 0}


async def test_a_connection_that_goes_before_it_is_made_is_closed(door: Door) -> None:
    for _ in range(MOST + 1):  # all at once: they are accepted in one turn
        door.clients.append(await asyncio.open_connection(*door.sock.getsockname()))
        door.time += 1
    await until(lambda: len(door.inner) > MOST, "all to be accepted")
    assert await lost(door.clients[0][0])
    assert len(door.connections) == MOST
