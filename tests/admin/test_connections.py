"""Connections of one listener: how many, for how long, and who goes for another."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator

import pytest

from mirror_proxy.admin import connections
from mirror_proxy.admin.connections import HEAD_S, IDLE_S, Connection, Connections
from tests.support.plane import until

MOST = 3


class Inner(asyncio.Protocol):
    """Serves nothing, and keeps what came."""

    def __init__(self) -> None:
        self.received = b""

        self.is_made = False

    def connection_made(self, _: asyncio.BaseTransport) -> None:
        self.is_made = True

    def connection_lost(self, _: Exception | None) -> None:
        assert self.is_made

    def data_received(self, data: bytes) -> None:
        self.received += data


class AdminListener:
    """A listener with a clock of its own."""

    def __init__(self) -> None:
        self.time = 100.0
        self.ended = {"over_limit": 0, "timeout": 0}
        self.sock = socket.create_server(("127.0.0.1", 0))
        self.inner: list[Inner] = []
        self.connections = Connections(self.sock, self._make, self.ended)
        self.connections.now = lambda: self.time
        self.clients: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    @property
    def open(self) -> list[Connection]:
        return list(self.connections._open)

    def _make(self) -> Inner:
        self.inner.append(Inner())
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
async def listener(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[AdminListener]:
    monkeypatch.setattr(connections, "MOST", MOST)
    made = AdminListener()
    yield made
    await made.close()


async def lost(reader: asyncio.StreamReader) -> bool:
    try:
        return await reader.read() == b""
    except ConnectionResetError:
        return True


async def test_the_connection_that_has_waited_for_longest_goes_for_a_new_one(listener: AdminListener) -> None:
    first = await listener.connect()
    for _ in range(MOST):
        await listener.connect()
    assert await lost(first)
    assert len(listener.connections) == MOST
    assert listener.ended == {"over_limit": 1, "timeout": 0}


async def test_one_that_works_for_its_client_stays(listener: AdminListener) -> None:
    await listener.connect()
    listener.open[0].work()
    second = await listener.connect()
    for _ in range(MOST):
        await listener.connect()
    assert await lost(second)
    assert not listener.clients[0][0].at_eof()


async def test_where_all_work_a_new_connection_is_answered_503(listener: AdminListener) -> None:
    for _ in range(MOST):
        await listener.connect()
    for connection in listener.open:
        connection.work()
    answer = await (await listener.connect()).read()
    assert answer.startswith(b"HTTP/1.1 503 Service Unavailable\r\n")
    assert answer.endswith(b'{"error": "too many connections; try again soon"}')
    assert len(listener.connections) == MOST
    assert listener.ended == {"over_limit": 1, "timeout": 0}


async def test_descriptors_are_left_for_workers(
    listener: AdminListener, monkeypatch: pytest.MonkeyPatch
) -> None:
    await listener.connect()
    listener.open[0].work()
    monkeypatch.setattr(listener.connections, "_last_descriptor", 0)
    assert (await (await listener.connect()).read()).startswith(b"HTTP/1.1 503 ")


async def test_a_head_must_end_in_time_however_slowly_it_comes(listener: AdminListener) -> None:
    reader = await listener.connect()
    for byte in b"GET / HTT":
        listener.time += HEAD_S / 10
        listener.connections.end_overdue(listener.time)
        await listener.send(0, bytes([byte]))
    assert len(listener.connections) == 1
    listener.time += HEAD_S / 10
    listener.connections.end_overdue(listener.time)
    assert await lost(reader)
    assert listener.ended == {"over_limit": 0, "timeout": 1}


async def test_an_idle_connection_has_longer_until_its_next_request_begins(listener: AdminListener) -> None:
    reader = await listener.connect()
    [connection] = listener.open
    connection.work()
    listener.connections.end_overdue(listener.time + 1e9)
    connection.wait(IDLE_S)
    listener.connections.end_overdue(listener.time + IDLE_S - 1)
    assert len(listener.connections) == 1
    await listener.send(0, b"G")
    listener.connections.end_overdue(listener.time + HEAD_S)
    assert await lost(reader)


async def test_a_client_that_leaves_is_counted_out(listener: AdminListener) -> None:
    await listener.connect()
    listener.clients[0][1].close()
    await until(lambda: not len(listener.connections), "the client to leave")
    assert listener.ended == {"over_limit": 0, "timeout": 0}


async def test_a_connection_that_goes_before_it_is_made_is_closed(listener: AdminListener) -> None:
    for _ in range(MOST + 1):  # all at once: they are accepted in one turn
        listener.clients.append(await asyncio.open_connection(*listener.sock.getsockname()))
        listener.time += 1
    await until(lambda: len(listener.inner) > MOST, "all to be accepted")
    assert await lost(listener.clients[0][0])
    assert len(listener.connections) == MOST


class Transport(asyncio.Transport):
    is_aborted = False

    def abort(self) -> None:
        self.is_aborted = True


async def test_connection_ended_before_its_transport_is_attached_never_reaches_the_server(
    listener: AdminListener,
) -> None:
    inner, transport = Inner(), Transport()
    connection = Connection(inner, listener.connections)
    connection.end()
    connection.connection_made(transport)
    connection.connection_lost(None)
    assert transport.is_aborted
    assert not inner.is_made
