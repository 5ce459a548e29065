"""The pipe to the comparer, with a test at its other end: what a data plane captures is read here."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from typing import Any

from mirror_proxy.comparison.diff.pair import Pair, load
from mirror_proxy.config.model import Compare, Config, Share
from tests.support.origin import Origin
from tests.support.plane import Plane, make_config
from tests.support.waiting import BOUND_S

ALL = Compare(share=Share(100))


class PairPipe:
    """A real pipe; a data plane is given `pairs`, which it closes, and whose bounds are the system's."""

    def __init__(self) -> None:
        self.pairs, self._end = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.pairs.setblocking(False)
        self._end.setblocking(False)

    async def pair(self) -> Pair:
        """Wait for the next pair."""
        async with asyncio.timeout(BOUND_S):
            return load(await asyncio.get_running_loop().sock_recv(self._end, 1 << 20))

    def all(self) -> list[Pair]:
        """Return what has come, without waiting."""
        found = []
        with contextlib.suppress(BlockingIOError):
            while datagram := self._end.recv(1 << 20):
                found.append(load(datagram))
        return found

    def leave(self) -> None:
        """End, as a comparer that crashed."""
        self._end.close()

    def close(self) -> None:
        """Close both ends."""
        self.pairs.close()
        self._end.close()


def compared(v1: Origin | int, v2: Origin | int, compare: Compare = ALL, **changes: Any) -> Config:
    """Build a configuration in which `v2` mirrors `v1`, and their answers are compared."""
    first, second = (one if isinstance(one, int) else one.port for one in (v1, v2))
    return make_config(first, second, **{"settings": {"compare": compare}, **changes})


def lost(served: Plane) -> dict[str, float]:
    """Return how many captured answers were dropped, by reason."""
    samples = served.inner.report()["compare_dropped_total"]
    return {
        reason: count for (reason,), count in samples.items() if isinstance(count, (int, float)) and count
    }
