"""Pause and resume reading for named reasons: back-pressure.

A transport is read while no reason is set. Reasons are bits, so setting a reason twice is one reason, and each caller
sets and clears its own without regard to the others.
"""

from __future__ import annotations

import asyncio

PEER_FULL = 1  # the peer that the data goes to does not keep up
PIPELINE = 2  # the next request has to wait for the current one
CONNECTING = 4  # no upstream connection takes the body yet
TURN = 8  # input is left, which is processed slice by slice (see `backlog`)
EVERY_REASON = PEER_FULL | PIPELINE | CONNECTING | TURN

#: Data kept for a peer before reading pauses; the transport's own high-water mark is the same.
HIGH_WATER = 64 * 1024


class ReadValve:
    """The reading side of one transport; `reasons` is 0 while the transport is read."""

    __slots__ = ("_transport", "reasons")

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self.reasons = 0

    def pause(self, reason: int) -> None:
        """Stop reading, for `reason`."""
        if not self.reasons and not self._transport.is_closing():
            self._transport.pause_reading()
        self.reasons |= reason

    def resume(self, reason: int) -> None:
        """Clear `reason`; read on if no other reason is set."""
        if self.reasons:
            self.reasons &= ~reason
            if not self.reasons and not self._transport.is_closing():
                self._transport.resume_reading()


class Pieces:
    """Bytes in order of arrival, kept by reference; small pieces are joined, since an object costs ~50 bytes."""

    __slots__ = ("_pieces", "size")

    _SMALL = 1024

    def __init__(self, data: bytes = b"") -> None:
        self._pieces: list[bytes | bytearray] = [data] if data else []
        self.size = len(data)

    def add(self, data: bytes) -> None:
        """Append `data`."""
        self.size += len(data)
        if len(data) >= self._SMALL or not self._pieces:
            self._pieces.append(data)
        elif isinstance(self._pieces[-1], bytearray):
            self._pieces[-1] += data
        else:
            self._pieces.append(bytearray(data))

    def joined(self) -> bytes:
        """Return all bytes as one piece."""
        first = self._pieces[0] if self._pieces else b""
        is_one = len(self._pieces) <= 1 and not isinstance(first, bytearray)
        return first if is_one else b"".join(self._pieces)  # type: ignore[return-value]  # mypy: not a bytearray
