r"""Layers: a text, and what it says once its escapes are read, so that `%22password%22` and `\"password\"` are found.

Each layer reads one level of percent-encoding, of escapes as in JSON, and of character references as in HTML. Spans of
a layer are those of the text it was read from.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator
from html.entities import html5

from mirror_proxy.comparison.redaction.span import Span

#: Levels that are read.
_LEVELS = 3

_ESCAPE = re.compile(
    r"%(?P<percent>[0-9A-Fa-f]{2})"
    r"|\\(?:u(?P<unicode>[0-9A-Fa-f]{4})|x(?P<hex>[0-9A-Fa-f]{2})|(?P<plain>[\"'\\/nrt]))"
    r"|&(?:#(?P<decimal>[0-9]{1,6});|#[xX](?P<point>[0-9A-Fa-f]{1,5});|(?P<named>amp|quot|apos|lt|gt|colon|equals);)"
)
_PLAIN = {"n": "\n", "r": "\r", "t": "\t"}


class Layer:
    """A text, and where each part of it stands in the text it was read from."""

    __slots__ = ("_begins", "_sources", "text")

    def __init__(self, text: str, begins: list[int], sources: list[int]) -> None:
        self.text = text
        self._begins = begins  # of each part, in `text`
        self._sources = sources  # of each part, in the text it was read from

    def origin(self, span: Span) -> Span:
        """Return the span of the text that this layer was read from."""
        start, end, instead = span
        return self._source(start), self._source(end), instead

    def _source(self, at: int) -> int:
        part = bisect_right(self._begins, at) - 1
        return self._sources[part] + at - self._begins[part]


def layers(text: str) -> Iterator[list[Layer]]:
    """Yield the layers that lead to each level of `text`, the first of which is `text` itself."""
    way: list[Layer] = []
    yield way
    for _ in range(_LEVELS):
        layer = _read(way[-1].text if way else text)
        if layer is None:
            return
        way = [*way, layer]
        yield way


def _read(text: str) -> Layer | None:
    """Return a text with one level of its escapes read; None: it has none."""
    pieces, begins, sources, at, length = list[str](), [0], [0], 0, 0
    for match in _ESCAPE.finditer(text):
        pieces += (text[at : match.start()], _character(match))
        length += match.start() - at + 1
        at = match.end()
        # An escape is one character here, and all of it is hidden or none: it and what follows are parts of their own.
        begins += (length - 1, length)
        sources += (match.start(), at)
    if not at:
        return None
    pieces.append(text[at:])
    return Layer("".join(pieces), begins, sources)


def _character(match: re.Match[str]) -> str:
    kind, value = match.lastgroup, match[match.lastgroup or 0]
    if kind == "plain":
        return _PLAIN.get(value, value)
    if kind == "named":
        return html5[f"{value};"]
    point = int(value, 10 if kind == "decimal" else 16)
    return chr(point) if 0 < point < 0x110000 else "\ufffd"
