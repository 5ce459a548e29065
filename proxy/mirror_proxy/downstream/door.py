"""What all connections of one worker share: whom requests go to, limits, the clock, counters, and the drain."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic
from typing import TYPE_CHECKING

from mirror_proxy.backlog import Backlog
from mirror_proxy.clock import DeadlineWheel
from mirror_proxy.config.model import Settings
from mirror_proxy.descriptors import Descriptors
from mirror_proxy.downstream.heads import HeadBudget
from mirror_proxy.downstream.idle import LongestIdle
from mirror_proxy.downstream.stream import Stream
from mirror_proxy.http1.request import RequestHead
from mirror_proxy.telemetry.stats import DownstreamStats

if TYPE_CHECKING:
    from mirror_proxy.downstream.connection import DownstreamConnection

#: Clients that are refused at the same time, at most; more clients wait to be accepted.
MOST_REFUSED = 32

Handler = Callable[["DownstreamConnection", RequestHead, bytes, bool], Stream | None]


class Door:
    """What all connections of one worker share."""

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
        self.arriving = 0
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

    # --- room for connections, TLS handshakes included ---

    @property
    def is_busy(self) -> bool:
        """Return whether there is any client."""
        return bool(self.connections or self.arriving or self.refused)

    def make_room(self) -> bool:
        """Make room for a client, if needed by closing the connection idle longest; False if none is idle."""
        if len(self.connections) + self.arriving < self.descriptors.shares.clients:
            return True
        connection = self._longest_idle.take(self.connections, monotonic())
        if connection is not None:
            connection.close()
        return connection is not None

    def on_accepted(self) -> None:
        """Count a client that was accepted with room for it."""
        self.arriving += 1
        self.stats.connections_active += 1

    def on_arrived(self, is_connected: bool) -> None:
        """Count the end of an arrival, as a connection or as a failure."""
        self.arriving -= 1
        if not is_connected:
            self.stats.connections_active -= 1

    def on_refused(self) -> None:
        """Count the end of a refused connection."""
        self.refused -= 1
