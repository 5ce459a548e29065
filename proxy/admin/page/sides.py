"""Sides: two answers laid side by side, line by line, with what is not the same in them marked."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import zip_longest

from proxy.compare.example import Example, Fields

#: Longer bodies are shown as they are, line beside line: to align them takes time by the square of their lines.
MOST_LINES = 1_500
_MOST_INDENT = 4


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece of a line; `is_other`: the other side has something else there."""

    text: str
    is_other: bool = False


@dataclass(frozen=True, slots=True)
class Line:
    """The same line of both sides; None: that side has no such line. Numbers begin at 1."""

    left: tuple[Piece, ...] | None
    right: tuple[Piece, ...] | None
    left_number: int | None
    right_number: int | None

    @property
    def is_same(self) -> bool:
        """Tell whether both sides have it, and alike."""
        return self.left == self.right


@dataclass(frozen=True, slots=True)
class Header:
    """A header of both sides; None: that side has none of the name."""

    name: str
    left: str | None
    right: str | None


@dataclass(frozen=True, slots=True)
class Sides:
    """Both answers of an example. `is_aligned` False: the bodies are too long to find what belongs together."""

    headers: tuple[Header, ...]
    lines: tuple[Line, ...]
    is_aligned: bool


def of(example: Example) -> Sides:
    """Lay the answers of `example` side by side; takes up to a tenth of a second for long ones."""
    left, right = (_lines(side.body) for side in (example.primary, example.shadow))
    is_aligned = len(left) <= MOST_LINES and len(right) <= MOST_LINES
    lines = _aligned(left, right) if is_aligned else _beside(left, right, 0, 0)
    headers = tuple(_headers(example.primary.fields, example.shadow.fields))
    return Sides(headers, tuple(lines), is_aligned)


def _headers(left: Fields, right: Fields) -> Iterator[Header]:
    """Yield all headers by name; one that comes several times stands beside the other side's of the same turn."""
    names = dict.fromkeys(name for name, _ in (*left, *right))
    for name in names:
        mine, theirs = ([value for key, value in side if key == name] for side in (left, right))
        for one, other in zip_longest(mine, theirs):
            yield Header(name, one, other)


def _lines(body: str) -> list[str]:
    """Return the lines of a body; JSON is laid out first, unless that would make much more of it."""
    try:
        laid_out = json.dumps(json.loads(body), indent=2, ensure_ascii=False)
    except (ValueError, RecursionError):
        return body.splitlines()
    return (laid_out if len(laid_out) <= _MOST_INDENT * len(body) + 1000 else body).splitlines()


def _aligned(left: list[str], right: list[str]) -> Iterator[Line]:
    for kind, start, end, other_start, other_end in SequenceMatcher(
        None, left, right, autojunk=False
    ).get_opcodes():
        if kind == "replace":
            yield from _by_name(left[start:end], right[other_start:other_end], start, other_start)
        else:
            yield from _beside(left[start:end], right[other_start:other_end], start, other_start)


def _by_name(left: list[str], right: list[str], before: int, other_before: int) -> Iterator[Line]:
    """Yield lines that are not the same, a member of an object beside the one of that name."""
    mine, theirs = ([line.partition('": ')[0] for line in side] for side in (left, right))
    matcher = SequenceMatcher(None, mine, theirs, autojunk=False)
    for _, start, end, other_start, other_end in matcher.get_opcodes():
        yield from _beside(
            left[start:end], right[other_start:other_end], before + start, other_before + other_start
        )


def _beside(left: list[str], right: list[str], before: int, other_before: int) -> Iterator[Line]:
    """Yield line beside line; the numbers of those before are given."""
    for i, (one, other) in enumerate(zip_longest(left, right), 1):
        if one is None:
            yield Line(None, (Piece(other, is_other=True),), None, other_before + i)
        elif other is None:
            yield Line((Piece(one, is_other=True),), None, before + i, None)
        else:
            yield Line(*_marked(one, other), before + i, other_before + i)


def _marked(one: str, other: str) -> tuple[tuple[Piece, ...], tuple[Piece, ...]]:
    """Cut two lines into what they begin with alike, what differs, and what they end with alike."""
    if one == other:
        return (Piece(one),), (Piece(other),)
    most = min(len(one), len(other))
    head = next((i for i in range(most) if one[i] != other[i]), most)
    tail = next((i for i in range(most - head) if one[-1 - i] != other[-1 - i]), most - head)
    return _cut(one, head, tail), _cut(other, head, tail)


def _cut(text: str, head: int, tail: int) -> tuple[Piece, ...]:
    end = len(text) - tail
    pieces = (Piece(text[:head]), Piece(text[head:end], is_other=True), Piece(text[end:]))
    return tuple(piece for piece in pieces if piece.text or piece.is_other)
