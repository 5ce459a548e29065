"""Find the client connection that has been idle longest, to close it for a new client.

A queue of idle connections would cost every request two changes to it. So idle connections are searched only when one
is wanted: one search finds the next `BATCH`, and the time between searches grows with the number of connections.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from operator import itemgetter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mirror_proxy.downstream.connection import DownstreamConnection

BATCH = 256
#: Time between searches, per connection. A search takes a tenth of this, so at most a tenth of a processor.
PACE_S = 0.000_005


class LongestIdle:
    """Finds connections by the time for which they have been idle."""

    __slots__ = ("_found", "_next_look")

    def __init__(self) -> None:
        self._found: list[tuple[float, DownstreamConnection]] = []
        self._next_look = 0.0

    def take(self, connections: set[DownstreamConnection], now: float) -> DownstreamConnection | None:
        """Return the connection that has been idle longest; None if none is, or the next search is not due."""
        if not self._found and now >= self._next_look:
            self._next_look = now + len(connections) * PACE_S
            self._found = _longest(connections)
        while self._found:
            since, connection = self._found.pop()
            if connection.is_idle and connection.idle_since == since:
                return connection
        return None


def _longest(connections: Iterable[DownstreamConnection]) -> list[tuple[float, DownstreamConnection]]:
    """Return the connections that have been idle longest, the longest last."""
    idle = ((one.idle_since, one) for one in connections if one.is_idle)
    return heapq.nsmallest(BATCH, idle, key=itemgetter(0))[::-1]
