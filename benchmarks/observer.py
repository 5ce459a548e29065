"""A well-behaved client beside a hostile sender, a process of its own: `python -m benchmarks.observer PORT SECONDS`.

It is two clients in one. One makes a request, waits for the response, pauses for a millisecond, and so on. The other
makes 100 requests a second, each due at its time: what a proxy that stands still delays is counted from then, which the
first client cannot see. The process prints `ready` once it is warm, and at the end a line of JSON.
"""

from __future__ import annotations

import json
import select
import socket
import sys
import time
from collections import deque
from dataclasses import dataclass, field

from benchmarks.clients import HEAD_END, REQUEST, content_length
from benchmarks.ports import HOST
from benchmarks.results import Figures

READY = "ready"
WARM_S = 0.5
PAUSE_S = 0.001
INTERVAL_S = 0.01
#: Connections of the paced client, at most; what is due beyond them waits, and that counts.
MAX_CONNECTIONS = 64
#: How long to wait for responses after the end; a request without one has failed.
DRAIN_S = 15.0
RECEIVE_BYTES = 64 * 1024
OK = b"HTTP/1.1 200"


@dataclass(slots=True)
class Client:
    """The latencies of one client in seconds, and the number of its requests that failed."""

    latencies: list[float] = field(default_factory=list)
    failed: int = 0

    def percentile_ms(self, share: float) -> float:
        """Return a percentile of all latencies."""
        ordered = sorted(self.latencies)
        return ordered[min(int(len(ordered) * share), len(ordered) - 1)] * 1e3 if ordered else 0.0


@dataclass(slots=True)
class Exchange:
    """One request under way: whose it is, when it was due, and what has come of its response."""

    client: Client
    due: float
    received: bytes = b""

    @property
    def is_complete(self) -> bool:
        """Return whether the response is complete."""
        head, end, body = self.received.partition(HEAD_END)
        return bool(end) and len(body) >= content_length(head.lower() + b"\r\n")


class Observer:
    """Both clients on one poll, for a time."""

    def __init__(self, port: int, seconds: float) -> None:
        self.closed, self.paced = Client(), Client()
        self._port = port
        self._end = time.monotonic() + seconds
        self._next_closed = self._next_paced = time.monotonic()
        self._left = round(seconds / INTERVAL_S)  # requests that the paced client has yet to make
        self._is_closed_busy = False
        self._waiting: deque[float] = deque()
        self._under_way: dict[int, Exchange] = {}
        self._sockets: dict[int, socket.socket] = {}
        self._idle: list[int] = []
        self._poll = select.epoll()

    def observe(self) -> None:
        """Make requests until the end, then wait for the responses that are missing."""
        now = time.monotonic()
        while now < self._end or (self._has_work and now < self._end + DRAIN_S):
            self._make_requests(now)
            for number, _ in self._poll.poll(self._until_next(now)):
                self._receive(number)
            now = time.monotonic()
        for number in list(self._under_way):
            self._fail(number)
        self.paced.failed += len(self._waiting)
        for number in self._idle:
            self._sockets[number].close()

    @property
    def _has_work(self) -> bool:
        return bool(self._under_way or self._waiting or self._left)

    def _make_requests(self, now: float) -> None:
        """Make the requests that are due."""
        while self._left and self._next_paced <= now:
            self._waiting.append(self._next_paced)
            self._next_paced += INTERVAL_S
            self._left -= 1
        while self._waiting and len(self._under_way) < MAX_CONNECTIONS:
            self._request(Exchange(self.paced, self._waiting.popleft()))
        if not self._is_closed_busy and self._next_closed <= now < self._end:
            self._is_closed_busy = True
            self._request(Exchange(self.closed, now))

    def _until_next(self, now: float) -> float:
        """Return the seconds until the next request is due."""
        if now >= self._end:
            return 0.1
        due = self._next_paced if self._is_closed_busy else min(self._next_paced, self._next_closed)
        return max(0.0, due - now)

    def _request(self, exchange: Exchange) -> None:
        """Send a request on a connection that is idle, or else on a new connection."""
        try:
            number = self._idle.pop() if self._idle else self._connect()
        except OSError:
            self._end_exchange(exchange, is_failed=True)
            return
        self._under_way[number] = exchange
        try:
            self._sockets[number].send(REQUEST)
        except OSError:
            self._fail(number)

    def _connect(self) -> int:
        connection = socket.create_connection((HOST, self._port), timeout=DRAIN_S)
        connection.setblocking(False)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        number = connection.fileno()
        self._sockets[number] = connection
        self._poll.register(number, select.EPOLLIN)
        return number

    def _receive(self, number: int) -> None:
        """Take what has come; end the exchange that it completes or breaks."""
        exchange = self._under_way.get(number)
        try:
            received = self._sockets[number].recv(RECEIVE_BYTES)
        except OSError:
            received = b""
        if exchange is None:  # an idle connection that the proxy has closed
            self._idle.remove(number)
            self._close(number)
            return
        exchange.received += received
        if exchange.is_complete and exchange.received.startswith(OK):
            self._idle.append(number)
            self._end_exchange(self._under_way.pop(number), is_failed=False)
        elif exchange.is_complete or not received:
            self._fail(number)

    def _fail(self, number: int) -> None:
        """End an exchange without its response."""
        self._close(number)
        self._end_exchange(self._under_way.pop(number), is_failed=True)

    def _end_exchange(self, exchange: Exchange, *, is_failed: bool) -> None:
        """Count a request and how long it waited, for its response or for its failure."""
        now = time.monotonic()
        exchange.client.latencies.append(now - exchange.due)
        exchange.client.failed += is_failed
        if exchange.client is self.closed:
            self._is_closed_busy = False
            self._next_closed = now + PAUSE_S

    def _close(self, number: int) -> None:
        self._poll.unregister(number)
        self._sockets.pop(number).close()


def figures(observer: Observer) -> Figures:
    """Return what both clients saw; the worst wait is that of either."""
    closed, paced = observer.closed, observer.paced
    return {
        "requests": float(len(closed.latencies) + len(paced.latencies)),
        "failed": float(closed.failed + paced.failed),
        "p50_ms": closed.percentile_ms(0.5),
        "p99_ms": closed.percentile_ms(0.99),
        "paced_p99_ms": paced.percentile_ms(0.99),
        "worst_ms": max(closed.percentile_ms(1), paced.percentile_ms(1)),
    }


def main(port: str, seconds: str) -> None:
    """Run from the command line."""
    Observer(int(port), WARM_S).observe()
    print(READY, flush=True)
    observer = Observer(int(port), float(seconds))
    observer.observe()
    print(json.dumps(figures(observer)))


if __name__ == "__main__":
    main(*sys.argv[1:])
