"""The log settings of all processes: those of the files, with the level that an operator has set."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from dataclasses import replace

from mirror_proxy.config.model import Log
from mirror_proxy.supervisor.child import Child
from mirror_proxy.telemetry import log
from mirror_proxy.telemetry.event import event

#: Time for a process to answer. A process that does not is busy, and handles this message before any other.
ANSWER_S = 10.0

_log = logging.getLogger(__name__)


class LogSettings:
    """The log settings in force; `children` returns the other processes."""

    def __init__(self, configured: Log, children: Callable[[], Iterable[Child]]) -> None:
        self._children = children
        self._level: str | None = None
        self.configured = configured

    def current(self) -> Log:
        """Return the settings in force."""
        return self.configured if self._level is None else replace(self.configured, level=self._level)

    async def set_level(self, level: str) -> None:
        """Set the level in place of the files'; returns when every process uses it."""
        self._level = level
        await self._apply()

    async def reload(self, configured: Log) -> None:
        """Use the settings of the reloaded files; a level that an operator has set stays."""
        before, self.configured = self.current(), configured
        if self.current() != before:
            await self._apply()

    async def _apply(self) -> None:
        current = self.current()
        _log.info(event("log level is set", to=current.level, format=current.format))
        log.set_form(current.format, current.level)
        await asyncio.gather(*(child.set_log(ANSWER_S) for child in self._children()))
