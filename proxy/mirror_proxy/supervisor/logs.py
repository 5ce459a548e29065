"""How all processes log: as the files say, with the level that was set live in the place of theirs."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from dataclasses import replace

from mirror_proxy.config.model import Log
from mirror_proxy.supervisor.child import Child
from mirror_proxy.telemetry import log
from mirror_proxy.telemetry.event import event

#: What a process gets to answer. One that has not is behind, and logs as is wanted before it does anything else.
ANSWER_S = 10.0

_log = logging.getLogger(__name__)


class Logs:
    """The log of one proxy; `children` are its other processes."""

    def __init__(self, of_files: Log, children: Callable[[], Iterable[Child]]) -> None:
        self._children = children
        self._live: str | None = None
        self.of_files = of_files

    def wanted(self) -> Log:
        """Return how processes are to log."""
        return self.of_files if self._live is None else replace(self.of_files, level=self._live)

    async def set_level(self, level: str) -> None:
        """Log from `level` up, whatever the files say; returns when every process does."""
        self._live = level
        await self._apply()

    async def settle(self, of_files: Log) -> None:
        """After a reload: log as the files say now, but for a level that was set live."""
        before, self.of_files = self.wanted(), of_files
        if self.wanted() != before:
            await self._apply()

    async def _apply(self) -> None:
        wanted = self.wanted()
        _log.info(event("log level is set", to=wanted.level, format=wanted.format))
        log.set_form(wanted.format, wanted.level)
        await asyncio.gather(*(child.set_log(ANSWER_S) for child in self._children()))
