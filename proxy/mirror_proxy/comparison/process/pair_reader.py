"""Read pairs from the end of the pipe, while there is room for those that wait here.

A comparer that is slow lets the pipe fill; then workers drop pairs and count them, and no request waits.
"""

from __future__ import annotations

import asyncio
import socket
from collections import deque

MAX_DATAGRAMS = 20_000
MAX_BYTES = 32 * 1024 * 1024
#: Larger than what the kernel takes into such a pipe at once (see `supervisor.comparer`).
_LARGEST = 4 * 1024 * 1024
#: At most this many are read before the loop runs other callbacks.
_AT_ONCE = 64


class PairReader:
    """Datagrams in order; `has_some` is set while any waits here. At most one datagram exceeds `max_bytes`."""

    def __init__(self, end: socket.socket) -> None:
        end.setblocking(False)
        self._end = end
        self._loop = asyncio.get_running_loop()
        self._buffer = memoryview(bytearray(_LARGEST))
        self._waiting: deque[bytes] = deque()
        self._bytes = 0
        self.max_bytes = MAX_BYTES
        self._is_reading = False
        self._is_ended = False
        self.has_some = asyncio.Event()

    def open(self) -> None:
        """Start reading."""
        if not self._is_reading and not self._is_ended and self._has_room:
            self._is_reading = True
            self._loop.add_reader(self._end.fileno(), self.read)

    def close(self) -> None:
        """Stop reading, and close the socket."""
        self._pause()
        self._end.close()

    def take(self) -> bytes | None:
        """Return the next datagram, or None when none waits."""
        if not self._waiting:
            self.has_some.clear()
            return None
        datagram = self._waiting.popleft()
        self._bytes -= len(datagram)
        self.open()
        return datagram

    def read(self) -> None:
        """Read datagrams from the pipe while there is room for them."""
        for _ in range(_AT_ONCE):
            if not self._has_room:
                self._pause()
                return
            try:
                size = self._end.recv_into(self._buffer)
            except BlockingIOError:
                return
            except OSError:  # whatever the error, the socket is not used by any other process
                size = 0
            if not size:
                self._is_ended = True
                self._pause()
                return
            self._waiting.append(bytes(self._buffer[:size]))
            self._bytes += size
            self.has_some.set()

    @property
    def _has_room(self) -> bool:
        return len(self._waiting) < MAX_DATAGRAMS and self._bytes < self.max_bytes

    def _pause(self) -> None:
        if self._is_reading:
            self._is_reading = False
            self._loop.remove_reader(self._end.fileno())
