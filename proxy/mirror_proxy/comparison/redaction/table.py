"""Tables: columns of CSV and the like whose name, in the first line, marks a secret."""

from __future__ import annotations

import re
from collections.abc import Iterator

from mirror_proxy.comparison.redaction.span import REDACTED, IsSecret, Span

_CELLS = {
    sign: re.compile(
        rf"[ \t]*+(?:\"((?:[^\"]|\"\")*+)\"?[^{re.escape(sign)}\n]*+|([^{re.escape(sign)}\n]*+))"
        rf"({re.escape(sign)}|\r?\n|\Z)"
    )
    for sign in ",;\t|"
}
_HEADING = re.compile(r"[\s\"']*+[A-Za-z_][A-Za-z0-9_ .()#/-]{0,60}+[\s\"']*+\Z")
#: A first line that is longer heads no table.
_MAX_HEAD = 4_000


def tables(text: str, is_secret: IsSecret) -> Iterator[Span]:
    """Yield the cells below the names of secrets in a text that is a table."""
    text_start = len(text) - len(text.lstrip("\ufeff\r\n"))
    head_end = text.find("\n", text_start, text_start + _MAX_HEAD)
    if head_end < 0:
        return
    head = text[text_start:head_end]
    for sign, cell in _CELLS.items():
        names = [name.strip(" \t\r\"'") for name in head.split(sign)]
        hidden = {at for at, name in enumerate(names) if is_secret(name)}
        if hidden and len(names) > 1 and _is_head(text, head, head_end, sign):
            yield from _cells(text, head_end + 1, cell, hidden)
            return


def _is_head(text: str, head: str, head_end: int, sign: str) -> bool:
    """Return whether a first line has names only, and what follows as many cells."""
    names = [name for name in head.split(sign) if name.strip(" \t\r\"'")]
    if not all(map(_HEADING.match, names)):
        return False
    at, columns = head_end + 1, head.count(sign) + 1
    for column in range(columns):
        match = _CELLS[sign].match(text, at)
        if match is None or match[3] != sign:
            return match is not None and column == columns - 1
        at = match.end()
    return True


def _cells(text: str, at: int, cell: re.Pattern[str], hidden: set[int]) -> Iterator[Span]:
    column = 0
    while at < len(text):
        match = cell.match(text, at)
        if match is None:
            return
        group = 1 if match[1] is not None else 2
        if column in hidden and match[group].strip():
            yield *match.span(group), REDACTED
        column = 0 if "\n" in match[3] else column + 1
        at = max(match.end(), at + 1)
