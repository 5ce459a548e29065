"""The comparison panel: findings as in the report, fields that may differ or are noise, and what was not compared."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlencode

from mirror_proxy.admin.page import details
from mirror_proxy.admin.page.data import PageData, baselines
from mirror_proxy.comparison.diff.totals import OTHER, Totals
from mirror_proxy.comparison.endpoint.folding import Folding
from mirror_proxy.comparison.report import period
from mirror_proxy.comparison.report.fields import JudgedField
from mirror_proxy.comparison.report.figures import Figure, figures
from mirror_proxy.comparison.report.finding.finding import Finding
from mirror_proxy.comparison.report.notes import CAPPED, DROPPED
from mirror_proxy.comparison.report.report import MirrorReport, ReportData, ReportOptions, make_report

#: Findings and other fields that are shown, at most; those that matter come first.
MOST_FINDINGS = 40
MOST_FIELDS = 20


@dataclass(frozen=True, slots=True)
class FindingRow:
    """A finding, and the address of its examples."""

    finding: Finding
    link: str


@dataclass(frozen=True, slots=True)
class FieldRow:
    """A judged field, and the address of its examples."""

    field: JudgedField
    link: str


@dataclass(frozen=True, slots=True)
class Loss:
    """Pairs that were not compared, or only in part, and why."""

    reason: str
    words: str
    count: int


@dataclass(frozen=True, slots=True)
class ComparisonPanel:
    """All that was compared; `is_on` False: nothing is compared."""

    is_on: bool
    period: str
    problem: str
    pairs: int
    noise_pairs: int
    differing: int
    rate: Figure
    hints: tuple[str, ...]
    findings: tuple[FindingRow, ...]
    more_findings: int
    rows: tuple[FieldRow, ...]
    more_fields: int
    baselines: tuple[details.MirrorOutcomes, ...]
    capped: tuple[Loss, ...]
    dropped: tuple[Loss, ...]


def of(data: PageData) -> ComparisonPanel:
    """Return the panel, of the totals that the query selects."""
    data = data.for_span()
    compare, totals = data.loaded.config.settings.compare, Folding(data.totals).fold(data.totals)
    mirrors = _reports(data) if compare.is_on else ()
    findings = [finding for one in mirrors for finding in one.findings]
    others = [found.field for one in mirrors for found in (*one.unsure, *one.judged("noise"))]
    known = baselines(data.loaded.config)
    capped: dict[str, int] = {}
    for (_, _, reason), count in totals.of("capped"):
        capped[reason] = capped.get(reason, 0) + count
    return ComparisonPanel(
        compare.is_on,
        _period(data),
        data.problem,
        totals.count("compared"),
        totals.count("noise_compared"),
        totals.count("differing"),
        figures(totals if compare.is_on else Totals(), compare.thresholds)["diff_rate"],
        tuple(hint for one in mirrors for hint in one.hints),
        tuple(FindingRow(finding, _link_of_finding(finding)) for finding in findings[:MOST_FINDINGS]),
        max(0, len(findings) - MOST_FINDINGS),
        tuple(FieldRow(field, _link(field)) for field in others[:MOST_FIELDS]),
        max(0, len(others) - MOST_FIELDS),
        tuple(row for row in details.outcomes(data) if row.name in known),
        tuple(_losses(capped, CAPPED)),
        tuple(_losses({reason: count for (reason,), count in totals.of("dropped")}, DROPPED)),
    )


def _period(data: PageData) -> str:
    """Return what the panel's figures are of."""
    if data.query.is_recent and data.earlier is not None:
        return period.describe(data.runs, data.time - data.earlier.age_s, data.time)
    return period.describe(data.runs, period.began(data.runs, 0.0), data.time)


def _reports(data: PageData) -> tuple[MirrorReport, ...]:
    """Return the reports of all mirrors, without examples."""
    thresholds = data.loaded.config.settings.compare.thresholds
    read = ReportData("", "", 0.0, data.time, data.totals, thresholds, records=data.records)
    return make_report(read, ReportOptions(examples=0), lambda _: ()).mirrors


def _link_of_finding(finding: Finding) -> str:
    wanted = {"mirror": finding.mirror, "path": finding.lead.path, "kind": finding.lead.kind}
    routes = {route for route, _ in finding.lead.endpoints}
    return _address(wanted if len(routes) > 1 else {"route": next(iter(routes)), **wanted})


def _link(field: JudgedField) -> str:
    return _address({"route": field.route, "mirror": field.mirror, "path": field.path, "kind": field.kind})


def _address(wanted: dict[str, str]) -> str:
    if wanted["path"] == OTHER:
        del wanted["path"], wanted["kind"]
    return f"/differences?{urlencode(wanted)}"


def _losses(counts: dict[str, int], words: dict[str, str]) -> Iterator[Loss]:
    for reason, count in sorted(counts.items(), key=lambda item: -item[1]):
        yield Loss(reason, words.get(reason, ""), count)
