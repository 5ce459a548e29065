"""The report as Markdown, for a comment on a change.

Foreign text stands in code spans, in which no Markdown, HTML or mention (`@name`) has an effect.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from mirror_proxy.comparison.report import tables, verdict
from mirror_proxy.comparison.report.figures import PERCENTILES
from mirror_proxy.comparison.report.finding.finding import Finding
from mirror_proxy.comparison.report.report import FieldWithExamples, MirrorReport, Report
from mirror_proxy.comparison.report.tables import status_matrix
from mirror_proxy.text import format_count, format_share, plural, shorten

_SIGNS = {"ok": "✅", "broken": "❌", "undecided": "❔"}
_MAX_CHARACTERS, _MAX_SENTENCE = 80, 400
#: Most findings in a comment, changes beside each, fields that may differ, and statuses.
_FIELDS, _ALSO, _UNSURE, _STATUSES = 10, 4, 5, 8


def render(report: Report) -> str:
    """Return the report as Markdown with tables, as GitHub and GitLab read it."""
    return "".join(f"{line}\n" for line in _lines(report))


def code(text: str, length: int = _MAX_CHARACTERS) -> str:
    """Return foreign text as it stands anywhere on one line, a table's cell too."""
    shown = shorten(text, length)
    if not shown.strip():
        return "(empty)"
    if "|" in shown:  # which ends a cell even in a code span
        return f"<code>{''.join(map(_entity, shown))}</code>"
    longest = max(map(len, re.findall("`+", shown)), default=0)
    edge = " " if "`" in {shown[0], shown[-1]} else ""
    fence = "`" * (longest + 1)
    return f"{fence}{edge}{shown}{edge}{fence}"


def _entity(character: str) -> str:
    return character if character.isalnum() or character == " " else f"&#{ord(character)};"


def _lines(report: Report) -> Iterator[str]:
    data = report.data
    sign = _SIGNS[report.outcome] if report.options.limits else "🔍"
    yield f"## {sign} mirror-proxy: {verdict.word(report).lower()}"
    if report.limits:
        yield from ("", f"**{verdict.line(report)}**")
        rows = [
            (_SIGNS[judged.outcome], f"fails when {code(judged.limit.text)}", code(mirror), judged.why)
            for mirror, judged in report.limits
        ]
        yield from _table(("", "limit", "mirror", "it was"), rows)
    elif not report.mirrors:
        yield from ("", f"**{verdict.line(report)}**")
    for one in report.mirrors:
        yield from _of_mirror(one)
    yield ""
    yield f"_{''.join(map(_plain, data.period))}, from_ {code(data.source)}"
    yield from _notes(report.notes)


def _of_mirror(one: MirrorReport) -> Iterator[str]:
    yield from ("", f"### {code(one.mirror)}", "")
    yield f"**{verdict.summary(one)}**"
    yield from _notes(one.hints)
    yield from _findings(one.findings)
    yield from _unsure(one.unsure)
    noise = one.judged("noise")
    if noise:
        paths = list(dict.fromkeys(found.field.path for found in noise))
        named = ", ".join(map(code, paths[:_FIELDS]))
        more = f" and {format_count(len(paths) - _FIELDS)} more" if len(paths) > _FIELDS else ""
        yield from ("", f"Noise, which differs within one version as well: {named}{more}")
    yield from _notes(one.notes)
    yield from _figures(one)
    if one.statuses:
        laid_out = status_matrix(one.statuses, _STATUSES)
        rows = [
            (f"**{code(status)}**", *(format_count(number) if number else "" for number in row))
            for status, row in laid_out.rows
        ]
        yield from _table(("primary \\ mirror", *map(code, laid_out.across)), rows, is_numeric=True)
    total = sum(one.outcomes.values())
    rows = [
        (code(outcome), format_count(number), format_share(number / total))
        for outcome, number in one.outcomes.items()
    ]
    if rows:
        yield from _table(("outcome", "requests", "share"), rows, is_numeric=True)


def _findings(found: Sequence[Finding]) -> Iterator[str]:
    if not found:
        return
    more = f" ({_FIELDS} of {format_count(len(found))})" if len(found) > _FIELDS else ""
    yield from ("", f"Findings, the most severe first{more}:", "")
    for number, finding in enumerate(found[:_FIELDS], 1):
        yield f"{number}. **{finding.severity}** {code(finding.sentence, _MAX_SENTENCE)}"
        if finding.also:
            rest = f" and {format_count(len(finding.also) - _ALSO)} more" if len(finding.also) > _ALSO else ""
            yield f"   - also {', '.join(code(also) for also in finding.also[:_ALSO])}{rest}"
        yield from _example(finding)


def _example(finding: Finding) -> Iterator[str]:
    for example, one in finding.differences():
        primary, shadow = map(code, tables.samples(one))
        yield f"   - for example {code(f'{example.method} {example.target}')}: {primary} → {shadow}"
        return


def _unsure(found: Sequence[FieldWithExamples]) -> Iterator[str]:
    if not found:
        return
    named = ", ".join(f"{code(one.field.path)} {code(one.field.kind)}" for one in found[:_UNSURE])
    more = f" and {format_count(len(found) - _UNSURE)} more" if len(found) > _UNSURE else ""
    yield from ("", f"{plural(len(found), 'field')} may differ, too few samples to decide: {named}{more}")


def _figures(one: MirrorReport) -> Iterator[str]:
    sides = ("primary", "mirror", "mirror less primary, paired")
    times = tables.times(one.figures)
    errors = [*(share for share, _ in tables.errors(one.figures)), ""]
    cells = [(side, *row[:-1], error) for side, row, error in zip(sides, times, errors, strict=True)]
    yield from _table(("time until answered", *PERCENTILES, "errors"), cells, is_numeric=True)
    lines = one.latency.lines()
    yield from [""] * bool(lines)
    yield from (f"- {''.join(map(_plain, line))}" for line in lines)


def _notes(notes: Sequence[str]) -> Iterator[str]:
    for note in notes:
        yield from ("", f"> {''.join(_plain(one) for one in shorten(note, 400))}")


def _plain(character: str) -> str:
    """Notes are our own sentences, with foreign names in them."""
    return character if character.isalnum() or character in " .,:;'()-%±" else f"&#{ord(character)};"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]], *, is_numeric: bool = False) -> Iterator[str]:
    """Yield a table; with `is_numeric`, all but the first column stands to the right."""
    yield ""
    for cells in (head, ["---", *["---:" if is_numeric else "---"] * (len(head) - 1)], *rows):
        yield f"| {' | '.join(cells)} |"
