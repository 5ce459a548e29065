"""Rules: what to ignore, what to redact, which arrays are unordered or matched by a key, and the tolerances of numbers.

Compiled once for each route from `config.model.Compare`. A walk of a body looks the rules up once for each
`json_place.JsonPlace`.
"""

from __future__ import annotations

from collections.abc import Iterable

from mirror_proxy.comparison.diff.json_path import RuleStep, steps_of
from mirror_proxy.comparison.redaction.span import REDACTED
from mirror_proxy.config.model import Compare, FieldRule, Tolerance
from mirror_proxy.regex import Pattern

Steps = tuple[RuleStep, ...]


class CompareRules:
    """The rules of one route, of what to ignore, redact, treat as unordered, or compare with a tolerance.

    A path cannot be followed in broken JSON. There, values after one of `redacted_names` are hidden, or everything if
    `hides_bodies`.
    """

    __slots__ = (
        "_ignored",
        "_redacted",
        "hides_bodies",
        "ignored_headers",
        "ignored_paths",
        "matches",
        "redacted_headers",
        "redacted_names",
        "redacted_paths",
        "tolerances",
        "unordered",
    )

    def __init__(self, compare: Compare, route: str) -> None:
        ignore = [rule for rule in compare.ignore if rule.route in ("", route)]
        redact = [rule for rule in compare.redact if rule.route in ("", route)]
        self.ignored_paths = _paths(rule.path for rule in ignore)
        self.redacted_paths = _paths(rule.path for rule in redact)
        self.ignored_headers = frozenset(rule.header for rule in ignore if rule.header)
        self.redacted_headers = frozenset(rule.header for rule in redact if rule.header)
        names = [[step for step in steps if isinstance(step, str)] for steps in self.redacted_paths]
        self.redacted_names = frozenset(steps[-1] for steps in names if steps)
        self.hides_bodies = not all(names)
        self.unordered = _paths(compare.unordered)
        self.tolerances = [
            (steps, one) for one in compare.tolerances if (steps := steps_of(one.path or "$")) is not None
        ]
        self.matches = [
            (steps, one.by) for one in compare.matches if (steps := steps_of(one.path)) is not None
        ]
        self._ignored = _patterns(ignore)
        self._redacted = _patterns(redact)

    @property
    def has_patterns(self) -> bool:
        """Return whether there are patterns, whose matches the end of a cut body may cut in two."""
        return bool(self._ignored or self._redacted)

    def without_ignored(self, text: str) -> str:
        """Return a value without the matches of ignored patterns."""
        return _substitute(self._ignored, "", text)

    def redacted(self, text: str) -> str:
        """Return a value with the matches of redacted patterns hidden."""
        return _substitute(self._redacted, REDACTED, text)


def is_within(tolerances: Iterable[Tolerance], one: float, other: float) -> bool:
    """Return whether any of `tolerances` covers the difference of two numbers."""
    apart, larger = abs(one - other), max(abs(one), abs(other))
    return any(apart <= max(each.absolute, each.relative * larger) for each in tolerances)


def _paths(paths: Iterable[str]) -> list[Steps]:
    return [steps for path in paths if (steps := steps_of(path)) is not None]


def _patterns(rules: Iterable[FieldRule]) -> list[Pattern]:
    return [Pattern(rule.regex) for rule in rules if rule.regex]


def _substitute(patterns: list[Pattern], replacement: str, text: str) -> str:
    if not patterns:
        return text
    data = text.encode("utf-8", "backslashreplace")
    for pattern in patterns:
        data = pattern.substitute(replacement, data)
    return data.decode("utf-8", "backslashreplace")
