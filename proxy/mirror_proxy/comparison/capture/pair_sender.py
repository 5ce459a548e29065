"""A worker's end of the comparer's pipe: pairs are sent at once or dropped; no request waits for the pipe."""

from __future__ import annotations

import errno
import socket

from mirror_proxy.comparison.diff.pair import Pair, dump

#: All captures of a worker together keep at most this in memory.
MAX_CAPTURED_BYTES = 16 * 1024 * 1024


class PairSender:
    """Sends the pairs of one worker, and counts the bytes that captures keep in memory.

    Each shadow of a captured request that completed becomes one datagram, or one of `dropped`, by reason:

    - `no_answer`: the primary's response did not end, or was the proxy's own.
    - `over_buffer`: all captures together reached their limit of memory.
    - `pipe_full`: the comparer is behind.
    - `too_large`: the pipe takes no datagram of that size.
    - `no_comparer`: no process reads the pipe.
    """

    __slots__ = ("_pairs", "dropped", "limit", "used_bytes")

    def __init__(self, pairs: socket.socket | None) -> None:
        """`pairs` does not block and sends each write as one datagram; None: there is no comparer."""
        self._pairs = pairs
        self.used_bytes = 0
        self.limit = MAX_CAPTURED_BYTES
        self.dropped = dict.fromkeys(("no_answer", "over_buffer", "pipe_full", "too_large", "no_comparer"), 0)

    @property
    def is_open(self) -> bool:
        """Return whether a comparer receives pairs."""
        return self._pairs is not None

    def send(self, pair: Pair) -> None:
        """Send a pair to the comparer, or drop it if that would block."""
        if self._pairs is None:
            self.drop("no_comparer")
            return
        try:
            self._pairs.send(dump(pair))
        except BlockingIOError:
            self.drop("pipe_full")
        except OSError as error:
            self.drop("too_large" if error.errno == errno.EMSGSIZE else "no_comparer")

    def set_limit(self, buffered_bytes: int) -> None:
        """Let captures keep at most `buffered_bytes` in memory."""
        self.limit = min(MAX_CAPTURED_BYTES, buffered_bytes)

    def drop(self, reason: str) -> None:
        """Count a pair that will not be compared."""
        self.dropped[reason] += 1

    def close(self) -> None:
        """Close the pipe."""
        if self._pairs is not None:
            self._pairs.close()
            self._pairs = None
