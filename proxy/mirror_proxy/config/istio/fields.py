"""Fields: the types that the tables of Istio's kinds share: durations, texts, StringMatch, ignored fields, presence.

Messages are istiod's. Sources: istio/api StringMatch, istio pkg/config/validation/virtualservice.go
(`validateStringMatch`), pilot/pkg/networking/core/route/route.go (`canBeConvertedToPresentMatch`).
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from typing import Any

from mirror_proxy.config.model import StringMatch
from mirror_proxy.config.node import Place
from mirror_proxy.config.schema import INVALID, TEXT, Field, Record, Scalar, duration
from mirror_proxy.regex import Pattern, PatternError

LONGEST_S = 2**63 // 10**9  # Go's time.Duration holds no more
MAX_REGEX = 1024
SYNTAX = "Istio uses RE2 style regex-based match (https://github.com/google/re2/wiki/Syntax)"
PRESENT = StringMatch("present")


def go_duration(least_s: float = 0.001) -> Scalar:
    """Return the type of a duration in seconds as long as Istio takes it, by default at least a millisecond."""
    return duration(least_s, LONGEST_S)


def unspaced(text: str) -> str:
    """Return a text that becomes part of a request line, an authority or a Location, where a blank would end it."""
    if re.search(r"[\x00-\x20\x7f]", text):
        shown = f'"{text}"' if text.isprintable() else repr(text)
        raise ValueError(f"{shown} must hold neither blanks nor control characters")
    return text


def _printable(text: str) -> str:
    if not text.isprintable():
        raise ValueError(f"{text!r} must be printable")
    return text


UNSPACED = Scalar(("string",), unspaced)
NAME = Scalar(("string",), _printable)  # it stands in headers, logs and metrics


@dataclass(frozen=True, slots=True)
class IgnoredWithWarning:
    """A field without effect here; it is accepted with a warning."""

    message: str = "has no effect here"

    def read(self, place: Place) -> Any:
        """Warn, whatever it holds."""
        place.warn(self.message)
        return place.node

    def schema(self) -> dict[str, Any]:
        """Return a schema that everything meets."""
        return {}


def is_written(place: Place, *keys: str) -> bool:
    """Return whether one of the keys, in camel or snake case, is there and not null."""
    return any(place.get(key) or place.get(_snake(key)) for key in keys)


@functools.cache
def _snake(key: str) -> str:
    return re.sub(r"[A-Z]", lambda found: f"_{found[0].lower()}", key)


def check_regex(text: str, where: str) -> str:
    """Return a regular expression that RE2 takes; raise ValueError in istiod's words."""
    if len(text) > MAX_REGEX:
        raise ValueError(f'"{where}": regex is too large, max length allowed is {MAX_REGEX}')
    try:
        Pattern(text)
    except PatternError as error:
        raise ValueError(f'"{where}": error parsing regexp: {error}; {SYNTAX}') from error
    return text


def string_match(where: str, *, empty_prefix: bool = False, star: str = "") -> Record:
    """Return the type of a StringMatch, read as the model's; one without a condition is `present`.

    `where` is what messages call it. With `star` (`taken` or `warned`) the regex `*`, which is none, tests for
    presence; istiod's admission refuses it where it is warned of.
    """

    def build(place: Place, **values: str) -> Any:
        if len(values) > 1:
            place.refuse(
                "must validate one and only one schema (oneOf)", "give one of exact, prefix and regex"
            )
            return INVALID
        for kind, text in values.items():
            return _one(place, kind, text)
        return PRESENT

    def _one(place: Place, kind: str, text: str) -> StringMatch:
        if kind == "prefix" and not text and not empty_prefix:
            raise ValueError(f'"{where}": prefix string match should not be empty')
        if kind == "regex" and not text:
            raise ValueError(f'"{where}": regex string match should not be empty')
        if kind == "regex" and text == "*" and star:
            if star == "warned":
                place.warn("a mesh would refuse the regex *, here it tests for presence", "write {} instead")
            return PRESENT
        if kind == "regex":
            check_regex(text, where)
        return StringMatch(kind, text)

    fields = tuple(Field(kind, kind, TEXT) for kind in ("exact", "prefix", "regex"))
    return Record(build, fields, placed=True)
