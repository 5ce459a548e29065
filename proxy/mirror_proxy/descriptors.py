"""Share the file descriptors of one worker, so that neither accept nor connect fails for lack of one.

Clients come first: each may use two descriptors, one for itself and one to its primary. Shadows share the rest. A
connection that is refused here costs one outcome; a system call that fails with EMFILE may cost a client.
"""

from __future__ import annotations

import errno
import logging
import resource
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic

from mirror_proxy.telemetry.event import event

#: Descriptors for the worker itself: its loop, pipes, listeners, logs, look-ups, and clients that are being refused.
RESERVE = 64
#: Health checks that may be under way at once.
MAX_CHECKS = 32
#: Time between two searches for an idle connection, after a search that found none.
LOOK_S = 0.02
#: Time between two log lines.
LOG_S = 10.0

_EXHAUSTED = frozenset({errno.EMFILE, errno.ENFILE})
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Shares:
    """Limits of descriptors, by use.

    `clients`: connections of clients. `upstreams`: connections to upstreams, of which `shadows` may be made for
    shadows. `duplicates`: second descriptors of connections that upload (`upstream.early_response`).
    """

    limit: int
    clients: int
    upstreams: int
    shadows: int
    duplicates: int


def limit_of_process() -> int:
    """Return the descriptor limit of this process, which its child processes inherit."""
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def share_out(limit: int, max_connections: int) -> Shares:
    """Divide `limit`; clients get `max_connections`, or fewer if shadows would get less than an eighth."""
    free = max(limit - RESERVE, 8)
    duplicates = min_shadows = free // 8
    clients = min(max_connections, (free - duplicates - min_shadows) // 2)
    upstreams = free - duplicates - clients
    return Shares(limit, clients, upstreams, upstreams - clients, duplicates)


def is_exhaustion(error: OSError) -> bool:
    """Return whether a system call failed for lack of a descriptor."""
    return error.errno in _EXHAUSTED


class Descriptors:
    """Counts the descriptors of one worker; `exhausted` counts system calls that failed for lack of one.

    `close_idle(for_shadow)` closes an idle upstream connection and returns whether there was one; `for_shadow` limits
    the search to connections made for shadows.
    """

    __slots__ = (
        "_next_line", "_next_looks", "checks", "close_idle", "duplicates", "exhausted", "shadows", "shares",
        "upstreams",
    )  # fmt: skip

    def __init__(self, shares: Shares) -> None:
        self.shares = shares
        self.upstreams = self.shadows = self.checks = self.duplicates = self.exhausted = 0
        self.close_idle: Callable[[bool], bool] = lambda for_shadow: False  # noqa: ARG005 - there is none
        self._next_looks = [0.0, 0.0]
        self._next_line = 0.0

    def may_connect(self, for_shadow: bool) -> bool:
        """Return whether a connection may be made; at the limit, an idle connection is closed to make room."""
        shares = self.shares
        if self.upstreams < shares.upstreams and (not for_shadow or self.shadows < shares.shadows):
            return True
        now = monotonic()
        if for_shadow and now < self._next_looks[for_shadow]:
            return False
        if self.close_idle(for_shadow):
            return True
        self._next_looks[for_shadow] = now + LOOK_S
        self._warn(now, "too few file descriptors", refused="shadow" if for_shadow else "request")
        return False

    def take(self, for_shadow: bool) -> None:
        """Add a connection to an upstream, made or being made, to the counts."""
        self.upstreams += 1
        self.shadows += for_shadow

    def give(self, for_shadow: bool) -> None:
        """Remove a connection to an upstream from the counts."""
        self.upstreams -= 1
        self.shadows -= for_shadow

    def may_check(self) -> bool:
        """Return whether a health check may connect; at the limit, an idle connection is closed to make room."""
        if self.checks >= MAX_CHECKS:
            return False
        if self.upstreams < self.shares.upstreams:
            return True
        now = monotonic()
        if now < self._next_looks[False]:
            return False
        if self.close_idle(False):
            return True
        self._next_looks[False] = now + LOOK_S
        return False

    def take_check(self) -> None:
        """Add the connection of a health check, among those to upstreams."""
        self.checks += 1
        self.upstreams += 1

    def give_check(self) -> None:
        """Remove the connection of a health check from the counts."""
        self.checks -= 1
        self.upstreams -= 1

    def on_exhausted(self, call: str) -> None:
        """Count and log a system call that failed for lack of a descriptor."""
        self.exhausted += 1
        self._warn(monotonic(), "out of file descriptors", failed=call)

    def _warn(self, now: float, message: str, **fields: str) -> None:
        if now >= self._next_line:
            self._next_line = now + LOG_S
            shares = self.shares
            line = event(
                message,
                **fields,
                limit=shares.limit,
                upstreams=f"{self.upstreams}/{shares.upstreams}",
                shadows=f"{self.shadows}/{shares.shadows}",
                exhausted=self.exhausted,
            )
            _log.warning(line)


#: Shares of a limit that no machine reaches.
UNLIMITED = share_out(1 << 30, 1 << 24)
