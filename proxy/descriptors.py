"""File descriptors of one worker: what may take how many, so that neither accept nor connect fails for want of one.

Clients come first: each may have its own and a connection to its primary. Shadows share what is left. A connection
that is refused here costs one outcome; one that fails with EMFILE, which this keeps from happening, may cost a client.
"""

from __future__ import annotations

import errno
import logging
import resource
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic

from proxy.event import event

#: A worker's own: its loop, pipes, listeners, logs and look-ups, and the clients that it refuses.
RESERVE = 64
#: Time between two looks for an idle connection when the last one found none, and between two log lines.
LOOK_S = 0.02
LOG_S = 10.0

_EXHAUSTED = frozenset({errno.EMFILE, errno.ENFILE})
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Shares:
    """How many descriptors there may be, by use.

    `clients`: connections of clients. `upstreams`: connections to upstreams; `shadows`: those of them that are made
    for shadows. `duplicates`: second descriptors of connections that upload (`upstream.last_words`).
    """

    limit: int
    clients: int
    upstreams: int
    shadows: int
    duplicates: int


def limit_of_process() -> int:
    """Return how many descriptors this process may have, and the processes that it starts."""
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def share_out(limit: int, max_connections: int) -> Shares:
    """Share `limit` out; of the clients there are `max_connections` where that leaves an eighth to shadows."""
    free = max(limit - RESERVE, 8)
    duplicates = least_of_shadows = free // 8
    clients = min(max_connections, (free - duplicates - least_of_shadows) // 2)
    upstreams = free - duplicates - clients
    return Shares(limit, clients, upstreams, upstreams - clients, duplicates)


def is_exhaustion(error: OSError) -> bool:
    """Tell whether a descriptor is what was missing."""
    return error.errno in _EXHAUSTED


class Descriptors:
    """Keeps account for one worker; `exhausted` counts what failed all the same.

    `close_idle` closes an idle connection and tells whether there was one; asked for a shadow, one made for a shadow.
    """

    __slots__ = (
        "_next_line", "_next_looks", "close_idle", "duplicates", "exhausted", "shadows", "shares", "upstreams",
    )  # fmt: skip

    def __init__(self, shares: Shares) -> None:
        self.shares = shares
        self.upstreams = self.shadows = self.duplicates = self.exhausted = 0
        self.close_idle: Callable[[bool], bool] = lambda for_shadow: False  # noqa: ARG005 - there is none
        self._next_looks = [0.0, 0.0]
        self._next_line = 0.0

    def may_connect(self, for_shadow: bool) -> bool:
        """Tell whether a connection may be made; an idle one is closed for it where that is what it takes."""
        shares = self.shares
        if self.upstreams < shares.upstreams and (not for_shadow or self.shadows < shares.shadows):
            return True
        now = monotonic()
        if now < self._next_looks[for_shadow]:
            return False
        if self.close_idle(for_shadow):
            return True
        self._next_looks[for_shadow] = now + LOOK_S
        self._say(now, "too few file descriptors", refused="shadow" if for_shadow else "request")
        return False

    def take(self, for_shadow: bool) -> None:
        """Count a connection to an upstream that is made or being made."""
        self.upstreams += 1
        self.shadows += for_shadow

    def give(self, for_shadow: bool) -> None:
        """Count it out."""
        self.upstreams -= 1
        self.shadows -= for_shadow

    def on_exhausted(self, call: str) -> None:
        """Count and log a system call that failed for want of a descriptor."""
        self.exhausted += 1
        self._say(monotonic(), "out of file descriptors", failed=call)

    def _say(self, now: float, words: str, **what: str) -> None:
        if now >= self._next_line:
            self._next_line = now + LOG_S
            shares = self.shares
            said = event(
                words,
                **what,
                limit=shares.limit,
                upstreams=f"{self.upstreams}/{shares.upstreams}",
                shadows=f"{self.shadows}/{shares.shadows}",
                exhausted=self.exhausted,
            )
            _log.warning(said)


#: Far beyond what a machine has.
UNLIMITED = share_out(1 << 30, 1 << 24)
