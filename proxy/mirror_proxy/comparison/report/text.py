"""The report for a terminal: the verdict first, then findings, most severe first, then tables."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from mirror_proxy.comparison.report import tables, verdict
from mirror_proxy.comparison.report.figures import PERCENTILES
from mirror_proxy.comparison.report.finding.finding import Finding
from mirror_proxy.comparison.report.report import FieldWithExamples, MirrorReport, Report
from mirror_proxy.comparison.report.tables import status_matrix
from mirror_proxy.text import format_count, format_share, plural, shorten, visible

#: Columns where the terminal's are not known, and the fewest and most that are used.
WIDTH = 100
_NARROWEST, _WIDEST = 60, 200
_CELL = 44
_BAR = 30
#: Most findings that are shown, findings with examples, changes beside a finding's lead, fields that may differ, fields
#: of noise, and statuses.
_FINDINGS, _WITH_EXAMPLES, _ALSO, _UNSURE, _NOISE, _STATUSES = 50, 3, 6, 5, 5, 8
_INDENT = 13
_NUMBER = re.compile(r"[-.]|(?:[<>] )?[-+]?[0-9][0-9.,]*(?: %| [mµ]?s)?|")


def render(report: Report, width: int = WIDTH) -> str:
    """Return the report as lines of text of at most `width` columns, without anything that moves the cursor."""
    page = _Page(report, max(_NARROWEST, min(width, _WIDEST)))
    return "".join(f"{one}\n" for one in page.lines())


class _Page:
    """The lines of one report."""

    def __init__(self, report: Report, width: int) -> None:
        self._report = report
        self._width = width

    def lines(self) -> Iterator[str]:
        report, data = self._report, self._report.data
        yield shorten(f"{verdict.word(report)}  {verdict.line(report)}", self._width)
        yield ""
        origin = f"from {visible(data.source)}, mirror-proxy {data.version}"
        yield from self._wrapped(f"{origin}: {data.period}")
        if report.limits:
            yield ""
            rows = [
                (verdict.WORDS[judged.outcome], judged.limit.text, shorten(mirror, _CELL), judged.why)
                for mirror, judged in report.limits
            ]
            yield from self._table(("result", "fails when", "mirror", "it was"), rows, widest=self._width)
        for one in report.mirrors:
            yield from self._mirror(one)
        if report.notes:
            yield ""
        for note in report.notes:
            yield from self._wrapped(f"! {visible(note)}")

    def _mirror(self, found: MirrorReport) -> Iterator[str]:
        yield ""
        title = shorten(f"mirror {found.mirror}", self._width)
        yield from (title, "=" * len(title))
        for hint in found.hints:
            yield from self._wrapped(f"! {visible(hint)}")
        yield from self._findings(found)
        yield from self._unsure(found.unsure)
        yield from self._noise(found.judged("noise"))
        if found.notes:
            yield ""
        for note in found.notes:
            yield from self._wrapped(f"! {visible(note)}")
        yield from self._figures(found)
        yield from self._statuses(found)
        yield from self._outcomes(found)

    def _findings(self, found: MirrorReport) -> Iterator[str]:
        if not found.findings:
            yield shorten(verdict.summary(found), self._width)
        most = _FINDINGS if self._report.options.shows_all_examples else _WITH_EXAMPLES
        for number, finding in enumerate(found.findings[:_FINDINGS], 1):
            yield from self._finding(number, finding, has_examples=number <= most)
        if len(found.findings) > _FINDINGS:
            yield f"and {plural(len(found.findings) - _FINDINGS, 'more finding')}"

    def _finding(self, number: int, finding: Finding, *, has_examples: bool) -> Iterator[str]:
        yield from self._wrapped(f"{number:>2} {finding.severity:<8}  {visible(finding.sentence)}", _INDENT)
        if finding.also:
            most = len(finding.also) if self._report.options.shows_all_examples else _ALSO
            more = len(finding.also) - most
            parts = [*finding.also[:most], *([f"and {format_count(more)} more"] if more > 0 else [])]
            also = " " * _INDENT + f"also: {visible('; '.join(parts))}"
            yield from self._wrapped(also, _INDENT + 2)
        if has_examples:
            yield from self._examples(finding)

    def _examples(self, finding: Finding) -> Iterator[str]:
        for example, one in finding.differences():
            side = (self._width - _INDENT) // 3
            primary, shadow = tables.samples(one, side)
            request = shorten(f"{example.method} {example.target}", side)
            line = f"#{example.number} {request}  {primary} -> {shadow}"
            yield shorten(f"{' ' * _INDENT}{line}", self._width)

    def _unsure(self, found: Sequence[FieldWithExamples]) -> Iterator[str]:
        if not found:
            return
        yield from ("", f"{plural(len(found), 'field')} may differ: too few samples to decide")
        for one in found[:_UNSURE]:
            field = one.field
            line = f"  {field.endpoint}: {field.path} {field.kind}, {field.judgement.why}"
            yield from self._wrapped(visible(line), 4)
        if len(found) > _UNSURE:
            yield f"  and {format_count(len(found) - _UNSURE)} more"

    def _noise(self, found: Sequence[FieldWithExamples]) -> Iterator[str]:
        if not found:
            return
        named = list(dict.fromkeys(shorten(one.field.path, _CELL) for one in found))
        more = f" and {format_count(len(named) - _NOISE)} more" if len(named) > _NOISE else ""
        yield ""
        yield from self._wrapped(
            f"noise, which differs within one version too: {', '.join(named[:_NOISE])}{more}", 2
        )

    def _figures(self, one: MirrorReport) -> Iterator[str]:
        sides = ("primary", "mirror", "mirror less primary, paired")
        yield from ("", "time until answered")
        times = [(side, *row) for side, row in zip(sides, tables.times(one.figures), strict=True)]
        yield from self._table(("", *PERCENTILES, "samples"), times, indent="  ")
        for line in one.latency.lines():
            yield from self._wrapped(f"  {visible(line)}")
        yield from ("", "errors")
        errors = [(side, *row) for side, row in zip(sides, tables.errors(one.figures), strict=False)]
        yield from self._table(("", "rate", "samples"), errors, indent="  ")

    def _statuses(self, one: MirrorReport) -> Iterator[str]:
        if not one.statuses:
            return
        yield from ("", "statuses: the primary's down, the mirror's across")
        laid_out = status_matrix(one.statuses, _STATUSES)
        rows = [
            (status, *(format_count(number) if number else "." for number in row))
            for status, row in laid_out.rows
        ]
        yield from self._table(("", *laid_out.across), rows, indent="  ")

    def _outcomes(self, one: MirrorReport) -> Iterator[str]:
        total = sum(one.outcomes.values())
        if not total:
            return
        yield from ("", f"what became of {plural(total, 'request')}")
        rows = [
            (outcome, format_count(number), format_share(number / total), "#" * round(_BAR * number / total))
            for outcome, number in one.outcomes.items()
        ]
        yield from self._table(("outcome", "requests", "share", ""), rows, indent="  ")

    def _table(
        self, head: Sequence[str], rows: Iterable[Sequence[str]], indent: str = "", widest: int = _CELL
    ) -> Iterator[str]:
        """Yield `head` and `rows` in aligned columns that fit together; numbers stand to the right."""
        cells = [[shorten(text, widest) for text in row] for row in (head, *rows)]
        columns = list(zip(*cells, strict=True))
        widths = _fitting([max(map(len, column)) for column in columns], self._width - len(indent))
        numeric = [all(_NUMBER.fullmatch(cell) for cell in column[1:]) for column in columns]
        for row in cells:
            parts = (
                shorten(cell, width).rjust(width) if right else shorten(cell, width).ljust(width)
                for cell, width, right in zip(row, widths, numeric, strict=True)
            )
            yield f"{indent}{'  '.join(parts)}".rstrip()

    def _wrapped(self, text: str, hanging: int = 2) -> Iterator[str]:
        """Yield `text` in lines that fit; all but the first begin at column `hanging`."""
        start = len(text) - len(text.lstrip())
        line, is_empty = " " * start, True
        for word in re.findall(r"\S+ *", text):
            if not is_empty and len(line) + len(word.rstrip()) > self._width:
                yield shorten(line.rstrip(), self._width)
                line = " " * hanging
            line, is_empty = f"{line}{word}", False
        yield shorten(line.rstrip(), self._width)


def _fitting(widths: list[int], most: int) -> list[int]:
    """Take from the widest columns until all fit."""
    while sum(widths) + 2 * (len(widths) - 1) > most:
        widths[widths.index(max(widths))] -= 1
    return widths
