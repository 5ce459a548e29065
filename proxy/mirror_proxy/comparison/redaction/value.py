"""Values: where the value after a name ends, in whatever syntax it is written.

A quoted value ends at its quote, a list or object at its bracket, a parameter at `&`, a line of a configuration or of a
head at the end of the line. A value whose end is missing, as in a text that was cut, goes on to the end of the text.
Where a syntax is not known for sure the longer value is taken.
"""

from __future__ import annotations

import re
from functools import cache

#: So much before a name is searched for what it stands in.
_BEFORE = 500

#: A list or object after a name without quotes is no longer, if it has no end: it may be no list at all.
_MAX_OPEN = 2_000

_QUOTES = "\"'`"
_SPACE = re.compile(r"[ \t]*+")
_SPACE_AND_LINES = re.compile(r"\s*+")
_QUOTED = {quote: re.compile(rf"(?:[^{quote}\\]|\\.)*+", re.DOTALL) for quote in _QUOTES}
#: What goes on after a closing quote, as in `"a"b`.
_GOES_ON = re.compile(r"[^\s,;:=()\[\]{}<>&|/#\\\"'`]*+")
_LITERAL = re.compile(
    r"(?:-?[0-9][0-9.eE+-]{0,100}|true|false|null|True|False|None)(?=[ \t]{0,8}(?:[,}\]\r\n]|\Z))"
)
#: Brackets, and texts with brackets in them.
_BRACKET = re.compile(r'"(?:[^"\\]|\\.)*+"?|(?<=[\[{(,: ])\'(?:[^\'\\]|\\.)*+\'?|[\[\]{}]', re.DOTALL)
#: Another parameter.
_NEXT_PARAMETER = r"&(?:amp;)?[A-Za-z0-9_.%\[\]+~$-]{1,100}+="
_BEGINS_AS_MARKUP = re.compile(r"\s{0,100}+<")
_BREAK = re.compile(r"[\s\"'<>]")
_APOSTROPHE = re.compile(r"(?<=\w)'(?=\w)")


def value_of(text: str, name_at: int, at: int, *, is_quoted: bool, is_parameter: bool) -> tuple[int, int]:
    """Return begin and end of the value of the name at `name_at`, whose sign (`:` or `=`) ends at `at`.

    `is_quoted`: the name is, as in JSON; `is_parameter`: the sign is `=` and touches the name.
    """
    at = (_SPACE_AND_LINES if is_quoted else _SPACE).match(text, at).end()  # type: ignore[union-attr]
    sign = text[at : at + 1]
    if sign and sign in _QUOTES:
        return _quoted(text, at)
    if is_quoted and (literal := _LITERAL.match(text, at)):
        return literal.span()
    is_open = sign != "" and sign in "[{"
    if is_quoted and is_open:
        return at, _end_of_brackets(text, at, len(text))
    end = _unquoted(text, name_at, at, is_parameter=is_parameter)
    if not is_open:
        return at, end
    return at, max(end, _end_of_brackets(text, at, min(len(text), at + _MAX_OPEN)))


def _end_of_brackets(text: str, at: int, limit: int) -> int:
    """Return the end of the list or object that begins at `at`, at most `limit`."""
    depth = 0
    for match in _BRACKET.finditer(text, at, limit):
        sign = match[0]
        depth += (sign in "[{") - (sign in "]}")
        if depth <= 0:
            return match.end()
    return limit


def _quoted(text: str, at: int) -> tuple[int, int]:
    """Return what is in quotes; with them, if it goes on after them."""
    start, end, parts = at, at, 0
    while end < len(text) and text[end] in _QUOTES:
        closing = _QUOTED[text[end]].match(text, end + 1).end()  # type: ignore[union-attr]
        if closing >= len(text):
            return start + 1, len(text)
        end = _GOES_ON.match(text, closing + 1).end()  # type: ignore[union-attr]
        parts += 1 + (end > closing + 1)
    return (start + 1, end - 1) if parts == 1 else (start, end)


def _unquoted(text: str, name_at: int, at: int, *, is_parameter: bool) -> int:
    """Return the end of the line, or of what the line is in: quotes, a tag, an address, other parameters."""
    line = text.rfind("\n", max(0, name_at - _BEFORE), name_at) + 1
    before = text[line or max(0, name_at - _BEFORE) : name_at]
    signs = re.escape("\n" + _stops(text, before))
    if is_parameter and _is_in_address(before):
        signs += r"\s"
    stop = _first_of(signs, is_parameter=is_parameter).search(text, at)
    end = stop.start() if stop else len(text)
    return at + len(text[at:end].rstrip())


def _stops(text: str, before: str) -> str:
    """Return the signs that end what a name stands in."""
    words = _APOSTROPHE.sub("", before)
    stops = "".join(quote for quote in _QUOTES if words.count(quote) % 2)
    if _BEGINS_AS_MARKUP.match(text):
        stops += "<"
    return stops + ">" if before.rfind("<") > before.rfind(">") else stops


@cache
def _first_of(signs: str, *, is_parameter: bool) -> re.Pattern[str]:
    """Return what finds the first of some signs, or the next parameter: in one search, so that none goes further."""
    return re.compile(f"[{signs}]|{_NEXT_PARAMETER}" if is_parameter else f"[{signs}]")


def _is_in_address(before: str) -> bool:
    question = before.rfind("?")
    return question >= 0 and not _BREAK.search(before, question)
