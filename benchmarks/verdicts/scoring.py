"""Match what a tool found on a pair with what truly changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.verdicts.pair import Pair, Statement

#: Changes count as found when one of this number of first findings states them.
FIRST = 10


@dataclass(frozen=True, slots=True)
class Finding:
    """One finding of a tool: `endpoints` and `text` are searched, `title` is what a person reads."""

    title: str
    endpoints: str
    text: str

    @property
    def where(self) -> str:
        """Return the first endpoint."""
        return self.endpoints.partition("\n")[0]


@dataclass(frozen=True, slots=True)
class Score:
    """What the findings of one tool on one pair are worth.

    `unlisted` findings state neither a change nor a known difference. Each is false, unless a check of both versions
    by hand shows a difference; then it is listed as `known` in the pair's file.
    """

    findings: tuple[Finding, ...]
    found: tuple[Statement, ...]
    missed: tuple[Statement, ...]
    unlisted: tuple[Finding, ...]
    first_true: Finding | None

    @property
    def recall(self) -> float:
        """Return the part of the changes that the first findings state."""
        return len(self.found) / (len(self.found) + len(self.missed))


def score(findings: Sequence[Finding], pair: Pair) -> Score:
    """Match findings, most important first, with the pair's changes and known differences."""
    stated = [one for one in pair.changes if any(_states(finding, one) for finding in findings[:FIRST])]
    listed = [*pair.changes, *pair.known]
    true = [finding for finding in findings if any(_states(finding, one) for one in pair.changes)]
    return Score(
        findings=tuple(findings),
        found=tuple(stated),
        missed=tuple(one for one in pair.changes if one not in stated),
        unlisted=tuple(one for one in findings if not any(_states(one, statement) for statement in listed)),
        first_true=true[0] if true else None,
    )


def _states(finding: Finding, statement: Statement) -> bool:
    return statement.is_stated_by(finding.endpoints, finding.text)


def findings_of(report: dict[str, Any]) -> list[Finding]:
    """Return the findings of a JSON report's first mirror, in its order; of a report without any, reported fields."""
    mirror = report["mirrors"][0] if report["mirrors"] else {}
    if "findings" in mirror:
        return [_finding(one) for one in mirror["findings"]]
    return [_field(one) for one in mirror.get("fields", ()) if one["verdict"] == "reported"]


def _finding(one: dict[str, Any]) -> Finding:
    places = [" ".join(place) for place in one["places"]]
    text = "\n".join([one["sentence"], *one.get("also", ()), *places, *_values(one)])
    return Finding(one["sentence"], "\n".join([*one["endpoints"], *_targets(one)]), text)


def _field(one: dict[str, Any]) -> Finding:
    title = f"{one['path']} {one['kind']}"
    statuses = {
        f"status {example['primary_status']} -> {example['shadow_status']}" for example in one["examples"]
    }
    text = "\n".join([title, *_values(one), *(sorted(statuses) if one["path"] == "status" else ())])
    return Finding(title, "\n".join([one.get("endpoint", ""), *_targets(one)]), text)


def _values(one: dict[str, Any]) -> list[str]:
    return [f"{example.get('primary')} -> {example.get('shadow')}" for example in one.get("examples", ())]


def _targets(one: dict[str, Any]) -> list[str]:
    return [f"{example['method']} {example['target']}" for example in one.get("examples", ())]


def lines_until(text: str, finding: Finding | None) -> int | None:
    """Return on which line of a text report a finding first stands, from 1."""
    if finding is None:
        return None
    words = " ".join(finding.title.split())[:40]
    lines = text.splitlines()
    return next((n for n, line in enumerate(lines, 1) if words in " ".join(line.split())), None)
