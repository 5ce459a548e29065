"""Pairs: a name in one place and its value in the next: `{"name": "PASSWORD", "value": ...}`, `["cookie", ...]`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

from mirror_proxy.comparison.redaction.span import REDACTED, IsSecret, Span
from mirror_proxy.comparison.redaction.value import value_of
from mirror_proxy.comparison.redaction.vocabulary import words

#: Members that hold a name, and those that hold its value.
_NAMES = words(
    """
    attribute attributename field fieldname header headername id k key label name n param parameter
    parameterkey parametername property variable
    """
)
_VALUES = words(
    """
    content contents currentvalue data defaultvalue newvalue oldvalue parametervalue rawvalue string stringvalue text v
    val value values
    """
)
_NAME_WORDS = "|".join(sorted(_NAMES, key=len, reverse=True))
_VALUE_WORDS = "|".join(sorted(_VALUES, key=len, reverse=True))
#: Longer names hold neither a name nor a value.
_MAX_PLAIN = 40
_QUOTED = r"[\"']([^\"'\n]{1,200})[\"']"
#: `"name": "password", "value": `, as in JSON that is broken; and in lines of their own, as in YAML.
_MEMBERS = re.compile(
    rf"(?<![A-Za-z0-9_])[\"']?(?:{_NAME_WORDS})[\"']?\s{{0,8}}[:=]\s{{0,8}}(?:{_QUOTED}|([A-Za-z0-9_.-]{{1,200}}+))"
    rf"\s{{0,8}}[,&]?\s{{0,40}}(?P<quote>[\"'])?(?:{_VALUE_WORDS})[\"']?\s{{0,8}}(?P<sign>[:=])",
    re.IGNORECASE,
)
#: `"value": "...", "name": "password"`: what begins such a pair, the value in quotes or up to `_END`, and the rest.
_REVERSED = re.compile(
    rf"(?<![A-Za-z0-9_])[\"']?(?:{_VALUE_WORDS})[\"']?\s{{0,8}}[:=]\s{{0,8}}", re.IGNORECASE
)
_IN_QUOTES = re.compile(r"\"((?:[^\"\\]|\\.)*+)\"")
_END = re.compile(r"[\s\",{}]|\Z")
_NAMED = re.compile(
    rf"\s{{0,8}},?\s{{0,40}}[\"']?(?:{_NAME_WORDS})[\"']?\s{{0,8}}[:=]\s{{0,8}}(?:{_QUOTED}|([A-Za-z0-9_.-]{{1,200}}+))",
    re.IGNORECASE,
)
#: `["cookie", "..."]`, `setHeader('Authorization', ...)`.
_LISTED = re.compile(r"[\[(]\s{0,40}[\"']([A-Za-z][^\"'\n]{0,100})[\"']\s{0,8},")


def is_value(name: str, value: Any, is_secret: IsSecret) -> bool:
    """Return whether the member `name` of the object `value` is the value of a secret that another member names."""
    return (
        _plain(name) in _VALUES
        and isinstance(value, Mapping)
        and any(
            _plain(key) in _NAMES and isinstance(one, str) and is_secret(one) for key, one in value.items()
        )
    )


def secret_items(items: Any, is_secret: IsSecret) -> frozenset[int]:
    """Return which items of a list are secrets that the items before them name.

    In a list of two the first names the second; a longer one of texts may hold names and values in turn.
    """
    if not isinstance(items, Sequence) or len(items) % 2 or not items:
        return frozenset()
    if len(items) > 2 and not all(isinstance(one, str) for one in items):
        return frozenset()
    return frozenset(
        at + 1 for at in range(0, len(items), 2) if isinstance(items[at], str) and is_secret(items[at])
    )


def pairs(text: str, is_secret: IsSecret) -> Iterator[Span]:
    """Yield the values of pairs in a text whose structure is not known."""
    at = 0
    for match in _MEMBERS.finditer(text):
        if match.start() >= at and is_secret(match[1] or match[2]):
            start, at = _value(text, match, is_quoted=match["quote"] is not None)
            yield start, at, REDACTED
    yield from _reversed(text, is_secret)
    at = 0
    for match in _LISTED.finditer(text):
        if match.start() >= at and is_secret(match[1]):
            start, at = _value(text, match, is_quoted=True)
            yield start, at, REDACTED


def _reversed(text: str, is_secret: IsSecret) -> Iterator[Span]:
    """Yield the values before their names; where values without quotes run on, their common end is looked for once."""
    end = 0
    for match in _REVERSED.finditer(text):
        start = match.end()
        if quoted := _IN_QUOTES.match(text, start):
            span, at = quoted.span(1), quoted.end()
        else:
            if end < start:
                end = _END.search(text, start).start()  # type: ignore[union-attr]
            span, at = (start, end), end
        named = _NAMED.match(text, at)
        if named is not None and is_secret(named[1] or named[2]):
            yield *span, REDACTED


def _value(text: str, match: re.Match[str], *, is_quoted: bool) -> tuple[int, int]:
    return value_of(text, match.start(), match.end(), is_quoted=is_quoted, is_parameter=False)


def _plain(name: str) -> str:
    return _plain_of(name) if len(name) <= _MAX_PLAIN else ""


@lru_cache(maxsize=4096)
def _plain_of(name: str) -> str:
    return name.lower().replace("_", "").replace("-", "")
