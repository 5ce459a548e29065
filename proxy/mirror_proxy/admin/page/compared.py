"""Compared: how many answers differ, in which fields, whether that is noise, and what could not be compared."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlencode

from mirror_proxy.admin.page import outcomes
from mirror_proxy.admin.page.moment import Moment, baselines
from mirror_proxy.comparison.diff.totals import OTHER, Totals
from mirror_proxy.comparison.report.fields import JudgedField, fields
from mirror_proxy.comparison.report.figures import Figure, figures
from mirror_proxy.comparison.report.notes import CAPPED, DROPPED

#: So many fields are shown; those that matter come first.
MOST_FIELDS = 40


@dataclass(frozen=True, slots=True)
class Row:
    """A field that was judged, and where examples of it are."""

    field: JudgedField
    link: str


@dataclass(frozen=True, slots=True)
class Loss:
    """Pairs of which something, or everything, was not compared, and why."""

    reason: str
    words: str
    count: int


@dataclass(frozen=True, slots=True)
class Compared:
    """What is known of differences; `is_on` False: nothing is compared."""

    is_on: bool
    trouble: str
    pairs: int
    noise_pairs: int
    differing: int
    rate: Figure
    rows: tuple[Row, ...]
    more_fields: int
    baselines: tuple[outcomes.Mirror, ...]
    capped: tuple[Loss, ...]
    dropped: tuple[Loss, ...]


def of(moment: Moment) -> Compared:
    """Return what is known of all mirrors."""
    compare, totals = moment.loaded.config.settings.compare, moment.totals
    found = fields(totals, compare.thresholds) if compare.is_on else []
    known = baselines(moment.loaded.config)
    capped: dict[str, int] = {}
    for (_, _, reason), count in totals.of("capped"):
        capped[reason] = capped.get(reason, 0) + count
    return Compared(
        compare.is_on,
        moment.trouble,
        totals.count("compared"),
        totals.count("noise_compared"),
        totals.count("differing"),
        figures(totals if compare.is_on else Totals(), compare.thresholds)["diff_rate"],
        tuple(Row(field, _link(field)) for field in found[:MOST_FIELDS]),
        max(0, len(found) - MOST_FIELDS),
        tuple(row for row in outcomes.of(moment) if row.name in known),
        tuple(_losses(capped, CAPPED)),
        tuple(_losses({reason: count for (reason,), count in totals.of("dropped")}, DROPPED)),
    )


def _link(field: JudgedField) -> str:
    wanted = {"route": field.route, "mirror": field.mirror, "path": field.path, "kind": field.kind}
    if field.path == OTHER:
        del wanted["path"], wanted["kind"]
    return f"/differences?{urlencode(wanted)}"


def _losses(counts: dict[str, int], words: dict[str, str]) -> Iterator[Loss]:
    for reason, count in sorted(counts.items(), key=lambda item: -item[1]):
        yield Loss(reason, words.get(reason, ""), count)
