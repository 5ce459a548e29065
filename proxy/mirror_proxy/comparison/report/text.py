"""The report for a terminal: the verdict first, then tables of at most a hundred columns."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from mirror_proxy.comparison.report import tables, verdict
from mirror_proxy.comparison.report.figures import PERCENTILES
from mirror_proxy.comparison.report.report import FieldWithExamples, MirrorReport, Report
from mirror_proxy.comparison.report.tables import status_matrix
from mirror_proxy.text import format_count, format_share, format_span, plural, shorten, visible

_WIDTH = 100
_CELL = 44
_SAMPLE = 34
_BAR = 30
#: At most so many fields are shown, so many of noise, and so many statuses, and a line that there are more.
_FIELDS, _NOISE, _STATUSES = 50, 10, 8
_NUMBER = re.compile(r"[-.]|(?:[<>] )?[-+]?[0-9][0-9.,]*(?: %| [mµ]?s)?|")


def render(report: Report) -> str:
    """Return the report as lines of text without anything that moves the cursor."""
    return "".join(f"{one}\n" for one in _lines(report))


def _lines(report: Report) -> Iterator[str]:
    data = report.data
    yield shorten(f"{verdict.word(report)}  {verdict.line(report)}", _WIDTH)
    yield ""
    span = f" ({format_span(data.until - data.since)})" if data.since else ""
    yield shorten(f"mirror-proxy {data.version} at {data.source}", _WIDTH)
    yield f"{data.period}{span}"
    for note in report.notes:
        yield from _wrapped(f"! {visible(note)}")
    if report.limits:
        yield ""
        rows = [
            (verdict.WORDS[judged.outcome], judged.limit.text, shorten(mirror, _CELL), judged.why)
            for mirror, judged in report.limits
        ]
        yield from _table(("result", "fails when", "mirror", "it was"), rows, widest=_WIDTH)
    for one in report.mirrors:
        yield from _of_mirror(one)


def _of_mirror(findings: MirrorReport) -> Iterator[str]:
    yield ""
    title = shorten(f"mirror {findings.mirror}", _WIDTH)
    yield from (title, "=" * len(title))
    yield shorten(verdict.summary(findings), _WIDTH)
    for note in findings.notes:
        yield from _wrapped(f"! {visible(note)}")
    for judged, heading, most in (
        ("reported", "fields that differ", _FIELDS),
        ("unsure", "fields that may differ", _FIELDS),
        ("noise", "noise: fields that differ within one version as well", _NOISE),
    ):
        yield from _fields(heading, findings.judged(judged), most)
    yield from _figures(findings)
    yield from _statuses(findings)
    yield from _outcomes(findings)


def _fields(heading: str, found: Sequence[FieldWithExamples], most: int) -> Iterator[str]:
    if not found:
        return
    yield from ("", heading)
    rows = []
    for one in found[:most]:
        field, judged = one.field, one.field.judgement
        noise = format_share(judged.noise_rate)
        bounds = f"{format_share(judged.raw_low)} to {format_share(judged.raw_high)}"
        rows.append((field.endpoint, field.path, field.kind, format_share(judged.raw_rate), bounds, noise))
    table = _table(("endpoint", "path", "kind", "differs", "surely within", "noise"), rows, indent="  ")
    yield next(table)
    for row, one in zip(table, found, strict=False):
        yield row
        if one.field.judgement.verdict == "unsure":
            yield f"      {one.field.judgement.why}"
        yield from _examples(one)
    if len(found) > most:
        yield f"  and {format_count(len(found) - most)} more"


def _examples(found: FieldWithExamples) -> Iterator[str]:
    for example, one in found.differences():
        statuses = f"{example.primary.status} -> {example.shadow.status}"
        primary, shadow = tables.samples(one, _SAMPLE)
        request = shorten(f"{example.method} {example.target}", _CELL)
        yield f"      {request}  {statuses}  #{example.number}"
        yield f"        {primary}  ->  {shadow}"


def _figures(findings: MirrorReport) -> Iterator[str]:
    sides = ("primary", "mirror", "mirror less primary, paired")
    yield from ("", "time until answered")
    times = [(side, *row) for side, row in zip(sides, tables.times(findings.figures), strict=True)]
    yield from _table(("", *PERCENTILES, "samples"), times, indent="  ")
    yield from ("", "errors")
    errors = [(side, *row) for side, row in zip(sides, tables.errors(findings.figures), strict=False)]
    yield from _table(("", "rate", "samples"), errors, indent="  ")


def _statuses(findings: MirrorReport) -> Iterator[str]:
    if not findings.statuses:
        return
    yield from ("", "statuses: the primary's down, the mirror's across")
    laid_out = status_matrix(findings.statuses, _STATUSES)
    rows = [
        (status, *(format_count(number) if number else "." for number in row))
        for status, row in laid_out.rows
    ]
    yield from _table(("", *laid_out.across), rows, indent="  ")


def _outcomes(findings: MirrorReport) -> Iterator[str]:
    total = sum(findings.outcomes.values())
    if not total:
        return
    yield from ("", f"what became of {plural(total, 'request')}")
    rows = [
        (outcome, format_count(number), format_share(number / total), "#" * round(_BAR * number / total))
        for outcome, number in findings.outcomes.items()
    ]
    yield from _table(("outcome", "requests", "share", ""), rows, indent="  ")


def _table(
    head: Sequence[str], rows: Iterable[Sequence[str]], indent: str = "", widest: int = _CELL
) -> Iterator[str]:
    """Yield `head` and `rows` in aligned columns that fit together; numbers stand to the right."""
    cells = [[shorten(text, widest) for text in row] for row in (head, *rows)]
    columns = list(zip(*cells, strict=True))
    widths = _fitting([max(map(len, column)) for column in columns], _WIDTH - len(indent))
    numeric = [all(_NUMBER.fullmatch(cell) for cell in column[1:]) for column in columns]
    for row in cells:
        parts = (
            shorten(cell, width).rjust(width) if right else shorten(cell, width).ljust(width)
            for cell, width, right in zip(row, widths, numeric, strict=True)
        )
        yield f"{indent}{'  '.join(parts)}".rstrip()


def _fitting(widths: list[int], most: int) -> list[int]:
    """Take from the widest columns until all fit."""
    while sum(widths) + 2 * (len(widths) - 1) > most:
        widths[widths.index(max(widths))] -= 1
    return widths


def _wrapped(text: str) -> Iterator[str]:
    """Yield `text` in lines that fit."""
    line = ""
    for word in text.split():
        if line and len(line) + 1 + len(word) > _WIDTH:
            yield shorten(line, _WIDTH)
            line = f"  {word}"
        else:
            line = f"{line} {word}" if line else word
    yield shorten(line, _WIDTH)
