"""The access log of one worker: lines to a file or to standard output, in batches, and what it says of its trouble."""

from __future__ import annotations

import logging

from mirror_proxy.telemetry.event import event
from mirror_proxy.telemetry.lines import MAX_QUEUED_BYTES, Lines

_GATHER_S = 0.1  # one write for many lines
_log = logging.getLogger(__name__)


class AccessLog(Lines):
    """One worker's access log, to the file `target` or, for `-`, standard output.

    Raises `OSError` when the file cannot be opened.
    """

    def __init__(self, target: str, *, max_queued_bytes: int = MAX_QUEUED_BYTES) -> None:
        self._path = target
        self._is_failing = False
        super().__init__(
            1 if target == "-" else target, max_queued_bytes=max_queued_bytes, gather_s=_GATHER_S
        )

    def on_failed(self, error: OSError) -> None:
        """Log the first of the failures that follow each other."""
        if not self._is_failing:
            self._is_failing = True
            _log.warning(event("access log lines are being dropped", path=self._path, error=error))

    def on_written(self) -> None:
        """Log that they are over."""
        if self._is_failing:
            self._is_failing = False
            _log.info(event("access log is being written again", path=self._path, lost=self.dropped))

    def on_reopen_failed(self, error: OSError) -> None:
        """Log it."""
        _log.warning(
            event("access log cannot be reopened, the old file stays in use", path=self._path, error=error)
        )
