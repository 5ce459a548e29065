"""Back-pressure: who may pause whose reading, and why.

A connection is read while no reason to pause stands. Reasons are bits and setting one twice is one reason,
so each room may say what it knows without asking what the others said.
"""

from __future__ import annotations

import asyncio

PEER_FULL = 1  # what we read goes to a peer that is not keeping up
PIPELINE = 2  # the next request has to wait for the current one
CONNECTING = 4  # there is nowhere to send it yet
TURN = 8  # what was read last is still being worked off, slice by slice (see `backlog`)
EVERY_REASON = PEER_FULL | PIPELINE | CONNECTING | TURN

#: Data kept for a peer before reading pauses; the transport's own high-water mark is the same.
HIGH_WATER = 64 * 1024


class ReadValve:
    """The reading side of one transport; `reasons` is 0 while it is read."""

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
        """Take `reason` away; reading goes on when it was the last."""
        if self.reasons:
            self.reasons &= ~reason
            if not self.reasons and not self._transport.is_closing():
                self._transport.resume_reading()


class Pieces:
    """Bytes kept in the order they came in, by reference; small ones are joined, since an object costs ~50 bytes."""

    __slots__ = ("_pieces", "size")

    _SMALL = 1024

    def __init__(self, data: bytes = b"") -> None:
        self._pieces: list[bytes | bytearray] = [data] if data else []
        self.size = len(data)

    def add(self, data: bytes) -> None:
        """Keep `data`, after what is kept already."""
        self.size += len(data)
        if len(data) >= self._SMALL or not self._pieces:
            self._pieces.append(data)
        elif isinstance(self._pieces[-1], bytearray):
            self._pieces[-1] += data
        else:
            self._pieces.append(bytearray(data))

    def joined(self) -> bytes:
        """Return all of it as one piece."""
        first = self._pieces[0] if self._pieces else b""
        is_one = len(self._pieces) <= 1 and not isinstance(first, bytearray)
        return first if is_one else b"".join(self._pieces)  # type: ignore[return-value]  # mypy: not a bytearray
