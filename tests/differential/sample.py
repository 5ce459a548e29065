"""Draw strings that a regular expression takes, for the part of RE2's syntax that the configurations use."""

from __future__ import annotations

import random
from collections.abc import Callable
from re import _constants as kinds  # type: ignore[attr-defined]  # the standard library's parser has no public name
from re import _parser as parser  # type: ignore[attr-defined]
from typing import Any

MORE = 3  # repetitions above the least
ANY = "aZ0-_.~"


def sample(pattern: str, draw: random.Random) -> str:
    """Return a string that `pattern` takes whole."""
    return _sequence(parser.parse(pattern), draw)


def _sequence(items: Any, draw: random.Random) -> str:
    return "".join(_DRAWERS[kind](value, draw) for kind, value in items)


def _repeat(value: Any, draw: random.Random) -> str:
    least, most, items = value
    times = draw.randint(least, min(most, least + MORE))
    return "".join(_sequence(items, draw) for _ in range(times))


def _member(items: Any, draw: random.Random) -> str:
    """Draw one character of a class."""
    if items[0][0] is kinds.NEGATE:
        return _other(
            draw, [letter for letter in ANY if any(_holds(kind, value, letter) for kind, value in items[1:])]
        )
    kind, value = draw.choice(items)
    if kind is kinds.RANGE:
        return chr(draw.randint(*value))
    if kind is kinds.CATEGORY:
        return draw.choice("0123456789" if value is kinds.CATEGORY_DIGIT else "abcXYZ019_")
    return chr(value)


def _other(draw: random.Random, taken: list[str]) -> str:
    return draw.choice([letter for letter in ANY if letter not in taken])


def _holds(kind: Any, value: Any, letter: str) -> bool:
    low, high = (value, value) if kind is kinds.LITERAL else value
    return bool(low <= ord(letter) <= high)


_DRAWERS: dict[Any, Callable[[Any, random.Random], str]] = {
    kinds.LITERAL: lambda value, _: chr(value),
    kinds.NOT_LITERAL: lambda value, draw: _other(draw, [chr(value)]),
    kinds.ANY: lambda _, draw: draw.choice(ANY),
    kinds.AT: lambda _value, _draw: "",
    kinds.IN: _member,
    kinds.BRANCH: lambda value, draw: _sequence(draw.choice(value[1]), draw),
    kinds.SUBPATTERN: lambda value, draw: _sequence(value[3], draw),
    kinds.MAX_REPEAT: _repeat,
    kinds.MIN_REPEAT: _repeat,
}
