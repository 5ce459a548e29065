"""Asking: what the comparer has counted, asked for by whoever looks at the page, and no more often than it bears.

To add up a store of many days takes the comparer its time, and it has better to do: it is asked again only once
`_REST` times as long as it took has gone by. Meanwhile, and while it does not answer, its last answer has to do.
"""

from __future__ import annotations

import asyncio
import time

from mirror_proxy import tasks
from mirror_proxy.admin.interface import ProxyInterface
from mirror_proxy.comparison.diff.totals import OF_COMPARER, Totals
from mirror_proxy.errors import RefusedError

_TIMEOUT_S = 1.0
_REST = 20
_MOST_S = 60.0

#: What the comparer knows best; the rest is known, and to the second, from the workers.
_ASKED = OF_COMPARER | {"dropped"}


class Asking:
    """Asks `proxy` for what was counted since the proxy's start."""

    def __init__(self, proxy: ProxyInterface) -> None:
        self._proxy = proxy
        self._asked: asyncio.Task[None] | None = None
        self._due = 0.0
        self._told = Totals()
        self._trouble = ""

    async def told(self) -> tuple[Totals, str]:
        """Return what the comparer said last, and why it says nothing more; waits a second for it at most."""
        if self._asked is None and _now() >= self._due:
            self._asked = tasks.spawn(self._ask(), "page-totals")
        if self._asked is not None:
            await asyncio.wait([self._asked], timeout=_TIMEOUT_S)
        return self._told, self._trouble

    def close(self) -> None:
        """Wait for no answer any more."""
        if self._asked is not None:
            self._asked.cancel()

    async def _ask(self) -> None:
        began = _now()
        uptime = self._proxy.server_info().get("uptime_s", 0.0)
        since = time.time() - (uptime if isinstance(uptime, int | float) else 0.0)
        try:
            told = await self._proxy.totals(since)
        except RefusedError as error:
            self._trouble = str(error)
        else:
            self._told = Totals({key: count for key, count in told.counts.items() if key[0] in _ASKED})
            self._trouble = ""
        finally:
            self._due = _now() + min(_MOST_S, (_now() - began) * _REST)
            self._asked = None


def _now() -> float:
    return asyncio.get_running_loop().time()
