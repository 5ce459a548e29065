"""Spans: the parts of a text that are hidden, and the text without them."""

from __future__ import annotations

from collections.abc import Callable, Iterable

#: Stands for a redacted value.
REDACTED = "(redacted)"
#: Stands for a redacted value that differs from the other side's.
OTHER_REDACTED = "(redacted, another)"

#: Begin and end of a part of a text, and what stands there instead.
Span = tuple[int, int, str]

#: Whether a name marks its value as a secret.
IsSecret = Callable[[str], bool]


def hidden(text: str, spans: Iterable[Span]) -> str:
    """Return `text` with its spans replaced; line ends in them stay, so that lines keep their numbers."""
    pieces, at = [], 0
    for start, end, instead in _merged(spans):
        pieces += [text[at:start], instead, "\n" * text.count("\n", start, end)]
        at = end
    return "".join([*pieces, text[at:]])


def _merged(spans: Iterable[Span]) -> Iterable[Span]:
    """Yield the spans in order; those that overlap become one."""
    last: Span | None = None
    for span in sorted(spans):
        if last is None or span[0] >= last[1]:
            if last is not None:
                yield last
            last = span
        else:
            last = (last[0], max(last[1], span[1]), REDACTED)
    if last is not None:
        yield last
