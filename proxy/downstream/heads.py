"""What the unfinished heads of all connections of one worker may hold in memory together.

A head takes milliseconds to come, a client that means harm takes as long as it may. So the oldest goes first.
"""

from __future__ import annotations

from typing import Protocol


class Sender(Protocol):
    """A connection on which a head has begun to come."""

    def refuse_head(self) -> None:
        """There is no room for what has come: answer and close. It is out of the budget then."""


class HeadBudget:
    """Bytes of unfinished heads; `limit` is never exceeded by more than one read."""

    __slots__ = ("_sizes", "held", "limit")

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.held = 0
        self._sizes: dict[Sender, int] = {}  # in the order in which they began

    def hold(self, sender: Sender, size: int) -> None:
        """Have `sender` hold `size` bytes in all; the oldest are refused until there is room, maybe itself."""
        self.held += size - self._sizes.get(sender, 0)
        self._sizes[sender] = size
        while self.held > self.limit:
            next(iter(self._sizes)).refuse_head()

    def drop(self, sender: Sender) -> None:
        """Forget what `sender` holds, if it does."""
        self.held -= self._sizes.pop(sender, 0)
