"""Back-pressure: who may pause whose reading, and why.

A connection is read while no reason to pause stands. Reasons are bits and setting one twice is one reason,
so each room may say what it knows without asking what the others said.
"""

from __future__ import annotations

import asyncio

PEER_FULL = 1  # what we read goes to a peer that is not keeping up
PIPELINE = 2  # the next request has to wait for the current one
CONNECTING = 4  # there is nowhere to send it yet
EVERY_REASON = PEER_FULL | PIPELINE | CONNECTING

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
