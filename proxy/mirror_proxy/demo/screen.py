"""Where the demo is watched: a block refreshed in place on a terminal, plain lines anywhere else."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence


class Screen(logging.Handler):
    """Gives `offer` what is to be shown, one or more whole lines at a time, without the last line's end.

    As a log handler it notices lines logged under the block, and leaves both standing.
    """

    def __init__(self, offer: Callable[[bytes], None], *, is_live: bool) -> None:
        super().__init__()
        self._offer = offer
        self._block_lines = 0
        self.is_live = is_live

    def say(self, *lines: str) -> None:
        """Write lines that stay."""
        self._block_lines = 0
        self._write("", lines)

    def refresh(self, lines: Sequence[str]) -> None:
        """Write `lines` over those of the last refresh."""
        back = f"\x1b[{self._block_lines}F\x1b[J" if self._block_lines else ""
        self._block_lines = len(lines)
        self._write(back, lines)

    def emit(self, record: logging.LogRecord) -> None:  # noqa: ARG002 that there is one is enough
        """Note that the block is no longer last (logging)."""
        self._block_lines = 0

    def _write(self, back: str, lines: Sequence[str]) -> None:
        self._offer((back + "\n".join(lines)).encode())
