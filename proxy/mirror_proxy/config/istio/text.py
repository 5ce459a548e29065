"""Texts that must match: Istio's StringMatch and regular expressions, checked and worded as istiod does.

Sources: istio/api StringMatch, istio pkg/config/validation/virtualservice.go (`validateStringMatch`), and
pilot/pkg/networking/core/route/route.go (`canBeConvertedToPresentMatch`).
"""

from __future__ import annotations

from typing import Any

from mirror_proxy.config.model import StringMatch
from mirror_proxy.config.node import Place
from mirror_proxy.config.schema import INVALID, TEXT, Field, Record
from mirror_proxy.regex import Pattern, PatternError

MAX_REGEX = 1024
SYNTAX = "Istio uses RE2 style regex-based match (https://github.com/google/re2/wiki/Syntax)"
PRESENT = StringMatch("present")


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
