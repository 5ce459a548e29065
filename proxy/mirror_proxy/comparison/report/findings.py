"""Findings: all that a report says, in whatever format: of each mirror what differed, how it did, and the verdict."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from mirror_proxy.comparison.diff.difference import Difference
from mirror_proxy.comparison.diff.example import Example, Search
from mirror_proxy.comparison.diff.totals import Totals
from mirror_proxy.comparison.report import notes
from mirror_proxy.comparison.report.fields import Field, fields
from mirror_proxy.comparison.report.figures import Figure, figures, mirrors
from mirror_proxy.comparison.report.limits import Judged, Limit, Outcome, judge
from mirror_proxy.config.model import Thresholds

#: So many fields of a mirror, the foremost, have examples.
MOST_WITH_EXAMPLES = 20


@dataclass(frozen=True, slots=True)
class Reading:
    """What a report is made of: counts from `since` to `until` (seconds since the epoch), read from `source`.

    `mirrors` are those in force, beside those that anything was counted of.
    """

    source: str
    version: str
    since: float
    until: float
    totals: Totals
    thresholds: Thresholds
    mirrors: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a report is to tell: of which mirror (None: all), held against what, with how many examples of a field."""

    mirror: str | None = None
    limits: tuple[Limit, ...] = ()
    min_samples: int = 100
    examples: int = 3


@dataclass(frozen=True, slots=True)
class Found:
    """A field, and examples of how it differed, the newest first."""

    field: Field
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
class Findings:
    """What was found of one mirror. `statuses` has primary's and mirror's; `deltas` buckets of `telemetry.delta`."""

    mirror: str
    routes: tuple[str, ...]
    figures: Mapping[str, Figure]
    limits: tuple[Judged, ...]
    compared: int
    differing: int
    fields: tuple[Found, ...]
    statuses: Mapping[tuple[str, str], int]
    outcomes: Mapping[str, int]
    deltas: Mapping[int, int]
    notes: tuple[str, ...]

    def judged(self, verdict: str) -> list[Found]:
        """Return the fields with a verdict of `compare.noise`."""
        return [found for found in self.fields if found.field.judgement.verdict == verdict]


@dataclass(frozen=True, slots=True)
class Report:
    """A report; `outcome` is that of all limits together, and `ok` without any."""

    reading: Reading
    wanted: Wanted
    findings: tuple[Findings, ...]
    notes: tuple[str, ...]

    @property
    def limits(self) -> list[tuple[str, Judged]]:
        """Every limit with the mirror it was held against."""
        return [(one.mirror, judged) for one in self.findings for judged in one.limits]

    @property
    def outcome(self) -> Outcome:
        """A broken limit says more than an undecided one."""
        outcomes = {judged.outcome for _, judged in self.limits}
        if self.wanted.limits and not self.findings:
            return "undecided"
        worst: tuple[Outcome, ...] = ("broken", "undecided")
        return next((outcome for outcome in worst if outcome in outcomes), "ok")


Look = Callable[[Search], Sequence[Example]]


def names(reading: Reading) -> list[str]:
    """Return the names of all mirrors there is something to say of, or might be."""
    return sorted({*reading.mirrors, *mirrors(reading.totals)})


def make(reading: Reading, wanted: Wanted, look: Look) -> Report:
    """Make the report; `look` finds examples, and may raise what it likes."""
    found = tuple(
        _of_mirror(reading, wanted, look, name) for name in names(reading) if wanted.mirror in {None, name}
    )
    return Report(reading, wanted, found, notes.of_all(reading.totals))


def _of_mirror(reading: Reading, wanted: Wanted, look: Look, name: str) -> Findings:
    totals, thresholds = reading.totals, reading.thresholds
    numbers = figures(totals, thresholds, name)
    judged = fields(totals, thresholds, name)
    return Findings(
        mirror=name,
        routes=tuple(sorted({key[0] for key, _ in totals.of("outcome") if key[1] == name})),
        figures=numbers,
        limits=tuple(judge(limit, numbers, wanted.min_samples) for limit in wanted.limits),
        compared=sum(number for key, number in totals.of("compared") if key[1] == name),
        differing=sum(number for key, number in totals.of("differing") if key[1] == name),
        fields=tuple(_with_examples(judged, reading.since, wanted.examples, look)),
        statuses={(primary, shadow): number for (primary, shadow), number in totals.of("status_pair", name)},
        outcomes=_outcomes(totals, name),
        deltas={int(bucket): number for (bucket,), number in sorted(totals.of("delta", name))},
        notes=notes.of_mirror(totals, thresholds, name),
    )


def _with_examples(judged: Sequence[Field], since: float, most: int, look: Look) -> list[Found]:
    """Look for examples of the foremost fields; of noise there is nothing to see."""
    found = []
    for place, field in enumerate(judged):
        is_told = most > 0 and place < MOST_WITH_EXAMPLES and field.judgement.verdict != "noise"
        search = Search(since, field.route, field.mirror, field.path, field.kind, limit=most)
        found.append(Found(field, tuple(look(search)) if is_told else ()))
    return found


def _outcomes(totals: Totals, mirror: str) -> dict[str, int]:
    counted: dict[str, int] = {}
    for (_, name, outcome), number in totals.of("outcome"):
        if name == mirror:
            counted[outcome] = counted.get(outcome, 0) + number
    return dict(sorted(counted.items(), key=lambda one: (-one[1], one[0])))
