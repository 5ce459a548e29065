"""The differ: a pair in, how its two answers differ out; and the pair as it may be kept and shown.

It raises nothing whatever the answers hold, and takes no more time and memory than their size and its bounds allow.
"""

from __future__ import annotations

from proxy.compare.difference import Comparison, Difference
from proxy.compare.example import Example, Side
from proxy.compare.findings import Findings
from proxy.compare.json_differ import compare_json
from proxy.compare.json_value import parse
from proxy.compare.pair import Answer, Pair
from proxy.compare.ranking import leading, ordered
from proxy.compare.rules import Rules
from proxy.config.model import Compare

__all__ = ["Differ", "leading", "ordered"]


class Differ:
    """Compares pairs by the rules of `compare`."""

    __slots__ = ("_compare", "_rules")

    def __init__(self, compare: Compare) -> None:
        self._compare = compare
        self._rules: dict[str, Rules] = {}

    def compare(self, pair: Pair) -> Comparison:
        """Return all that differs, the most telling first."""
        findings = Findings()
        if pair.primary.status != pair.shadow.status:
            findings.add(
                Difference("status", "value", str(pair.primary.status), str(pair.shadow.status)),
            )
        if pair.primary.body != pair.shadow.body:
            try:
                primary, shadow = parse(pair.primary.body.decode()), parse(pair.shadow.body.decode())
            except ValueError:
                findings.add(Difference("body", "value"))
            else:
                compare_json(primary, shadow, self._rules_of(pair.route), findings)
        return Comparison(ordered(findings.differences()), findings.bounds())

    def example(self, pair: Pair, comparison: Comparison) -> Example:
        """Return the pair with its differences, as it is stored: bodies decoded and cut, secrets gone."""
        return Example(
            time=pair.time,
            route=pair.route,
            mirror=pair.mirror,
            destination=pair.destination,
            request_id=pair.request_id,
            method=pair.method,
            target=pair.target,
            fields=(),
            primary=_side(pair.primary),
            shadow=_side(pair.shadow),
            differences=comparison.differences,
        )

    def _rules_of(self, route: str) -> Rules:
        if route not in self._rules:
            self._rules[route] = Rules(self._compare, route)
        return self._rules[route]


def _side(answer: Answer) -> Side:
    return Side(answer.status, answer.duration_s * 1_000, (), "")
