"""Findings in texts: each with what both sides have there, redacted, and of the kind that their forms show."""

from __future__ import annotations

import re

from mirror_proxy.comparison.diff.difference import Difference, Kind
from mirror_proxy.comparison.diff.findings import Findings
from mirror_proxy.comparison.diff.json_differ import compare_json
from mirror_proxy.comparison.diff.json_value import Json
from mirror_proxy.comparison.diff.redaction import clean_text
from mirror_proxy.comparison.diff.rules import CompareRules
from mirror_proxy.comparison.diff.sample import samples
from mirror_proxy.comparison.diff.shape import names_id, shape_of
from mirror_proxy.comparison.diff.texts.alignment import Budget
from mirror_proxy.comparison.diff.texts.template import SLOT, template_of

#: What separates the names of elements and attributes in a path.
_SEPARATOR = re.compile(r"[/@.]")


class TextFindings:
    """Takes the differences of two texts; `near` is the time of the request. `budget` is of one pair of bodies."""

    __slots__ = ("_findings", "_near", "budget", "rules")

    def __init__(self, rules: CompareRules, findings: Findings, near: float) -> None:
        self.rules = rules
        self.budget = Budget()
        self._findings = findings
        self._near = near

    def cap(self) -> None:
        """Name the bound of what is followed, as something was not compared for it."""
        self._findings.capped.add("many")

    def differ(self, path: str, kind: Kind, primary: str, shadow: str) -> None:
        """Add a difference of two texts, unless only a secret in them differs."""
        self.add(
            path, kind, (primary, shadow), (clean_text(primary, self.rules), clean_text(shadow, self.rules))
        )

    def differ_in_value(self, path: str, primary: str, shadow: str) -> None:
        """Add that two texts differ: at a place of its own, if only numbers, times and tokens do."""
        is_slot = template_of(primary) == template_of(shadow)
        kind = self.kind_of(primary, shadow)
        if is_slot and kind == "value" and names_id(_SEPARATOR.split(path)[-1]):
            kind = "id"
        self.differ(f"{path} {SLOT}" if is_slot else path, kind, primary, shadow)

    def differ_in_json(self, path: str, primary: Json, shadow: Json) -> None:
        """Add where two JSON values differ that stand within a text."""
        compare_json(primary, shadow, self.rules, self._findings, self._near, f"{path} $")

    def lone(self, path: str, value: str, *, is_ours: bool) -> None:
        """Add what only one side has."""
        if is_ours:
            self.differ(path, "missing", value, "")
        else:
            self.differ(path, "extra", "", value)

    def add(self, path: str, kind: Kind, sides: tuple[str, str], clean: tuple[str, str]) -> None:
        """Add a difference of two texts that are redacted already, unless only a secret in them differs.

        What a rule of the configuration redacts makes a difference all the same.
        """
        if not self._findings.wants(path, kind):
            return
        if clean[0] == clean[1] and self.rules.redacted(sides[0]) != self.rules.redacted(sides[1]):
            return
        self._findings.add(Difference(path, kind, *samples(*clean)))

    def kind_of(self, primary: str, shadow: str) -> Kind:
        """Return the kind of a difference between two texts."""
        return shape_of(primary, shadow, self._near) or "value"
