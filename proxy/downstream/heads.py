"""What all connections of one worker may hold in memory together of requests that have not begun.

A head takes milliseconds to come, a client that means harm takes as long as it may: of unfinished heads the oldest goes
first. A request that waits for another on its connection is dropped if there is no room for it when it comes.
"""

from __future__ import annotations

from typing import Protocol


class Sender(Protocol):
    """A connection on which a head has begun to come."""

    def refuse_head(self) -> None:
        """There is no room for what has come: answer and close. It is out of the budget then."""


class HeadBudget:
    """Bytes of such requests; `limit` is never exceeded by more than one read."""

    __slots__ = ("_sizes", "_waiting", "held", "limit")

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.held = 0
        self._sizes: dict[Sender, int] = {}  # in the order in which they began
        self._waiting: dict[Sender, int] = {}

    def hold(self, sender: Sender, size: int) -> None:
        """Have `sender` hold `size` bytes in all; the oldest are refused until there is room, maybe itself."""
        self.held += size - self._sizes.get(sender, 0) - self._waiting.pop(sender, 0)
        self._sizes[sender] = size
        while self.held > self.limit and self._sizes:
            next(iter(self._sizes)).refuse_head()

    def queue(self, sender: Sender, size: int) -> bool:
        """Have `sender` hold `size` bytes that wait for its present request; False: there is no room, it holds none."""
        self.drop(sender)
        if self.held + size > self.limit:
            return False
        self.held += size
        self._waiting[sender] = size
        return True

    def drop(self, sender: Sender) -> None:
        """Forget what `sender` holds, if it does."""
        self.held -= self._sizes.pop(sender, 0) + self._waiting.pop(sender, 0)
