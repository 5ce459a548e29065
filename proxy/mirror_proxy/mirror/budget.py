"""The memory of one worker for what its mirrors have not taken yet, shared by all shadows.

A shadow may fall behind as far as there is room. When the budget is full, the shadow goes first whose mirror has taken
no byte for longest, then the largest; while another mirror waits, none keeps more than half.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mirror_proxy.mirror.shadow import Shadow

#: Mirrors that have taken a byte within this time count as equally fast.
_STALL_STEP_S = 0.1
#: The part of the budget from which on it counts as scarce.
_SCARCE_FROM = 4


class ShadowBudget:
    """Bytes that wait for shadows; `limit` is exceeded by at most one chunk.

    `waiting` are the shadows with such bytes. Above `scarce_bytes`, they note when their mirror took some.
    `is_shedding`: no shadow may begin, since the worker is late (see `shedding`); shadows in flight go on.
    """

    __slots__ = ("_limit", "is_shedding", "scarce_bytes", "used_bytes", "waiting")

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.used_bytes = 0
        self.is_shedding = False
        self.waiting: set[Shadow] = set()

    @property
    def limit(self) -> int:
        """The most bytes that may wait."""
        return self._limit

    @limit.setter
    def limit(self, limit: int) -> None:
        self._limit = limit
        self.scarce_bytes = limit // _SCARCE_FROM

    def make_room(self, now: float) -> None:
        """Drop shadows until the budget is kept; their outcome is `over_buffer`."""
        for shadow in tuple(self.waiting):
            shadow.refresh(now)
        while self.used_bytes > self.limit and self.waiting:
            _worst(self._of_greedy_mirror() or self.waiting, now).abort("over_buffer")

    def _of_greedy_mirror(self) -> list[Shadow]:
        """Return the shadows of the mirror that keeps more than half while another waits; none if none does."""
        sizes: dict[int, int] = {}
        for shadow in self.waiting:
            mirror = id(shadow.mirror.stats)  # which outlives a reload
            sizes[mirror] = sizes.get(mirror, 0) + shadow.buffered_bytes
        if len(sizes) == 1:
            return []
        largest = max(sizes, key=sizes.__getitem__)
        if 2 * sizes[largest] <= self.limit:
            return []
        return [shadow for shadow in self.waiting if id(shadow.mirror.stats) == largest]


def _worst(shadows: Collection[Shadow], now: float) -> Shadow:
    return max(
        shadows,
        key=lambda shadow: (int((now - shadow.progress_at) / _STALL_STEP_S), shadow.buffered_bytes),
    )
