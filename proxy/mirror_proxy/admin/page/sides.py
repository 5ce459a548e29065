"""Two responses side by side, line by line, with the parts that differ marked."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import zip_longest

from mirror_proxy.admin.page.alignment import StepBudget, align
from mirror_proxy.comparison.diff.example import Example, Fields

#: Longer bodies are not aligned.
MOST_LINES = 1_500
_MOST_INDENT = 4


@dataclass(frozen=True, slots=True)
class Fragment:
    """A part of a line; `is_other`: the other side has something else there."""

    text: str
    is_other: bool = False


@dataclass(frozen=True, slots=True)
class Line:
    """A line of both sides; None: that side has no such line. Numbers begin at 1."""

    left: tuple[Fragment, ...] | None
    right: tuple[Fragment, ...] | None
    left_number: int | None
    right_number: int | None

    @property
    def is_same(self) -> bool:
        """Whether the line is the same on both sides."""
        return self.left == self.right


@dataclass(frozen=True, slots=True)
class Header:
    """A header of both sides; None: that side has no header of the name."""

    name: str
    left: str | None
    right: str | None


@dataclass(frozen=True, slots=True)
class Sides:
    """Both responses of an example. `is_aligned` False: the bodies are too long to align.

    `is_capped`: the alignment stopped early, at too many repeated lines.
    """

    headers: tuple[Header, ...]
    lines: tuple[Line, ...]
    is_aligned: bool
    is_capped: bool = False


def of(example: Example) -> Sides:
    """Lay the responses of `example` side by side; takes up to 0.2 s for long ones."""
    left, right = (_lines(side.body) for side in (example.primary, example.shadow))
    is_aligned = len(left) <= MOST_LINES and len(right) <= MOST_LINES
    budget = StepBudget()
    lines = tuple(_aligned(left, right, budget) if is_aligned else _paired(left, right, 0, 0))
    headers = tuple(_headers(example.primary.fields, example.shadow.fields))
    return Sides(headers, lines, is_aligned, budget.is_spent)


def _headers(left: Fields, right: Fields) -> Iterator[Header]:
    """Yield all headers by name; repeated ones are paired in their order."""
    mine, theirs = _by_name(left), _by_name(right)
    for name in mine | theirs:
        for one, other in zip_longest(mine.get(name, ()), theirs.get(name, ())):
            yield Header(name, one, other)


def _by_name(fields: Fields) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, value in fields:
        found.setdefault(name, []).append(value)
    return found


def _lines(body: str) -> list[str]:
    """Return the lines of a body; JSON is indented first, unless that makes it much longer."""
    try:
        laid_out = json.dumps(json.loads(body), indent=2, ensure_ascii=False)
    except (ValueError, RecursionError):
        return body.splitlines()
    return (laid_out if len(laid_out) <= _MOST_INDENT * len(body) + 1000 else body).splitlines()


def _aligned(left: list[str], right: list[str], budget: StepBudget) -> Iterator[Line]:
    for part in align(left, right, budget):
        mine, theirs = left[part.start : part.end], right[part.other_start : part.other_end]
        if part.is_same or not mine or not theirs:
            yield from _paired(mine, theirs, part.start, part.other_start)
        else:
            yield from _by_member(mine, theirs, part.start, part.other_start, budget)


def _by_member(
    left: list[str], right: list[str], before: int, other_before: int, budget: StepBudget
) -> Iterator[Line]:
    """Yield lines that differ, with members of an object paired by name."""
    mine, theirs = ([line.partition('": ')[0] for line in side] for side in (left, right))
    for part in align(mine, theirs, budget):
        yield from _paired(
            left[part.start : part.end],
            right[part.other_start : part.other_end],
            before + part.start,
            other_before + part.other_start,
        )


def _paired(left: list[str], right: list[str], before: int, other_before: int) -> Iterator[Line]:
    """Yield lines in pairs; `before` and `other_before` are the numbers of the lines before."""
    for i, (one, other) in enumerate(zip_longest(left, right), 1):
        if one is None:
            yield Line(None, (Fragment(other, is_other=True),), None, other_before + i)
        elif other is None:
            yield Line((Fragment(one, is_other=True),), None, before + i, None)
        else:
            yield Line(*_marked(one, other), before + i, other_before + i)


def _marked(one: str, other: str) -> tuple[tuple[Fragment, ...], tuple[Fragment, ...]]:
    """Split two lines into their common start, the parts that differ, and their common end."""
    if one == other:
        return (Fragment(one),), (Fragment(other),)
    most = min(len(one), len(other))
    head = next((i for i in range(most) if one[i] != other[i]), most)
    tail = next((i for i in range(most - head) if one[-1 - i] != other[-1 - i]), most - head)
    return _cut(one, head, tail), _cut(other, head, tail)


def _cut(text: str, head: int, tail: int) -> tuple[Fragment, ...]:
    end = len(text) - tail
    pieces = (Fragment(text[:head]), Fragment(text[head:end], is_other=True), Fragment(text[end:]))
    return tuple(piece for piece in pieces if piece.text or piece.is_other)
