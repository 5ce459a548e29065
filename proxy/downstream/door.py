"""What all connections of one worker share: whom requests go to, limits, the clock, counters, and the drain."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from proxy.clock import DeadlineWheel
from proxy.config.model import Limits
from proxy.downstream.stream import Stream
from proxy.http1.request import RequestHead
from proxy.telemetry.stats import DownstreamStats

if TYPE_CHECKING:
    from proxy.downstream.connection import DownstreamConnection

Handler = Callable[["DownstreamConnection", RequestHead, list[bytes], bool], Stream | None]


class Door:
    """What all connections of one listener share."""

    def __init__(
        self,
        handler: Handler,
        limits: Limits,
        upgrades: frozenset[bytes],
        wheel: DeadlineWheel,
        stats: DownstreamStats,
    ) -> None:
        self.handler = handler
        self.limits = limits
        self.upgrades = upgrades
        self.wheel = wheel
        self.stats = stats
        self.trailers = False  # whether those of requests are forwarded; the settings in force say it
        self.draining = False
        self.connections: set[DownstreamConnection] = set()
