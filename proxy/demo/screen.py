"""Where the demo is watched: a block refreshed in place on a terminal, plain lines anywhere else."""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from typing import TextIO


class Screen(logging.Handler):
    """Writes to `out`. As a log handler it notices lines logged under the block, and leaves both standing."""

    def __init__(self, out: TextIO = sys.stdout) -> None:
        super().__init__()
        self._out = out
        self._block_lines = 0
        self.is_live = out.isatty()

    def say(self, *lines: str) -> None:
        """Write lines that stay."""
        self._block_lines = 0
        self._write(lines)

    def refresh(self, lines: Sequence[str]) -> None:
        """Write `lines` over those of the last refresh."""
        if self._block_lines:
            self._out.write(f"\x1b[{self._block_lines}F\x1b[J")
        self._block_lines = len(lines)
        self._write(lines)

    def emit(self, record: logging.LogRecord) -> None:  # noqa: ARG002 that there is one is enough
        """Note that the block is no longer last (logging)."""
        self._block_lines = 0

    def _write(self, lines: Sequence[str]) -> None:
        self._out.write("".join(f"{line}\n" for line in lines))
        self._out.flush()
