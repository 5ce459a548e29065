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


class ShadowBudget:
    """Bytes that wait for shadows; `limit` is exceeded by at most one chunk.

    `is_shedding`: no shadow may begin, since the worker is late (see `shedding`); shadows in flight go on.
    """

    __slots__ = ("_waiting", "is_shedding", "limit", "used_bytes")

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.used_bytes = 0
        self.is_shedding = False
        self._waiting: set[Shadow] = set()

    def set_size(self, shadow: Shadow, change_bytes: int, *, is_empty: bool) -> None:
        """Count `change_bytes` more of `shadow`; `is_empty`: nothing of it waits any more."""
        self.used_bytes += change_bytes
        if is_empty:
            self._waiting.discard(shadow)
        else:
            self._waiting.add(shadow)

    def make_room(self, now: float) -> None:
        """Drop shadows until the budget is kept; their outcome is `over_buffer`."""
        for shadow in tuple(self._waiting):
            shadow.refresh(now)
        while self.used_bytes > self.limit and self._waiting:
            _worst(self._of_greedy_mirror() or self._waiting, now).abort("over_buffer")

    def _of_greedy_mirror(self) -> list[Shadow]:
        """Return the shadows of the mirror that keeps more than half while another waits; none if none does."""
        sizes: dict[int, int] = {}
        for shadow in self._waiting:
            mirror = id(shadow.mirror.stats)  # which outlives a reload
            sizes[mirror] = sizes.get(mirror, 0) + shadow.buffered_bytes
        if len(sizes) == 1:
            return []
        largest = max(sizes, key=sizes.__getitem__)
        if 2 * sizes[largest] <= self.limit:
            return []
        return [shadow for shadow in self._waiting if id(shadow.mirror.stats) == largest]


def _worst(shadows: Collection[Shadow], now: float) -> Shadow:
    return max(
        shadows,
        key=lambda shadow: (int((now - shadow.progress_at) / _STALL_STEP_S), shadow.buffered_bytes),
    )
