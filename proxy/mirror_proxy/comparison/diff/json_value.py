"""JSON as it is compared: parsed with bounds, and written for people without secrets.

A body may be hostile. Numbers of more than 64 digits are kept as text, since reading them takes a time that grows
with the square of their length; what is nested too deep for the parser is no JSON value here but a `TooDeepError`.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from itertools import islice
from math import inf, isfinite
from typing import Any, NoReturn

from mirror_proxy.comparison.diff.json_path import ITEM
from mirror_proxy.comparison.diff.json_place import JsonPlace
from mirror_proxy.comparison.diff.redaction import clean_name, clean_text
from mirror_proxy.comparison.diff.rules import CompareRules
from mirror_proxy.comparison.redaction.name import is_secret
from mirror_proxy.comparison.redaction.pair import secret_items
from mirror_proxy.comparison.redaction.span import REDACTED

#: Deeper values are not followed.
MAX_DEPTH = 64

_MAX_NUMBER = 64
_MAX_OPEN = 1_000

#: Brackets and commas; texts, the last of which may have no end, so that none is looked for in them.
_STRUCTURE = re.compile(r'"(?:[^"\\]|\\.)*+(?:"|\\?\Z)|[\[\]{},]', re.DOTALL)
_CLOSING = {"[": "]", "{": "}"}


class TooDeepError(ValueError):
    """The text is nested deeper than the parser follows, so that it is not known to be JSON."""


@dataclass(frozen=True, slots=True)
class LongNumber:
    """A number that is not parsed, as it is written."""

    text: str


@dataclass(frozen=True, slots=True)
class Json:
    """A value. `open` has the `id` of each list and object in it that was cut: what else was in those is not known."""

    value: Any
    open: frozenset[int] = frozenset()


def parse(text: str) -> Json:
    """Read JSON; raises ValueError if `text` is none (NaN and Infinity are none), TooDeepError if it may be some."""
    try:
        return Json(_DECODER.decode(text))
    except RecursionError:
        raise TooDeepError("nested too deep") from None


def parse_cut(text: str) -> Json:
    """Read as much as is whole of JSON whose end is missing; raises as `parse` does."""
    kept, closing = _closed(text)
    value = parse(kept + closing).value
    open_, one = set[int](), value
    for _ in closing:
        open_.add(id(one))
        last = list(one.values()) if isinstance(one, dict) else one
        if not isinstance(last, list) or not last:
            break
        one = last[-1]
    return Json(value, frozenset(open_))


def _closed(text: str) -> tuple[str, str]:
    """Return the part of `text` up to its last whole value, and the brackets that are still to be closed there."""
    end, closing = 0, list[str]()
    for match in _STRUCTURE.finditer(text):
        sign = match[0]
        if sign in _CLOSING:
            closing.append(_CLOSING[sign])
            if len(closing) > _MAX_OPEN:
                raise TooDeepError("nested too deep")
        elif sign in "]}":
            if not closing:
                raise ValueError("more brackets are closed than opened")
            closing.pop()
        elif sign != ",":
            continue
        end = match.start() if sign == "," else match.end()
    return text[:end], "".join(reversed(closing))


def write(value: Any, place: JsonPlace, rules: CompareRules, limit: int, indent: int | None = None) -> str:
    """Return `value`, which is at `place`, as JSON text without secrets: all, or a little over `limit` characters.

    A single text is written whole, however long.
    """
    clean = _Cleaning(rules, limit).of(value, place)
    pieces: list[str] = []
    for piece in json.JSONEncoder(ensure_ascii=False, indent=indent).iterencode(clean):
        pieces.append(piece)
        limit -= len(piece)
        if limit < 0:
            break
    return "".join(pieces)


class _Cleaning:
    """A copy without secrets, of no more than `limit` values: as many characters hold no more of them."""

    __slots__ = ("_left", "_rules")

    def __init__(self, rules: CompareRules, limit: int) -> None:
        self._rules = rules
        self._left = limit

    def of(self, value: Any, place: JsonPlace) -> Any:
        self._left -= 1
        if place.is_redacted and not (isinstance(value, dict | list) and place.may_hold_properties):
            return REDACTED
        if isinstance(value, dict | list):
            return self._of_many(value, place) if self._left > 0 and place.depth < MAX_DEPTH else "…"
        if isinstance(value, str):
            return clean_text(value, self._rules)
        plain = value.text if isinstance(value, LongNumber) else json.dumps(value)
        clean = clean_text(plain, self._rules)
        return value if clean == plain and not isinstance(value, LongNumber) else clean

    def _of_many(self, value: dict[str, Any] | list[Any], place: JsonPlace) -> Any:
        if isinstance(value, list):
            there, secrets = place.below(ITEM), secret_items(value, is_secret)
            items = enumerate(islice(value, self._left))
            return [REDACTED if at in secrets else self.of(item, there) for at, item in items]
        clean: dict[str, Any] = {}
        for name, member in islice(value.items(), self._left):
            shown = clean_name(name, self._rules)
            numbered = shown if shown not in clean else f"{shown}#{len(clean) + 1}"
            clean[numbered] = self.of(member, place.member(name, value))
        return clean


def _integer(text: str) -> int | LongNumber:
    return int(text) if len(text) <= _MAX_NUMBER else LongNumber(text)


def _fraction(text: str) -> float | LongNumber:
    number = float(text) if len(text) <= _MAX_NUMBER else inf
    return number if isfinite(number) else LongNumber(text)


def _no_number(text: str) -> NoReturn:
    raise ValueError(f"{text} is no JSON")


_DECODER = json.JSONDecoder(parse_int=_integer, parse_float=_fraction, parse_constant=_no_number)
