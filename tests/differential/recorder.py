"""Origins that write down what reached them, and answer as the request's `x-answer` asks."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass

from tests.differential.answers import ANSWERS, HELD, SLOW_S
from tests.support.message import Message, read_body, read_head

CASE = b"x-case"
ANSWER = b"x-answer"
Visitor = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@dataclass(frozen=True)
class Arrival:
    """A request that reached the origin of a cluster."""

    cluster: str
    request: Message

    @property
    def case(self) -> str:
        """The number of the case it belongs to."""
        return b"".join(self.request.all(CASE)).decode()


class Recorder:
    """One origin on loopback for each cluster of a configuration; `ports` says where."""

    def __init__(self) -> None:
        self.arrivals: list[Arrival] = []
        self.ports: dict[str, int] = {}
        self._servers: list[asyncio.Server] = []
        self._visits: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._seen: Counter[tuple[str, str]] = Counter()
        self._reading = 0

    async def start(self, clusters: Iterable[str]) -> Recorder:
        """Listen for each of `clusters`."""
        for cluster in clusters:
            server = await asyncio.start_server(self._visitor(cluster), "127.0.0.1", 0)
            self.ports[cluster] = server.sockets[0].getsockname()[1]
            self._servers.append(server)
        return self

    async def close(self) -> None:
        """Stop listening and cut every connection."""
        for server in self._servers:
            server.close()
        for writer in self._writers:
            writer.transport.abort()
        for visit in self._visits:
            visit.cancel()
        await asyncio.gather(*self._visits, return_exceptions=True)

    def by_case(self) -> dict[str, list[Arrival]]:
        """Give what reached any cluster, by case and there ordered by cluster."""
        found: dict[str, list[Arrival]] = {}
        for arrival in sorted(self.arrivals, key=lambda one: one.cluster):
            found.setdefault(arrival.case, []).append(arrival)
        return found

    def is_quiet(self) -> bool:
        """Return whether every request that began to arrive is here whole, or has been cut off."""
        return self._reading == 0

    def _visitor(self, cluster: str) -> Visitor:
        async def visit(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None
            self._visits.add(task)
            task.add_done_callback(self._visits.discard)
            self._writers.add(writer)
            try:
                while await self._serve(cluster, reader, writer):
                    pass
            except (ConnectionError, EOFError, asyncio.CancelledError):
                pass
            finally:
                self._writers.discard(writer)
                writer.close()

        return visit

    async def _serve(self, cluster: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Read and answer one request; tell whether the connection goes on."""
        request = await read_head(reader)
        arrival = Arrival(cluster, request)
        self.arrivals.append(arrival)
        expectation = request.all(b"expect")
        if expectation:
            writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        self._reading += 1
        try:
            await read_body(reader, request)
        finally:
            self._reading -= 1
        name = b"".join(request.all(ANSWER)).decode()
        key = (cluster, arrival.case)
        self._seen[key] += 1
        if name in HELD:
            await asyncio.sleep(SLOW_S)
        if name == "flaky" and self._seen[key] <= 2:
            name = "unavailable"
        answer = ANSWERS.get(name, ANSWERS["plain"])
        end_of_head = answer.index(b"\r\n\r\n", answer.rindex(b"HTTP/1.1 ")) + 4
        is_head = request.method == b"HEAD"
        writer.write(answer[:end_of_head] if is_head else answer)
        await writer.drain()
        return b"\r\nconnection: close" not in answer and (is_head or name != "until_close")
