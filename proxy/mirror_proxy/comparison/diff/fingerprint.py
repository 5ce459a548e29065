"""Fingerprints: values that count as the same have the same one, so that items of arrays are found again elsewhere."""

from __future__ import annotations

from hashlib import blake2b
from typing import Any

from mirror_proxy.comparison.diff.json_value import MAX_DEPTH, LongNumber
from mirror_proxy.comparison.diff.path import ITEM
from mirror_proxy.comparison.diff.place import JsonPlace
from mirror_proxy.comparison.diff.rules import CompareRules
from mirror_proxy.config.model import Compare

#: Of how many values of one pair fingerprints are taken; beyond that, items are not looked for elsewhere.
MAX_VALUES = 100_000


class Fingerprints:
    """Fingerprints of the values of one pair; each container's is computed once."""

    __slots__ = ("_known", "_left", "_rules")

    def __init__(self, rules: CompareRules) -> None:
        self._rules = rules
        self._known: dict[int, bytes] = {}
        self._left = MAX_VALUES

    @property
    def is_spent(self) -> bool:
        """Tell whether there were too many values; then no fingerprint means anything."""
        return self._left < 0

    def of(self, value: Any, place: JsonPlace) -> bytes:
        """Return the fingerprint of `value`, which is at `place`; what may differ below has no part in it."""
        self._left -= 1
        if self._left < 0:
            return b""
        if not isinstance(value, dict | list):
            return scalar(value, self._rules)
        known = self._known.get(id(value))
        if known is None:
            known = deep(value) if place.depth >= MAX_DEPTH else self._of_many(value, place)
            self._known[id(value)] = known
        return known

    def _of_many(self, value: dict[str, Any] | list[Any], place: JsonPlace) -> bytes:
        if isinstance(value, list):
            there = place.below(ITEM)
            items = [] if there.is_ignored else [self.of(item, there) for item in value]
            return _digest(b"[", sorted(items) if place.is_unordered else items)
        members = [
            (_text(name), self.of(value[name], there))
            for name in sorted(value)
            if not (there := place.below(name)).is_ignored
        ]
        return _digest(b"{", [part for member in members for part in member])


def scalar(value: Any, rules: CompareRules) -> bytes:
    """Return the fingerprint of a text, number, boolean or null: no longer than it is written."""
    if isinstance(value, str):
        return b'"' + _text(rules.without_ignored(value))
    if isinstance(value, LongNumber):
        return b"#" + _text(rules.without_ignored(value.text))
    if isinstance(value, bool) or value is None:
        return repr(value).encode()
    whole = int(value) if value == int(value) else value
    return b"#" + _text(rules.without_ignored(repr(whole)))


def deep(value: Any) -> bytes:
    """Return the fingerprint of a value however deep it is nested; no rule is about what is in it."""
    parts = blake2b(digest_size=16)
    rest: list[Any] = [value]
    while rest:
        one = rest.pop()
        if isinstance(one, bytes):
            parts.update(one)
        elif isinstance(one, list):
            parts.update(b"[%d " % len(one))
            rest += reversed(one)
        elif isinstance(one, dict):
            parts.update(b"{%d " % len(one))
            for name in sorted(one, reverse=True):
                rest += (one[name], _framed(_text(name)))
        else:
            parts.update(_framed(scalar(one, _NO_RULES)))
    return parts.digest()


def _digest(kind: bytes, parts: list[bytes]) -> bytes:
    whole = blake2b(kind, digest_size=16)
    for part in parts:
        whole.update(_framed(part))
    return kind + whole.digest()


def _framed(part: bytes) -> bytes:
    return b"%d:%b" % (len(part), part)


def _text(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


_NO_RULES = CompareRules(Compare(), "")
