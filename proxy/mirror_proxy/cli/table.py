"""Rows of text in aligned columns."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def lines(head: Sequence[str], rows: Iterable[Sequence[object]], indent: str = "") -> list[str]:
    """Return `head` and `rows` as lines, each column as wide as its widest cell; numbers stand to the right."""
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
