"""Bound the memory that all connections of one worker use for requests that have not begun.

A head arrives within milliseconds; a hostile client takes as long as the timeout allows. So the oldest unfinished head
is refused first. A pipelined request is dropped if there is no room for it on arrival.
"""

from __future__ import annotations

from typing import Protocol


class Sender(Protocol):
    """A connection on which part of a head has arrived."""

    def refuse_head(self) -> None:
        """Respond with an error, close, and drop the head from the budget."""


class HeadBudget:
    """Counts the bytes of unfinished heads and pipelined requests; `used_bytes` exceeds `limit` by at most one read."""

    __slots__ = ("_sizes", "_waiting", "limit", "used_bytes")

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.used_bytes = 0
        self._sizes: dict[Sender, int] = {}  # unfinished heads, oldest first
        self._waiting: dict[Sender, int] = {}  # pipelined requests

    def set_size(self, sender: Sender, size: int) -> None:
        """Set the bytes of the head of `sender`; refuse the oldest heads, maybe this one, until there is room."""
        self.used_bytes += size - self._sizes.get(sender, 0) - self._waiting.pop(sender, 0)
        self._sizes[sender] = size
        while self.used_bytes > self.limit and self._sizes:
            next(iter(self._sizes)).refuse_head()

    def queue(self, sender: Sender, size: int) -> bool:
        """Set the pipelined bytes of `sender`; without room for `size` bytes, count none and return False."""
        self.drop(sender)
        if self.used_bytes + size > self.limit:
            return False
        self.used_bytes += size
        self._waiting[sender] = size
        return True

    def drop(self, sender: Sender) -> None:
        """Release the bytes of `sender`."""
        self.used_bytes -= self._sizes.pop(sender, 0) + self._waiting.pop(sender, 0)
