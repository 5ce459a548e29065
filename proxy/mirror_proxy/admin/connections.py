"""Limit the connections of one admin listener, in number and in time.

Whatever clients do, the supervisor keeps enough descriptors to start a worker, and a probe gets its response. At the
limit, the connection that has waited for its client longest (for a request, or for the client to read) is closed for
the new one.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from math import inf
from typing import cast

from aiohttp import web

from mirror_proxy import tasks
from mirror_proxy.descriptors import limit_of_process

#: Open connections of one listener, at most.
MOST = 64
#: Time for a client to send a head, or a body, after its first byte.
HEAD_S = 10.0
#: Time for a client to send its next request.
IDLE_S = 75.0
#: Time for a client to read a response.
READ_S = 60.0
#: Time between two searches for overdue connections.
_LOOK_S = 1.0
#: Clients accepted per turn of the loop, at most.
_AT_ONCE = 16
#: Time without accept after accept has failed.
_PAUSE_S = 0.5
#: Descriptors kept for workers' pipes, listeners and files; at most half of the limit.
RESERVE = 128
_FULL = (
    b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json; charset=utf-8\r\n"
    b'Content-Length: 49\r\nConnection: close\r\n\r\n{"error": "too many connections; try again soon"}'
)

#: Why the proxy closed or refused a connection.
REASONS = ("over_limit", "timeout")


class Connection(asyncio.Protocol):
    """Forwards every call to `inner`, and records since when the connection waits for its client."""

    def __init__(self, inner: asyncio.Protocol, owner: Connections) -> None:
        self._inner = inner
        self._owner = owner
        self._transport: asyncio.Transport | None = None
        self._has_begun = self._is_ended = self._is_forwarded = False
        self.waits_since = owner.now()
        self.deadline = self.waits_since + HEAD_S

    def work(self) -> None:
        """Stop waiting for the client: its request has arrived."""
        self.waits_since = self.deadline = inf

    def wait(self, patience_s: float = inf) -> None:
        """Wait for the client from now on, for at most `patience_s`."""
        self._has_begun = False
        self.waits_since = self._owner.now()
        self.deadline = self.waits_since + patience_s

    def end(self) -> None:
        """Abort the connection."""
        self._is_ended = True
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport (asyncio)."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is one in all but its base class
        if self._is_ended:  # ended before the loop attached the transport; aiohttp never sees it
            self._transport.abort()
            return
        self._is_forwarded = True
        self._inner.connection_made(transport)

    def data_received(self, data: bytes) -> None:
        """Forward, and require the rest of a request within `HEAD_S` of its first byte (asyncio)."""
        if self.waits_since < inf and not self._has_begun:
            self._has_begun = True
            self.deadline = min(self.deadline, self._owner.now() + HEAD_S)
        self._inner.data_received(data)

    def eof_received(self) -> bool | None:
        """Forward (asyncio)."""
        return self._inner.eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forward (asyncio)."""
        self._owner.forget(self)
        if self._is_forwarded:
            self._inner.connection_lost(exc)

    def pause_writing(self) -> None:
        """Forward (asyncio)."""
        self._inner.pause_writing()

    def resume_writing(self) -> None:
        """Forward (asyncio)."""
        self._inner.resume_writing()


class Connections:
    """All connections of one listener, accepted from `sock`; `make` returns the protocol that serves a connection.

    `ended` counts, by reason, connections that the proxy closed or refused.
    """

    def __init__(
        self, sock: socket.socket, make: Callable[[], asyncio.Protocol], ended: dict[str, int]
    ) -> None:
        sock.setblocking(False)
        self._sock = sock
        self._make = make
        self._loop = asyncio.get_running_loop()
        self._open: dict[Connection, None] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._ended = ended
        self._last_descriptor = limit_of_process() - min(RESERVE, limit_of_process() // 2)
        self.now = self._loop.time
        self._loop.add_reader(sock.fileno(), self._accept)
        self._look()

    def close(self) -> None:
        """Stop accepting; open connections stay."""
        self._loop.remove_reader(self._sock.fileno())
        if self._timer is not None:
            self._timer.cancel()

    def __len__(self) -> int:
        return len(self._open)

    def forget(self, connection: Connection) -> None:
        """Remove a connection that is lost."""
        self._open.pop(connection, None)

    def end_overdue(self, now: float) -> None:
        """End every connection that has waited for its client for too long."""
        for connection in [one for one in self._open if one.deadline <= now]:
            self._end(connection, "timeout")

    def _look(self) -> None:
        self.end_overdue(self.now())
        self._timer = self._loop.call_later(_LOOK_S, self._look)

    def _accept(self) -> None:
        for _ in range(_AT_ONCE):
            try:
                conn, _ = self._sock.accept()
            except (BlockingIOError, ConnectionAbortedError, InterruptedError):
                return
            except OSError:  # no descriptor, or no memory: the client waits in the queue
                self._pause()
                return
            self._take(conn)

    def _take(self, conn: socket.socket) -> None:
        has_room = len(self._open) < MOST and conn.fileno() < self._last_descriptor
        if not has_room and not self._make_room():
            self._ended["over_limit"] += 1
            _refuse(conn)
            return
        conn.setblocking(False)
        connection = Connection(self._make(), self)
        self._open[connection] = None
        tasks.spawn(self._serve(connection, conn), "admin-connection")

    async def _serve(self, connection: Connection, conn: socket.socket) -> None:
        try:
            await self._loop.connect_accepted_socket(lambda: connection, conn)
        except OSError:  # the client is gone already
            self.forget(connection)
            conn.close()

    def _make_room(self) -> bool:
        """End the connection that has waited for its client longest; return whether there was one."""
        oldest = min(self._open, key=lambda one: one.waits_since, default=None)
        if oldest is None or oldest.waits_since == inf:
            return False
        self._end(oldest, "over_limit")
        return True

    def _end(self, connection: Connection, reason: str) -> None:
        self._ended[reason] += 1
        self.forget(connection)
        connection.end()

    def _pause(self) -> None:
        self._loop.remove_reader(self._sock.fileno())
        self._loop.call_later(_PAUSE_S, self._resume)

    def _resume(self) -> None:
        if self._sock.fileno() >= 0 and self._timer is not None and not self._timer.cancelled():
            self._loop.add_reader(self._sock.fileno(), self._accept)


@web.middleware
async def timed(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Mark a connection as waiting for its client only while no request of the client is handled."""
    work(request)
    try:
        return await handler(request)
    finally:
        wait(request, IDLE_S)


def work(request: web.Request) -> None:
    """Mark the connection of `request` as not waiting for its client."""
    connection = _of(request)
    if connection is not None:
        connection.work()


def wait(request: web.Request, patience_s: float = inf) -> None:
    """Mark the connection of `request` as waiting for its client from now on, for at most `patience_s`."""
    connection = _of(request)
    if connection is not None:
        connection.wait(patience_s)


def _of(request: web.Request) -> Connection | None:
    """Return the connection of `request`; None if it is gone."""
    protocol = request.transport.get_protocol() if request.transport is not None else None
    return protocol if isinstance(protocol, Connection) else None


def _refuse(conn: socket.socket) -> None:
    with conn:
        try:
            conn.setblocking(False)
            conn.send(_FULL)
        except OSError:
            return
