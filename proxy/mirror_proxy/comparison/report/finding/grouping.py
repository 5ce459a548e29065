"""Make findings of the judged fields of one mirror."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from mirror_proxy.comparison.diff.record import Record
from mirror_proxy.comparison.diff.severity import SEVERITIES
from mirror_proxy.comparison.report.finding import scope
from mirror_proxy.comparison.report.finding.change import Change, Endpoint
from mirror_proxy.comparison.report.finding.consequence import with_consequences
from mirror_proxy.comparison.report.finding.finding import Finding
from mirror_proxy.comparison.report.finding.together import Occurrence, RecordIndex
from mirror_proxy.comparison.report.finding.trait import trait_of

#: More changes are not held against each other; each is a finding of its own.
_MAX_GROUPED = 1_000


def findings_of(
    mirror: str, changes: Iterable[Change], records: Iterable[Record], known: Collection[Endpoint]
) -> list[Finding]:
    """Return the findings, the most severe first; `known` are all endpoints that were compared."""
    index = RecordIndex(one for one in records if one.mirror == mirror)
    found = [_finding(mirror, group, index, known) for group in _groups(changes, index)]
    return sorted(with_consequences(found), key=_rank)


def _groups(changes: Iterable[Change], index: RecordIndex) -> list[list[Occurrence]]:
    """Join each change with the most severe one that it comes together with."""
    groups: list[list[Occurrence]] = []
    for number, change in enumerate(changes):
        one = index.occurrence(change)
        leads = groups if number < _MAX_GROUPED else ()
        joined = next((group for group in leads if index.are_together(group[0], one)), None)
        if joined is None:
            groups.append([one])
        else:
            joined.append(one)
    return groups


def _finding(
    mirror: str, group: list[Occurrence], index: RecordIndex, known: Collection[Endpoint]
) -> Finding:
    lead, changes = group[0].change, tuple(one.change for one in group)
    trait = trait_of(*index.split(group[0]))
    return Finding(mirror, changes, scope.words(lead.endpoints, known), trait)


def _rank(finding: Finding) -> tuple[bool, int, int, str]:
    """By severity, then by reach; what may follow from another finding is last."""
    lead = finding.lead
    return bool(finding.follows), SEVERITIES.index(finding.severity), -lead.differed, lead.path
