"""Known secrets: a secret that is found in one place of a pair is hidden in all others.

A page may show the token that came in a header, and a sample shows a text without the element that names it. So the
secrets found in the request and in both responses are hidden wherever else in the example they stand.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from itertools import islice

from mirror_proxy.comparison.diff.difference import Difference
from mirror_proxy.comparison.diff.example import Example, Fields, Side
from mirror_proxy.comparison.redaction.span import REDACTED

#: Most secrets of one pair, and their lengths: a shorter one may be a word of any text.
_MAX_KNOWN = 500
_LENGTHS = range(6, 4_097)
_PIECE = re.compile(r"[^\s;,=:&\"'<>]{8,4096}")
#: A word or a number, which may well stand elsewhere for itself.
_PLAIN = re.compile(r"[A-Za-z]?[a-z]*\Z|[0-9]{1,9}\Z|\(redacted\)")
#: Stands where a sample is cut.
_CUT = "…"
#: So much of a secret at the edge of a sample is enough to know it.
_EDGE = 6


class KnownSecrets:
    """The secrets of one pair."""

    __slots__ = ("_known", "_pattern")

    def __init__(self, values: Iterable[str]) -> None:
        pieces = (one for value in values for one in (value, *_PIECE.findall(value)))
        usable = dict.fromkeys(one for one in pieces if len(one) in _LENGTHS and not _PLAIN.match(one))
        self._known = sorted(islice(usable, _MAX_KNOWN), key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, self._known))) if self._known else None

    def without(self, example: Example) -> Example:
        """Return `example` without them."""
        if self._pattern is None:
            return example
        return replace(
            example,
            target=self._cleaned(example.target),
            fields=self._fields(example.fields),
            body=self._cleaned(example.body),
            primary=self._side(example.primary),
            shadow=self._side(example.shadow),
            differences=tuple(map(self._difference, example.differences)),
        )

    def _side(self, side: Side) -> Side:
        return replace(side, fields=self._fields(side.fields), body=self._cleaned(side.body))

    def _fields(self, fields: Fields) -> Fields:
        return tuple((name, self._cleaned(value)) for name, value in fields)

    def _difference(self, difference: Difference) -> Difference:
        return replace(
            difference,
            primary=self._sample(difference.primary),
            shadow=self._sample(difference.shadow),
        )

    def _cleaned(self, text: str) -> str:
        return self._pattern.sub(REDACTED, text) if self._pattern is not None else text

    def _sample(self, text: str) -> str:
        """Return a sample without secrets, and without the rest of a secret that the sample cuts in two."""
        text = self._cleaned(text)
        if text.startswith(_CUT) and text.endswith(_CUT) and any(text[1:-1] in one for one in self._known):
            return f"{_CUT}{REDACTED}{_CUT}" if len(text) > _EDGE else text
        start = self._cut_at_start(text[1:]) if text.startswith(_CUT) else 0
        if start:
            text = f"{_CUT}{REDACTED}{text[1 + start :]}"
        end = self._cut_at_end(text[:-1]) if text.endswith(_CUT) else 0
        return f"{text[: -1 - end]}{REDACTED}{_CUT}" if end else text

    def _cut_at_start(self, text: str) -> int:
        """Return how much of the beginning of `text` is the end of a secret."""
        edge = text[:_EDGE]
        ends = (one[one.find(edge) :] for one in self._known if len(edge) == _EDGE and edge in one)
        return max((len(end) for end in ends if text.startswith(end)), default=0)

    def _cut_at_end(self, text: str) -> int:
        """Return how much of the end of `text` is the beginning of a secret."""
        edge = text[-_EDGE:]
        begins = (one[: one.find(edge) + _EDGE] for one in self._known if len(edge) == _EDGE and edge in one)
        return max((len(begin) for begin in begins if text.endswith(begin)), default=0)
