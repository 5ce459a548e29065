"""What all shadows of one worker may hold in memory together, and whether there may be more of them."""

from __future__ import annotations


class Budget:
    """Bytes that wait for shadows; `limit` is never exceeded by more than one chunk.

    `is_shedding`: no shadow may begin, for the worker is late (see `shedding`); those under way go on.
    """

    __slots__ = ("held", "is_shedding", "limit")

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.held = 0
        self.is_shedding = False

    @property
    def is_spent(self) -> bool:
        """True when no shadow may start to hold more."""
        return self.held >= self.limit
