"""Make findings of the judged fields of one mirror."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from mirror_proxy.comparison.diff.record import Record
from mirror_proxy.comparison.diff.severity import SEVERITIES
from mirror_proxy.comparison.report.finding import scope
from mirror_proxy.comparison.report.finding.change import Change, Endpoint
from mirror_proxy.comparison.report.finding.consequence import with_consequences
from mirror_proxy.comparison.report.finding.finding import Finding
from mirror_proxy.comparison.report.finding.record_index import RecordIndex
from mirror_proxy.comparison.report.finding.together import Occurrence, are_together, occurrence
from mirror_proxy.comparison.report.finding.trait import trait_of

#: At most this many changes are joined, with at most this many that lead; each further one is a finding of its own.
_MAX_JOINED, _MAX_LEADS = 1_000, 100


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
        one = occurrence(change, index)
        leads = groups[:_MAX_LEADS] if number < _MAX_JOINED else ()
        joined = next((group for group in leads if are_together(group[0], one, index)), None)
        if joined is None:
            groups.append([one])
        else:
            joined.append(one)
    return groups


def _finding(
    mirror: str, group: list[Occurrence], index: RecordIndex, known: Collection[Endpoint]
) -> Finding:
    lead, changes = group[0].change, tuple(one.change for one in group)
    trait = trait_of(index.traits, group[0].records, index.without_change(lead))
    since = index.since(group[0].records)
    return Finding(mirror, changes, scope.words(lead.endpoints, known), trait, since=since)


def _rank(finding: Finding) -> tuple[bool, int, int, str]:
    """By severity, then by reach; what may follow from another finding is last."""
    lead = finding.lead
    return bool(finding.follows), SEVERITIES.index(finding.severity), -lead.differed, lead.path
