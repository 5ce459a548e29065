"""Decide which requests may be sent to a second v1, or to v1 again, although their method is not safe.

A rule names a method and a path, operations where the path serves several, or operations of any path. Operations are
read of the whole body: of one that was cut, the part that is not there could ask for another.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase

from mirror_proxy.comparison.diff.header import fields_of
from mirror_proxy.comparison.endpoint.operation import Operation, operation
from mirror_proxy.comparison.endpoint.path import path_of
from mirror_proxy.comparison.endpoint.template import is_match
from mirror_proxy.config.model import RepeatSafe

#: A body that is longer is not read, and its request not repeated where the operation counts.
MAX_BODY_BYTES = 16 * 1024


class RepeatSafety:
    """The rules for all routes."""

    __slots__ = ("_rules",)

    def __init__(self, rules: Sequence[RepeatSafe]) -> None:
        self._rules = tuple(rules)

    def of_head(self, method: str, target: str, fields: bytes) -> bool | None:
        """Return whether a request may be repeated; None: its body decides."""
        rules = self._rules_for(method, target)
        if not rules or not all(one.operations for one in rules):
            return bool(rules)
        found = operation(target, fields_of(fields), "")
        return _is_of_any(rules, found) if found is not None else None

    def of_body(self, method: str, target: str, fields: bytes, body: bytes) -> bool:
        """Return whether a request may be repeated, by all of its body."""
        found = operation(target, fields_of(fields), body.decode("utf-8", "replace"))
        return found is not None and _is_of_any(self._rules_for(method, target), found)

    def _rules_for(self, method: str, target: str) -> list[RepeatSafe]:
        if not self._rules:
            return []
        path = path_of(target)
        return [one for one in self._rules if one.method in {"", method} and is_match(one.path, path)]


def _is_of_any(rules: Iterable[RepeatSafe], found: Operation) -> bool:
    return any(_is(found, wanted) for rule in rules for wanted in rule.operations)


def _is(found: Operation, wanted: str) -> bool:
    """Return whether an operation is of this kind, or its name, or the first word of its name, matches."""
    name = found.name
    if found.kind == wanted or (name and fnmatchcase(name, wanted)):
        return True
    return name.startswith(wanted) and not name[len(wanted)].islower()
