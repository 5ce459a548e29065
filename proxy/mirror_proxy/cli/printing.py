"""Printing: the only way to standard output and standard error, which terminals and CIs read.

Names, paths and messages come from files, upstreams and the store. Whatever is in them, a line stays one line, moves no
cursor and gives no CI a command; a document keeps its lines, and what it says to who parses it.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable

from mirror_proxy.text import as_line, disarmed


def say(*lines: str) -> None:
    """Print lines to standard output, at once: some come when something has happened."""
    sys.stdout.write(_written(lines))
    sys.stdout.flush()


def complain(*lines: str) -> None:
    """Print lines to standard error."""
    sys.stderr.write(_written(lines))
    sys.stderr.flush()


def document(text: str) -> None:
    """Print a document to standard output."""
    sys.stdout.write(disarmed(text))
    sys.stdout.flush()


def show(text: str) -> None:
    """Show what is going on in the last line of the terminal that standard error is; elsewhere nothing."""
    if sys.stderr.isatty():
        sys.stderr.write(f"\r\x1b[K{as_line(text)}")
        sys.stderr.flush()


def _written(lines: Iterable[str]) -> str:
    return "".join(f"{as_line(line)}\n" for line in lines)
