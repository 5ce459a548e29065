"""Report: what every format shows, of each mirror its figures, findings, limits and notes, and the verdict."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from mirror_proxy.comparison.diff.difference import Difference
from mirror_proxy.comparison.diff.example import Example, Search
from mirror_proxy.comparison.diff.record import Record
from mirror_proxy.comparison.diff.run import Run
from mirror_proxy.comparison.diff.totals import Totals
from mirror_proxy.comparison.endpoint.folding import Folding
from mirror_proxy.comparison.report import hints, notes, period
from mirror_proxy.comparison.report.coverage import Coverage, coverage
from mirror_proxy.comparison.report.fields import JudgedField, fields
from mirror_proxy.comparison.report.figures import Figure, figures, mirrors
from mirror_proxy.comparison.report.finding.change import changes_of, unsure_of
from mirror_proxy.comparison.report.finding.example_finder import ExampleFinder, FindExamples
from mirror_proxy.comparison.report.finding.finding import Finding
from mirror_proxy.comparison.report.finding.grouping import findings_of
from mirror_proxy.comparison.report.latency import MirrorLatency, latency
from mirror_proxy.comparison.report.limits import Limit, LimitResult, Outcome, judge
from mirror_proxy.config.model import Thresholds


@dataclass(frozen=True, slots=True)
class ReportData:
    """The data of a report: counts of `runs` from `since` to `until` (seconds since the epoch), read from `source`.

    `mirrors` are those of the configuration; those that were counted are added. `records` are a sample of pairs.
    """

    source: str
    version: str
    since: float
    until: float
    totals: Totals
    thresholds: Thresholds
    mirrors: tuple[str, ...] = ()
    runs: tuple[Run, ...] = ()
    records: tuple[Record, ...] = ()

    @property
    def period(self) -> str:
        """The runs, the span of time and the Host of shadow requests; a `since` of 0 is not known."""
        span = period.describe(self.runs, self.since, self.until)
        return f"{span}; {period.hosts(self.runs)}" if self.runs else span


@dataclass(frozen=True, slots=True)
class ReportOptions:
    """Contents of a report: the mirror (None: all), the limits, and the number of examples of a finding.

    With `shows_all_examples`, the text has those of every finding, and all that differs with each; else the first few.
    """

    mirror: str | None = None
    limits: tuple[Limit, ...] = ()
    min_samples: int = 100
    examples: int = 3
    shows_all_examples: bool = False


@dataclass(frozen=True, slots=True)
class FieldWithExamples:
    """A field, and examples of how it differed, the newest first."""

    field: JudgedField
    examples: tuple[Example, ...] = ()

    def differences(self) -> list[tuple[Example, Difference]]:
        """Return each example with how the field differed in it."""
        place = self.field.path, self.field.kind
        return [
            (example, one)
            for example in self.examples
            for one in example.differences
            if (one.path, one.kind) == place
        ]


@dataclass(frozen=True, slots=True)
class MirrorReport:
    """The report of one mirror.

    `unsure` are the fields that may differ and are of no finding. `statuses` has primary's and mirror's; `deltas`
    buckets of `telemetry.delta`. `hints` are notes to be read before the findings.
    """

    mirror: str
    routes: tuple[str, ...]
    figures: Mapping[str, Figure]
    limits: tuple[LimitResult, ...]
    compared: int
    differing: int
    findings: tuple[Finding, ...]
    fields: tuple[FieldWithExamples, ...]
    unsure: tuple[FieldWithExamples, ...]
    statuses: Mapping[tuple[str, str], int]
    outcomes: Mapping[str, int]
    deltas: Mapping[int, int]
    notes: tuple[str, ...]
    coverage: Coverage
    latency: MirrorLatency
    hints: tuple[str, ...] = ()

    def judged(self, verdict: str) -> list[FieldWithExamples]:
        """Return the fields with a verdict of `compare.noise`."""
        return [found for found in self.fields if found.field.judgement.verdict == verdict]


@dataclass(frozen=True, slots=True)
class Report:
    """A report; `outcome` is that of all limits together, and `ok` without any."""

    data: ReportData
    options: ReportOptions
    mirrors: tuple[MirrorReport, ...]
    notes: tuple[str, ...]

    @property
    def limits(self) -> list[tuple[str, LimitResult]]:
        """Every limit with the mirror it was applied to."""
        return [(one.mirror, judged) for one in self.mirrors for judged in one.limits]

    @property
    def outcome(self) -> Outcome:
        """Return the worst: a broken limit counts more than an undecided one."""
        outcomes = {judged.outcome for _, judged in self.limits}
        if self.options.limits and not self.mirrors:
            return "undecided"
        worst: tuple[Outcome, ...] = ("broken", "undecided")
        return next((outcome for outcome in worst if outcome in outcomes), "ok")


def mirror_names(data: ReportData) -> list[str]:
    """Return the names of all mirrors that are configured or were counted."""
    return sorted({*data.mirrors, *mirrors(data.totals)})


def make_report(data: ReportData, options: ReportOptions, find: FindExamples) -> Report:
    """Make the report; `find` finds examples. What it raises is not caught."""
    folding = Folding(data.totals)
    records = (replace(one, endpoint=folding.of(one.route, one.endpoint)) for one in data.records)
    data = replace(data, totals=folding.fold(data.totals), records=tuple(records))

    def find_folded(search: Search) -> list[Example]:
        return [replace(one, endpoint=folding.of(one.route, one.endpoint)) for one in find(search)]

    names = [name for name in mirror_names(data) if options.mirror in {None, name}]
    found = tuple(_of_mirror(data, options, find_folded, name) for name in names)
    return Report(data, options, found, notes.of_all(data.totals))


def _of_mirror(data: ReportData, options: ReportOptions, find: FindExamples, name: str) -> MirrorReport:
    totals, thresholds = data.totals, data.thresholds
    judged = fields(totals, thresholds, name)
    numbers = figures(totals, thresholds, name, judged=judged)
    changes = changes_of(judged)
    known = {(route, endpoint) for (route, mirror, endpoint), _ in totals.of("compared") if mirror == name}
    finder = ExampleFinder(find, name, data.since, options.examples)
    found = [
        finding.with_examples(finder.of_change(finding.lead))
        for finding in findings_of(name, changes, data.records, known)
    ]
    unsure = frozenset(unsure_of(judged, changes))
    with_examples = [
        FieldWithExamples(field, finder.of_field(field, may_search=field in unsure)) for field in judged
    ]
    return MirrorReport(
        mirror=name,
        routes=tuple(sorted({key[0] for key, _ in totals.of("outcome") if key[1] == name})),
        figures=numbers,
        limits=tuple(judge(limit, numbers, options.min_samples) for limit in options.limits),
        compared=sum(number for key, number in totals.of("compared") if key[1] == name),
        differing=sum(number for key, number in totals.of("differing") if key[1] == name),
        findings=tuple(found),
        fields=tuple(with_examples),
        unsure=tuple(one for one in with_examples if one.field in unsure),
        statuses={(primary, shadow): number for (primary, shadow), number in totals.of("status_pair", name)},
        outcomes=_outcomes(totals, name),
        deltas={int(bucket): number for (bucket,), number in sorted(totals.of("delta", name))},
        notes=notes.of_mirror(totals, thresholds, name),
        hints=hints.of_mirror(totals, name),
        latency=latency(totals, name),
        coverage=coverage(totals, judged, name, thresholds.min_samples),
    )


def _outcomes(totals: Totals, mirror: str) -> dict[str, int]:
    counted: dict[str, int] = {}
    for (_, name, outcome), number in totals.of("outcome"):
        if name == mirror:
            counted[outcome] = counted.get(outcome, 0) + number
    return dict(sorted(counted.items(), key=lambda one: (-one[1], one[0])))
