"""What wrk cannot do: many idle connections, and busy ones that notice what a shutdown loses."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass

from benchmarks.ports import HOST

REQUEST = b"GET /bench HTTP/1.1\r\nHost: bench\r\n\r\n"
HEAD_END = b"\r\n\r\n"


@contextmanager
def idle_connections(port: int, count: int) -> Iterator[None]:
    """Hold `count` connections open, each of which has had one request answered; fail if one was closed."""
    connections = []
    with ExitStack() as stack:
        for _ in range(count):
            connection = socket.create_connection((HOST, port), timeout=10)
            connections.append(stack.enter_context(closing(connection)))
            connection.sendall(REQUEST)
            if not connection.recv(4096).startswith(b"HTTP/1.1 200"):
                raise RuntimeError("an idle connection's only request was not answered with 200")
        yield
        if not all(is_open(connection) for connection in connections):
            raise RuntimeError("the proxy closed idle connections before their memory was read")


def is_open(connection: socket.socket) -> bool:
    """Return whether the peer has neither closed nor said anything more."""
    connection.setblocking(False)
    try:
        connection.recv(1, socket.MSG_PEEK)
    except BlockingIOError:
        return True
    except ConnectionError:
        return False
    return False


@dataclass(slots=True)
class Tally:
    """What became of the requests of busy connections."""

    answered: int = 0
    lost: int = 0


async def through_shutdown(port: int, count: int, shut_down: Callable[[], None], after_s: float) -> Tally:
    """Keep `count` connections busy, `shut_down` after a while, return when all connections have ended."""
    tally = Tally()
    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        for _ in range(count):
            group.create_task(_stay_busy(port, tally))
        await asyncio.sleep(after_s)
        shut_down()
    return tally


async def _stay_busy(port: int, tally: Tally) -> None:
    """Send one request after another until told `Connection: close`, closed between two, or one is lost."""
    reader, writer = await asyncio.open_connection(HOST, port)
    with closing(writer):
        while not reader.at_eof():
            try:
                writer.write(REQUEST)
                head = (await reader.readuntil(HEAD_END)).lower()
                await reader.readexactly(content_length(head))
            except (asyncio.IncompleteReadError, ConnectionError):
                tally.lost += 1
                return
            if not head.startswith(b"http/1.1 200"):
                tally.lost += 1
                return
            tally.answered += 1
            if b"\r\nconnection: close\r\n" in head:
                return


def content_length(head: bytes) -> int:
    """Return the length of the body that follows `head` (lower case); 0 when it names none."""
    return int(head.partition(b"\r\ncontent-length:")[2].partition(b"\r\n")[0] or 0)
