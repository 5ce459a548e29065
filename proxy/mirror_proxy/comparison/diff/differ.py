"""The differ: a pair in, how its two answers differ out; and the pair as it may be kept and shown.

It raises nothing whatever the answers hold, and takes no more time and memory than their size and its bounds allow.
"""

from __future__ import annotations

from mirror_proxy.comparison.diff.body_differ import compare_bodies
from mirror_proxy.comparison.diff.content import read
from mirror_proxy.comparison.diff.difference import Comparison, Difference
from mirror_proxy.comparison.diff.example import Example
from mirror_proxy.comparison.diff.findings import MAX_DIFFERENCES, Findings
from mirror_proxy.comparison.diff.header import Field, fields_of, values_of
from mirror_proxy.comparison.diff.header_differ import compare_fields
from mirror_proxy.comparison.diff.pair import Answer, Pair
from mirror_proxy.comparison.diff.ranking import ordered
from mirror_proxy.comparison.diff.rules import Rules
from mirror_proxy.comparison.diff.showing import example_of
from mirror_proxy.config.model import Compare


class Differ:
    """Compares pairs by the rules of `compare`."""

    __slots__ = ("_compare", "_rules")

    def __init__(self, compare: Compare) -> None:
        self._compare = compare
        self._rules: dict[str, Rules] = {}

    def compare(self, pair: Pair) -> Comparison:
        """Return what differs, the most telling first, and which bounds kept something from being compared."""
        rules, findings = self._rules_of(pair.route), Findings()
        primary, shadow = pair.primary, pair.shadow
        ours, theirs = fields_of(primary.fields), fields_of(shadow.fields)
        if primary.status != shadow.status:
            findings.add(Difference("status", "value", str(primary.status), str(shadow.status)))
        if not _are_same_bytes(primary, ours, shadow, theirs):
            compare_bodies(read(primary, ours), read(shadow, theirs), rules, findings)
        compare_fields(ours, theirs, rules, findings, has_bodies=pair.method != "HEAD")
        return Comparison(ordered(findings.differences())[:MAX_DIFFERENCES], findings.bounds())

    def example(self, pair: Pair, comparison: Comparison) -> Example:
        """Return the pair with its differences, as it is stored: bodies decoded and cut, secrets gone."""
        return example_of(pair, comparison, self._rules_of(pair.route))

    def _rules_of(self, route: str) -> Rules:
        if route not in self._rules:
            self._rules[route] = Rules(self._compare, route)
        return self._rules[route]


def _are_same_bytes(one: Answer, its: list[Field], other: Answer, others: list[Field]) -> bool:
    """Tell, without a look into them, whether two bodies are whole and the same: most are."""
    if one.body != other.body or not one.is_whole or not other.is_whole:
        return False
    return values_of(its, "content-encoding") == values_of(others, "content-encoding")
