"""Upstreams that behave in one chosen way, healthy or bad: `python -m benchmarks.upstreams MODE PORT`.

Modes: healthy (reads the request, answers 200), unhurried (the same after 200 ms), slow (after 2 s), stalled
(accepts, never reads), reset (RST after the head), close_after_head (FIN there), garbage (answers no HTTP), sink (as
healthy, and reads chunked bodies).
"""

from __future__ import annotations

import asyncio
import socket
import struct
import sys
from typing import cast

import uvloop

from benchmarks.ports import HOST

BACKLOG = 4096
OK = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 3\r\n\r\nok\n"
REFUSED = b"HTTP/1.1 411 Length Required\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
GARBAGE = b"\x00\xff this is not HTTP \x00\r\n\r\n" * 4


class Origin(asyncio.BufferedProtocol):
    """Reads requests and hands each to `on_request` when its head, or its last byte, has come.

    Bodies land in one buffer shared by all connections and are only counted, so that an upload costs little
    more than the kernel's copy. Bodies without a length are refused: no proxy here needs to re-frame them.
    """

    buffer = memoryview(bytearray(256 * 1024))
    transport: asyncio.Transport

    def __init__(self) -> None:
        self._head = b""
        self._body_left = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self.transport = cast(asyncio.Transport, transport)  # uvloop's own class, same methods

    def get_buffer(self, sizehint: int) -> memoryview:
        """Lend the shared buffer."""
        del sizehint
        return self.buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Count body bytes; collect head bytes."""
        if nbytes < self._body_left:
            self._body_left -= nbytes
            return
        rest = self.buffer[self._body_left : nbytes]
        if self._body_left:
            self._body_left = 0
            self.on_request_end()
        self._head += rest
        while not self._body_left and b"\r\n\r\n" in self._head:
            self._take_head()

    def _take_head(self) -> None:
        head, _, rest = self._head.partition(b"\r\n\r\n")
        head = head.lower()
        if b"\r\ntransfer-encoding:" in head:
            self.transport.write(REFUSED)
            self.transport.close()
            self._head = b""
            return
        _, _, length = head.partition(b"\r\ncontent-length:")
        body_left = int(length.partition(b"\r\n")[0] or 0)
        self._head = rest[body_left:]
        self._body_left = max(0, body_left - len(rest))
        self.on_request_head()
        if not self._body_left:
            self.on_request_end()

    def on_request_head(self) -> None:
        """Act when a head is complete."""

    def on_request_end(self) -> None:
        """Act when the request's last byte has come."""
        self.transport.write(OK)


class Slow(Origin):
    """Answers after a while."""

    delay_s = 2.0

    def on_request_end(self) -> None:
        """Answer later."""
        asyncio.get_running_loop().call_later(self.delay_s, self._answer)

    def _answer(self) -> None:
        if not self.transport.is_closing():
            self.transport.write(OK)


class Unhurried(Slow):
    """Answers after a moment: requests are always in flight, none for long."""

    delay_s = 0.2


class Reset(Origin):
    """Sends RST once it has seen a head."""

    def on_request_head(self) -> None:
        """Close with unread data dropped (SO_LINGER 0)."""
        connection = self.transport.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()

    def on_request_end(self) -> None:
        """Say nothing."""


class CloseAfterHead(Origin):
    """Closes once it has seen a head."""

    def on_request_head(self) -> None:
        """Close without an answer."""
        self.transport.close()

    def on_request_end(self) -> None:
        """Say nothing."""


class Garbage(Origin):
    """Answers a head with bytes that are no response."""

    def on_request_head(self) -> None:
        """Answer before the body, as a confused server would."""
        self.transport.write(GARBAGE)

    def on_request_end(self) -> None:
        """Say no more."""


class Sink(Origin):
    """Reads chunked bodies too, unparsed: the request ends where what has come ends with an empty line."""

    def __init__(self) -> None:
        super().__init__()
        self._tail = b""  # the last bytes of a chunked body, while one is read

    def buffer_updated(self, nbytes: int) -> None:
        """Look at the end of a chunked body; count other bodies."""
        if self._tail:
            self._read_chunks(bytes(self.buffer[max(0, nbytes - 4) : nbytes]))
        else:
            super().buffer_updated(nbytes)

    def _take_head(self) -> None:
        head, _, rest = self._head.partition(b"\r\n\r\n")
        if b"\r\ntransfer-encoding:" not in head.lower():
            super()._take_head()
            return
        self._head = b""
        self._tail = head[-4:]
        self.on_request_head()
        self._read_chunks(rest)

    def _read_chunks(self, data: bytes) -> None:
        self._tail = (self._tail + data)[-4:]
        if self._tail == b"\r\n\r\n":
            self._tail = b""
            self.on_request_end()


MODES: dict[str, type[Origin]] = {
    "healthy": Origin,
    "unhurried": Unhurried,
    "slow": Slow,
    "reset": Reset,
    "close_after_head": CloseAfterHead,
    "garbage": Garbage,
    "sink": Sink,
}


async def serve(mode: str, port: int) -> None:
    """Serve on loopback until the process is ended."""
    server = await asyncio.get_running_loop().create_server(MODES[mode], HOST, port, backlog=BACKLOG)
    await server.serve_forever()


async def stall(port: int) -> None:
    """Accept and never read: bare sockets, since a uvloop transport reads before it can be paused."""
    loop = asyncio.get_running_loop()
    held = []
    with socket.create_server((HOST, port), backlog=BACKLOG) as listener:
        listener.setblocking(False)
        while True:
            connection, _ = await loop.sock_accept(listener)
            held.append(connection)


def main(mode: str, port: str) -> None:
    """Run from the command line."""
    uvloop.run(stall(int(port)) if mode == "stalled" else serve(mode, int(port)))


if __name__ == "__main__":
    main(*sys.argv[1:])
