"""What all shadows of one worker may hold in memory together."""

from __future__ import annotations


class Budget:
    """Bytes that wait for shadows; `limit` is never exceeded by more than one chunk."""

    __slots__ = ("held", "limit")

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.held = 0

    @property
    def is_spent(self) -> bool:
        """True when no shadow may start to hold more."""
        return self.held >= self.limit
