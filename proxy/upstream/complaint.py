"""Log what upstreams do wrong, one line in ten seconds for each: whoever breaks every response fills no log."""

from __future__ import annotations

import logging

from proxy.visible import visible

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
        _log.warning(
            'upstream broke HTTP: cluster=%s rule="%s" unlogged=%d',
            visible(cluster),
            visible(rule),
            self._unlogged,
        )
        self._next_at = now + EVERY_S
        self._unlogged = 0
