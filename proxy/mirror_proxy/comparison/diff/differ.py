"""Compare a pair: where its two responses differ, and the pair as it may be stored and shown.

What only follows from another difference is not compared: nothing but the statuses of responses whose status classes
differ, no bodies of responses whose media types are of different kinds.

No response makes this raise. Time and memory are limited by the size of the responses and by the bounds of each part.
"""

from __future__ import annotations

from mirror_proxy.comparison.diff.content import Content, read
from mirror_proxy.comparison.diff.difference import MAX_SAMPLE, Comparison, Difference, Kind
from mirror_proxy.comparison.diff.echo.changes import Changes
from mirror_proxy.comparison.diff.echo.literal import Literals
from mirror_proxy.comparison.diff.echo.members import without_changes
from mirror_proxy.comparison.diff.example import Example
from mirror_proxy.comparison.diff.example_builder import example_of
from mirror_proxy.comparison.diff.findings import Findings
from mirror_proxy.comparison.diff.header import Field, fields_of, values_of
from mirror_proxy.comparison.diff.headers.condition import has_other_validator
from mirror_proxy.comparison.diff.headers.header_differ import are_same, compare_fields
from mirror_proxy.comparison.diff.json_differ import compare_json
from mirror_proxy.comparison.diff.json_place import JsonPlace
from mirror_proxy.comparison.diff.json_value import write
from mirror_proxy.comparison.diff.media import media_kind
from mirror_proxy.comparison.diff.pair import CapturedResponse, Pair
from mirror_proxy.comparison.diff.redaction import clean_body
from mirror_proxy.comparison.diff.rules import CompareRules
from mirror_proxy.comparison.diff.sample import samples
from mirror_proxy.comparison.diff.text_differ import compare_bytes, compare_sizes, compare_text, digest
from mirror_proxy.comparison.diff.traits import traits_of
from mirror_proxy.config.model import Compare


class Differ:
    """Compares pairs by the rules of `compare`."""

    __slots__ = ("_compare", "_rules")

    def __init__(self, compare: Compare) -> None:
        self._compare = compare
        self._rules: dict[str, CompareRules] = {}

    def compare(self, pair: Pair) -> Comparison:
        """Return what differs, the most significant first, and which bounds kept something from being compared."""
        rules, findings = self._rules_of(pair.route), Findings()
        primary, shadow = pair.primary, pair.shadow
        ours, theirs = fields_of(primary.fields), fields_of(shadow.fields)
        if _is_one_unchanged(pair, ours, theirs):
            return findings.comparison()
        _compare_statuses(primary.status, shadow.status, findings)
        if primary.status // 100 == shadow.status // 100:
            changes = Changes(pair)
            literals = Literals(changes)
            if not _are_same_bytes(primary, ours, shadow, theirs):
                one = read(primary, ours)
                other = read(shadow, theirs, lambda data: literals.fold(data, one.data))
                one, other = without_changes(one, other, changes)
                findings.capped |= one.bounds | other.bounds
                if not _are_of_other_media(one, ours, other, theirs, rules):
                    _compare_bodies(one, other, rules, findings, pair.time)
            if not are_same(ours, theirs):
                theirs = fields_of(literals.fold(shadow.fields, primary.fields))
                compare_fields(ours, theirs, rules, findings, pair.time, has_bodies=pair.method != "HEAD")
        return findings.comparison()

    def example(self, pair: Pair, comparison: Comparison) -> Example:
        """Return the pair with its differences, as it is stored: bodies decoded and cut, secrets redacted."""
        return example_of(pair, comparison, self._rules_of(pair.route))

    def traits(self, pair: Pair) -> tuple[str, ...]:
        """Return the traits of a pair's request, for a record."""
        return traits_of(pair, self._rules_of(pair.route))

    def _rules_of(self, route: str) -> CompareRules:
        if route not in self._rules:
            self._rules[route] = CompareRules(self._compare, route)
        return self._rules[route]


def _is_one_unchanged(pair: Pair, ours: list[Field], theirs: list[Field]) -> bool:
    """Return whether one side says that nothing changed since a response of that side, which the other cannot know."""
    statuses = (pair.primary.status, pair.shadow.status)
    if statuses not in {(304, 200), (200, 304)}:
        return False
    return has_other_validator(fields_of(pair.fields), theirs if statuses[0] == 304 else ours)


def _compare_statuses(primary: int, shadow: int, findings: Findings) -> None:
    """Add the two statuses; each pair of them is a place of its own."""
    if primary != shadow:
        findings.add(Difference(f"status {primary} -> {shadow}", "value", str(primary), str(shadow)))


def _are_same_bytes(
    one: CapturedResponse, its: list[Field], other: CapturedResponse, others: list[Field]
) -> bool:
    """Return whether two bodies are whole and have the same bytes and coding, as most do."""
    if one.body != other.body or not one.is_whole or not other.is_whole:
        return False
    return values_of(its, "content-encoding") == values_of(others, "content-encoding")


def _are_of_other_media(
    one: Content, its: list[Field], other: Content, others: list[Field], rules: CompareRules
) -> bool:
    """Return whether two media types are of different kinds, which `header content-type` says then.

    Bodies that are both JSON are compared whatever their media types.
    """
    kinds = {media_kind(its), media_kind(others)}
    if len(kinds) < 2 or "" in kinds or "content-type" in rules.ignored_headers:
        return False
    return bool(one.data and other.data) and not (one.json is not None and other.json is not None)


def _compare_bodies(
    primary: Content, shadow: Content, rules: CompareRules, findings: Findings, near: float
) -> None:
    """Compare JSON and markup by their structure, other text by lines, everything else by digests."""
    kinds = {primary.kind, shadow.kind}
    if primary.json is not None and shadow.json is not None:
        compare_json(primary.json, shadow.json, rules, findings, near)
        if primary.data == shadow.data and not (rules.has_patterns or rules.ignored_paths):
            compare_sizes(primary, shadow, findings)
    elif "JSON" in kinds:
        if not JsonPlace(rules).is_ignored:
            _add_kinds("$", primary, shadow, rules, findings)
    elif kinds == {"text", "binary"}:
        _add_kinds("body", primary, shadow, rules, findings)
    elif "binary" in kinds:
        compare_bytes(primary, shadow, findings)
    else:
        compare_text(primary, shadow, rules, findings, near)


def _add_kinds(path: str, primary: Content, shadow: Content, rules: CompareRules, findings: Findings) -> None:
    kind: Kind = "missing" if not shadow.data else "type" if primary.data else "extra"
    findings.add(Difference(path, kind, *samples(_shown(primary, rules), _shown(shadow, rules))))


def _shown(content: Content, rules: CompareRules) -> str:
    if content.json is not None:
        return write(content.json.value, JsonPlace(rules), rules, MAX_SAMPLE)
    if content.text:
        return clean_body(content.text, rules, content.is_cut)
    return digest(content.data) if content.data else ""
