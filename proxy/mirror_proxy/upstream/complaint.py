"""Log protocol errors of upstreams, at most one line per cluster in 10 s, so that a broken upstream fills no log."""

from __future__ import annotations

import logging

from mirror_proxy.telemetry.event import event

EVERY_S = 10.0

_log = logging.getLogger(__name__)


class Complaint:
    """The protocol errors of one cluster, as far as the log has them."""

    __slots__ = ("_next_at", "_unlogged")

    def __init__(self) -> None:
        self._next_at = 0.0
        self._unlogged = 0

    def log(self, cluster: str, rule: str, now: float) -> None:
        """Log that `cluster` broke `rule` of HTTP, unless it is too soon: then the next line counts it."""
        if now < self._next_at:
            self._unlogged += 1
            return
        said = event("upstream broke HTTP", cluster=cluster, rule=rule, unlogged=self._unlogged)
        _log.warning(said)
        self._next_at = now + EVERY_S
        self._unlogged = 0
