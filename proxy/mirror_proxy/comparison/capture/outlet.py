"""A worker's end of the comparer's pipe: pairs go out by it or are dropped, and nobody waits for it."""

from __future__ import annotations

import errno
import socket

from mirror_proxy.comparison.diff.pair import Pair, dump

#: What all captures of a worker may keep in memory together.
MAX_HELD_BYTES = 16 * 1024 * 1024


class Outlet:
    """Takes the pairs of one worker, and keeps account of what captures hold.

    Each shadow of a captured request that completed becomes one datagram, or one of `dropped`, by reason:

    - `no_answer`: the primary's answer did not come to its end, or was the proxy's own.
    - `over_buffer`: all captures together held as much as they may.
    - `pipe_full`: the comparer is behind.
    - `too_large`: the pipe takes no datagram of that size.
    - `no_comparer`: nobody reads the pipe.
    """

    __slots__ = ("_pairs", "dropped", "held", "limit")

    def __init__(self, pairs: socket.socket | None) -> None:
        """`pairs` does not block, and keeps the bounds of what is written to it; None: there is no comparer."""
        self._pairs = pairs
        self.held = 0
        self.limit = MAX_HELD_BYTES
        self.dropped = dict.fromkeys(("no_answer", "over_buffer", "pipe_full", "too_large", "no_comparer"), 0)

    @property
    def is_open(self) -> bool:
        """Tell whether pairs lead anywhere."""
        return self._pairs is not None

    def send(self, pair: Pair) -> None:
        """Hand a pair to the comparer if it takes it now."""
        if self._pairs is None:
            self.drop("no_comparer")
            return
        try:
            self._pairs.send(dump(pair))
        except BlockingIOError:
            self.drop("pipe_full")
        except OSError as error:
            self.drop("too_large" if error.errno == errno.EMSGSIZE else "no_comparer")

    def bound(self, held_bytes: int) -> None:
        """Let captures keep no more than `held_bytes`."""
        self.limit = min(MAX_HELD_BYTES, held_bytes)

    def drop(self, reason: str) -> None:
        """Count a pair that will not be compared."""
        self.dropped[reason] += 1

    def close(self) -> None:
        """Send nothing any more."""
        if self._pairs is not None:
            self._pairs.close()
            self._pairs = None
