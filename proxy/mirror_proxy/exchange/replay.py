"""The body of a request, kept for another attempt: step 10 of the walk."""

from __future__ import annotations

from mirror_proxy.downstream.state import DownstreamState
from mirror_proxy.flow import Pieces


class Replay:
    """All of a body that has arrived, or nothing once it is too large or the worker keeps too much."""

    __slots__ = ("_downstream", "_most_bytes", "_pieces", "is_complete")

    def __init__(self, downstream: DownstreamState, most_bytes: int) -> None:
        """Keep at most `most_bytes`, and with the other bodies of the worker what `downstream` allows."""
        self._downstream = downstream
        self._most_bytes = most_bytes
        self._pieces = Pieces()
        self.is_complete = True

    def add(self, data: bytes) -> None:
        """Keep more of the body, or drop all of it for good."""
        if not self.is_complete:
            return
        downstream, size = self._downstream, len(data)
        is_too_large = self._pieces.size + size > self._most_bytes
        if is_too_large or downstream.replay_bytes + size > downstream.most_replay_bytes:
            self.is_complete = False
            self.drop()
        else:
            downstream.replay_bytes += size
            self._pieces.add(data)

    def joined(self) -> bytes:
        """Return the body as one piece."""
        return self._pieces.joined()

    def drop(self) -> None:
        """Drop what is kept."""
        self._downstream.replay_bytes -= self._pieces.size
        self._pieces = Pieces()
