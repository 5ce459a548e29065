"""Printing: the only way to standard output and standard error, which terminals and CI systems read.

Names, paths and messages come from files, upstreams and the store. Whatever they contain, a line stays one line, moves
no cursor and gives CI no command; a document keeps its lines and what a parser reads in it.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence

from mirror_proxy.text import as_line, disarmed


def print_lines(*lines: str) -> None:
    """Print lines to standard output, and flush: some are printed as events happen."""
    sys.stdout.write(_written(lines))
    sys.stdout.flush()


def print_errors(*lines: str) -> None:
    """Print lines to standard error."""
    sys.stderr.write(_written(lines))
    sys.stderr.flush()


def print_document(text: str) -> None:
    """Print a document to standard output."""
    sys.stdout.write(disarmed(text))
    sys.stdout.flush()


def print_progress(text: str) -> None:
    """Show progress in the last line, where standard error is a terminal; elsewhere nothing."""
    if sys.stderr.isatty():
        sys.stderr.write(f"\r\x1b[K{as_line(text)}")
        sys.stderr.flush()


def _written(lines: Iterable[str]) -> str:
    return "".join(f"{as_line(line)}\n" for line in lines)


def table(head: Sequence[str], rows: Iterable[Sequence[object]], indent: str = "") -> list[str]:
    """Return `head` and `rows` as lines, each column as wide as its widest cell; numbers are right-aligned."""
    cells = [list(map(str, row)) for row in rows]
    columns = list(zip(head, *cells, strict=True))
    widths = [max(map(len, column)) for column in columns]
    is_number = [bool(cells) and all(_is_number(cell) for cell in column[1:]) for column in columns]
    return [
        indent
        + "  ".join(
            cell.rjust(width) if right else cell.ljust(width)
            for cell, width, right in zip(row, widths, is_number, strict=True)
        ).rstrip()
        for row in (list(head), *cells)
    ]


def _is_number(text: str) -> bool:
    return text.replace(".", "", 1).removesuffix("%").rstrip().isdigit()
