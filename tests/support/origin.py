"""A scripted origin on loopback: each connection runs a coroutine that reads, answers, stalls, resets or lies.

Everything that reaches it is recorded as it came, so that a test can say what an upstream saw and what it
never saw. A script's own failure is raised when the origin closes.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import struct
from collections.abc import Awaitable, Callable

from tests.support.message import Message, read_body, read_head

Script = Callable[["Visit"], Awaitable[None]]
Answer = Callable[[Message], bytes]

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


class Visit:
    """One connection to the origin; `number` counts them from 0."""

    def __init__(
        self, origin: Origin, number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.origin = origin
        self.number = number
        self.reader = reader
        self.writer = writer

    async def head(self) -> Message:
        """Read and record a request's head."""
        message = await read_head(self.reader)
        self.origin.requests.append(message)
        return message

    async def body(self, message: Message) -> None:
        """Read the rest of the request that `head` gave."""
        await read_body(self.reader, message)

    async def request(self) -> Message:
        """Read a whole request."""
        message = await self.head()
        await self.body(message)
        return message

    async def send(self, data: bytes) -> None:
        """Send bytes as they are."""
        if self.writer.transport.is_closing():
            raise ConnectionResetError
        self.writer.write(data)
        await self.writer.drain()

    def reset(self) -> None:
        """Cut the connection with a RST."""
        raw = self.writer.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()

    def half_close(self) -> None:
        """Send a FIN and go on reading."""
        self.writer.write_eof()

    async def gone(self) -> None:
        """Wait until the peer has closed or reset, discarding what it still sends."""
        with contextlib.suppress(ConnectionError):
            while await self.reader.read(65536):
                pass


class Origin:
    """The listening side; `requests` are the heads that arrived, with what came of their bodies."""

    def __init__(self, script: Script) -> None:
        self.requests: list[Message] = []
        self.visits: list[Visit] = []
        self.open = 0
        self.host = ""
        self.port = 0
        self._script = script
        self._tasks: set[asyncio.Task[None]] = set()
        self._errors: list[BaseException] = []
        self._server: asyncio.Server

    async def start(
        self, host: str = "127.0.0.1", port: int = 0, tls: ssl.SSLContext | None = None
    ) -> Origin:
        """Listen; port 0 takes a free one."""
        self._server = await asyncio.start_server(self._on_visit, host, port, ssl=tls)
        self.host, self.port = self._server.sockets[0].getsockname()[:2]
        return self

    async def start_unix(self, path: str, tls: ssl.SSLContext | None = None) -> Origin:
        """Listen on a unix socket."""
        self._server = await asyncio.start_unix_server(self._on_visit, path, ssl=tls)
        return self

    async def close(self) -> None:
        """Cut every connection; raise what a script failed with."""
        self._server.close()
        for visit in self.visits:
            visit.writer.transport.abort()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._errors:
            raise self._errors[0]

    async def _on_visit(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        visit = Visit(self, len(self.visits), reader, writer)
        self.visits.append(visit)
        task = asyncio.create_task(self._run(visit))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        await asyncio.wait([task])

    async def _run(self, visit: Visit) -> None:
        self.open += 1
        try:
            await self._script(visit)
        except (ConnectionError, EOFError, asyncio.CancelledError):
            pass
        except Exception as error:  # noqa: BLE001 - an assertion in a script belongs to the test
            self._errors.append(error)
        finally:
            self.open -= 1
            visit.writer.close()


def answering(answer: bytes | Answer) -> Script:
    """Serve every request of every connection with the same bytes, or with what `answer` makes of it."""

    async def serve(visit: Visit) -> None:
        while True:
            request = await visit.request()
            await visit.send(answer if isinstance(answer, bytes) else answer(request))

    return serve


def answering_after(go: asyncio.Event) -> Script:
    """Serve every request of every connection once `go` is set."""

    async def serve(visit: Visit) -> None:
        while True:
            await visit.request()
            await go.wait()
            await visit.send(OK)

    return serve


async def stall(visit: Visit) -> None:
    """Accept and read the first head, then neither read nor answer."""
    await visit.head()
    await asyncio.Event().wait()


async def never_read(visit: Visit) -> None:
    """Accept, and nothing else."""
    visit.writer.transport.pause_reading()  # type: ignore[attr-defined]  # transports of streams can
    await asyncio.Event().wait()
