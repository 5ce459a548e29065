"""Pace: requests at a steady rate, whatever the proxy does meanwhile, each timed from when it was due.

What a slow answer makes late counts against that answer (wrk waits with it and so does not see that).
"""

from __future__ import annotations

import asyncio
import http.client
import json
import time
from contextlib import closing
from dataclasses import dataclass, field

from benchmarks.clients import HEAD_END, content_length
from benchmarks.ports import HOST

REQUEST = "GET /bench/{0:04}/item HTTP/1.1\r\nHost: {0:04}.bench.example\r\n\r\n"
LOOK_S = 0.1

#: Begin and end, in seconds of `time.monotonic`.
Span = tuple[float, float]


@dataclass(slots=True)
class Timed:
    """Requests that were answered 200: when each was due, and how long it then took; the others are `failed`."""

    latencies: list[tuple[float, float]] = field(default_factory=list)
    failed: int = 0

    def p99_s(self, spans: list[Span]) -> float:
        """Return the 99th percentile of the requests due within any of the spans."""
        chosen = sorted(
            took for due, took in self.latencies if any(begin <= due < end for begin, end in spans)
        )
        if not chosen:
            raise RuntimeError("no request was answered within the time looked at")
        return chosen[int(len(chosen) * 0.99)]


async def keep_pace(port: int, per_second: int, connections: int, routes: int, timed: Timed) -> None:
    """Ask for one of `routes` after the other, spread over connections, until cancelled."""
    start, interval = time.monotonic(), 1 / per_second
    async with asyncio.TaskGroup() as group:
        for number in range(connections):
            first = start + number * interval
            group.create_task(_one_connection(port, first, interval * connections, routes, timed))


async def _one_connection(port: int, due: float, interval: float, routes: int, timed: Timed) -> None:
    turn = 0
    while True:
        reader, writer = await asyncio.open_connection(HOST, port)
        with closing(writer):
            is_open = True
            while is_open:
                await asyncio.sleep(max(0.0, due - time.monotonic()))
                turn = (turn + 1) % routes
                is_open = await _one_request(reader, writer, REQUEST.format(turn).encode())
                if is_open:
                    timed.latencies.append((due, time.monotonic() - due))
                else:
                    timed.failed += 1
                due += interval


async def _one_request(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes) -> bool:
    """Ask once; tell whether it was answered 200 and the connection is kept."""
    try:
        writer.write(request)
        head = (await reader.readuntil(HEAD_END)).lower()
        await reader.readexactly(content_length(head))
    except (asyncio.IncompleteReadError, ConnectionError):
        return False
    return head.startswith(b"http/1.1 200") and b"\r\nconnection: close\r\n" not in head


async def next_generation(admin: int, after: int, within_s: float) -> None:
    """Wait until the proxy's generation is above `after`; fail when it stays."""
    end = time.monotonic() + within_s
    while time.monotonic() < end:
        if await asyncio.to_thread(_generation, admin) > after:
            return
        await asyncio.sleep(LOOK_S)
    raise RuntimeError(f"the edited file did not take effect within {within_s:g} s")


def _generation(admin: int) -> int:
    connection = http.client.HTTPConnection(HOST, admin, timeout=10)
    with closing(connection):
        connection.request("GET", "/server_info")
        return int(json.loads(connection.getresponse().read())["generation"])
