"""The state that the connections of a worker share: handler, limits, counters, memory in use, and the drain.

A client beyond the limit takes the place of the connection that has been idle longest. A queue of idle connections
would cost every request two changes to it. So idle connections are searched only when one is wanted: one search finds
the next `BATCH`, and the time between searches grows with the number of connections.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable
from operator import itemgetter
from time import monotonic
from typing import TYPE_CHECKING, Protocol

from mirror_proxy.clock import DeadlineWheel
from mirror_proxy.config.model import Settings
from mirror_proxy.descriptors import Descriptors
from mirror_proxy.downstream.stream import DownstreamStream
from mirror_proxy.flow import Backlog
from mirror_proxy.http1.request import RequestHead
from mirror_proxy.telemetry.stats import DownstreamStats

if TYPE_CHECKING:
    from mirror_proxy.downstream.connection import DownstreamConnection

#: Clients that are refused at the same time, at most; more clients wait to be accepted.
MOST_REFUSED = 32

BATCH = 256
#: Time between searches, per connection. A search takes a tenth of this, so at most a tenth of a processor.
PACE_S = 0.000_005

Handler = Callable[["DownstreamConnection", RequestHead, bytes, bool], DownstreamStream | None]


class DownstreamState:
    """The state that the connections of all listeners of one worker share."""

    def __init__(
        self,
        handler: Handler,
        settings: Settings,
        wheel: DeadlineWheel,
        backlog: Backlog,
        stats: DownstreamStats,
        descriptors: Descriptors,
    ) -> None:
        self.handler = handler
        self.limits = settings.limits
        self.upgrades = frozenset(name.lower().encode() for name in settings.upgrades)
        self.wheel = wheel
        self.backlog = backlog
        self.stats = stats
        self.descriptors = descriptors
        self.draining = False
        self.connections: set[DownstreamConnection] = set()
        self.attaching = 0
        self.refused = 0
        self.heads = HeadBudget(0)
        self.replay_bytes = 0  # of bodies that are kept for another attempt
        self._longest_idle = LongestIdle()
        self.apply(settings)

    def apply(self, settings: Settings) -> None:
        """Apply the settings that may change while a worker serves."""
        self.trailers = settings.http1.trailers
        self.heads.limit = settings.memory.heads_bytes
        self.most_replay_bytes = settings.memory.replays_bytes

    # --- the limit on connections, TLS handshakes included ---

    @property
    def is_busy(self) -> bool:
        """Return whether there is any client."""
        return bool(self.connections or self.attaching or self.refused)

    def make_room(self) -> bool:
        """Make room for a client, if needed by closing the connection idle longest; False if none is idle."""
        if len(self.connections) + self.attaching < self.descriptors.shares.clients:
            return True
        connection = self._longest_idle.take(self.connections, monotonic())
        if connection is not None:
            connection.close()
        return connection is not None

    def on_accepted(self) -> None:
        """Count a client that was accepted with room for it."""
        self.attaching += 1
        self.stats.connections_active += 1

    def on_attached(self, is_connected: bool) -> None:
        """Count the end of an attachment, as a connection or as a failure."""
        self.attaching -= 1
        if not is_connected:
            self.stats.connections_active -= 1

    def on_refused(self) -> None:
        """Count the end of a refused connection."""
        self.refused -= 1


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
