"""Run `mirror-proxy report`: read a source, wait for traffic if asked to, judge, write, and return the exit code.

Apart from `report`, which parses: only this command needs to import the comparison.
"""

from __future__ import annotations

import argparse
import io
import os
import shutil
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TextIO, TypeVar

from mirror_proxy.cli import against, ctl, printing, report_sources, runs
from mirror_proxy.cli.action import UsageError
from mirror_proxy.cli.printing import print_errors, print_lines
from mirror_proxy.cli.report_sources import ReportSource, SourceError
from mirror_proxy.cli.verb import DISTRIBUTION, FAILED, OK, UNDECIDED, USAGE
from mirror_proxy.comparison.diff.example import Example, Search
from mirror_proxy.comparison.diff.record import Record, RecordSearch
from mirror_proxy.comparison.diff.totals import Totals
from mirror_proxy.comparison.report import document, junit, markdown, text, verdict
from mirror_proxy.comparison.report.against import compare
from mirror_proxy.comparison.report.report import Report, ReportData, ReportOptions, make_report, mirror_names
from mirror_proxy.config.problems import did_you_mean
from mirror_proxy.text import format_count, format_span

_READ_EVERY_S = 1.0
#: Attempts to read a source that fails for the moment.
_ATTEMPTS = 5
#: Reads after the wait, while pairs are still being compared.
_SETTLING_READS = 5
_BAR = 30
_STEPS = 10
#: Examples of a finding, unless another number is given.
_EXAMPLES = 3
T = TypeVar("T")


def run(arguments: argparse.Namespace, environ: Mapping[str, str]) -> int:
    """Make and write the report; return the exit code."""
    try:
        _check(arguments)
        source = _source(arguments, environ, arguments.run)
        try:
            if arguments.list_runs or arguments.delete_run is not None:
                print_lines(*_runs(source, arguments))
                return OK
            if arguments.against is not None:
                print_lines(*_against(source, arguments, environ))
                return OK
            report = _read(source, arguments)
        finally:
            source.close()
        _write(report, arguments)
    except UsageError as error:
        print_errors(f"{DISTRIBUTION} report: {error}")
        return USAGE
    except SourceError as error:
        print_errors(str(error), *error.details)
        return error.code
    return {"ok": OK, "broken": FAILED, "undecided": UNDECIDED}[report.outcome]


def _runs(source: ReportSource, arguments: argparse.Namespace) -> list[str]:
    """List the runs, or delete one."""
    if arguments.delete_run is None:
        found = with_retries(source.runs)
        return runs.listing(map(runs.row, found))
    deleted = with_retries(lambda: source.delete_run(arguments.delete_run))
    return [
        f"run {deleted.number} is deleted: {format_count(deleted.pairs)} pairs of {deleted.identity.mirror}"
    ]


def _against(source: ReportSource, arguments: argparse.Namespace, environ: Mapping[str, str]) -> list[str]:
    """Compare the run that is reported on with an earlier one of the same mirror."""
    other = _source(arguments, environ, arguments.against)
    try:
        before = with_retries(other.read)
    finally:
        other.close()
    after = with_retries(lambda: source.read(arguments.since))
    mirror = before.runs[0].identity.mirror
    if mirror not in {run.identity.mirror for run in after.runs}:
        raise UsageError(
            f"--against: run {arguments.against} is of mirror {mirror}, which has no run to compare"
        )
    found = compare(before, after, mirror)
    return against.text(found) if arguments.format == "text" else against.as_json(found).splitlines()


def _check(arguments: argparse.Namespace) -> None:
    if arguments.against is not None:
        if arguments.format not in against.FORMATS:
            raise UsageError(f"--against: --format is one of {', '.join(against.FORMATS)}")
        if arguments.for_s or arguments.requests or arguments.fail_on or arguments.output:
            raise UsageError("--against takes no --for, --requests, --fail-on or --output")
    if arguments.store is not None and (arguments.admin or arguments.token_file):
        raise UsageError("--store is read without a proxy: leave --admin and --token-file out")
    if arguments.since is not None and (arguments.for_s or arguments.requests):
        raise UsageError("--since looks back, --for and --requests wait: give one")
    if arguments.list_runs and arguments.delete_run is not None:
        raise UsageError("--list-runs and --delete-run: give one")
    if (arguments.examples or 0) > 100:
        raise UsageError("--examples: no more than 100")
    if arguments.output is not None and not Path(arguments.output).parent.is_dir():
        raise UsageError(f"--output {arguments.output}: there is no such folder")  # before a long wait


def _source(arguments: argparse.Namespace, environ: Mapping[str, str], run: int | None) -> ReportSource:
    """Return the source of a run; None: of the present ones."""
    if arguments.store is not None:
        return report_sources.StoreSource(arguments.store, run)
    name = arguments.admin or environ.get(ctl.ADMIN) or ctl.DEFAULT_ADMIN
    return report_sources.ProxySource(ctl.connect(arguments, environ), name, run)


def _read(source: ReportSource, arguments: argparse.Namespace) -> Report:
    examples: int | None = arguments.examples
    options = ReportOptions(
        arguments.mirror,
        tuple(arguments.fail_on),
        arguments.min_samples,
        _EXAMPLES if examples is None else examples,
        shows_all_examples=examples is not None,
    )
    if arguments.for_s or arguments.requests:
        data = _wait(source, options, arguments)
    else:
        data = with_retries(lambda: source.read(arguments.since))
    _check_mirror(data, options)
    lenient = _LenientSource(source)
    data = replace(data, records=tuple(lenient.records(RecordSearch(data.since, options.mirror))))
    return make_report(data, options, lenient.examples)


def _wait(source: ReportSource, options: ReportOptions, arguments: argparse.Namespace) -> ReportData:
    """Wait, and return the counts of that time."""
    first = with_retries(lambda: source.read(0.0))
    if first.mirrors:
        _check_mirror(first, options)

    def since_first() -> ReportData:
        return report_sources.between(first, source.read(since=first.since))

    progress = Progress(sys.stderr)
    try:
        wait(lambda: since_first().totals.count("requests"), progress, arguments.for_s, arguments.requests)
    except KeyboardInterrupt as error:
        raise SourceError("no report: the wait was interrupted", code=UNDECIDED) from error
    return settled(since_first, lambda data: _compared(data.totals))


def _compared(totals: Totals) -> int:
    return totals.count("compared") + totals.count("noise_compared")


def _check_mirror(data: ReportData, options: ReportOptions) -> None:
    known = mirror_names(data)
    if options.mirror is not None and options.mirror not in known:
        hint = did_you_mean(options.mirror, known) or f"known: {', '.join(known) or 'none'}"
        raise UsageError(f'--mirror: there is no mirror "{options.mirror}"; {hint}')


class _LenientSource:
    """Searches that report their first failure, then find nothing: a report can do without examples and records."""

    def __init__(self, source: ReportSource) -> None:
        self._source = source
        self._has_failed = False

    def examples(self, search: Search) -> Sequence[Example]:
        return self._found(lambda: self._source.find_examples(search))

    def records(self, search: RecordSearch) -> Sequence[Record]:
        return self._found(lambda: self._source.find_records(search))

    def _found(self, find: Callable[[], Sequence[T]]) -> Sequence[T]:
        if self._has_failed:
            return ()
        try:
            return with_retries(find)
        except SourceError as error:
            self._has_failed = True
            print_errors(
                f"the report has no examples, and does not join places that differ together: {error}"
            )
            return ()


def _write(report: Report, arguments: argparse.Namespace) -> None:
    """Write the report; when it goes into a file, print the verdict."""
    rendered = _render(report, arguments.format)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    if arguments.output is None:
        _print(rendered)
        return
    try:
        Path(arguments.output).write_text(rendered, encoding="utf-8")
    except OSError as error:
        raise SourceError(f"{arguments.output}: cannot be written: {error.strerror}") from error
    print_lines(f"{verdict.word(report)}  {verdict.line(report)}")


def _print(rendered: str) -> None:
    try:
        printing.print_document(rendered)
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what is left goes nowhere, quietly
        raise SourceError(f"standard output cannot be written: {error.strerror}") from error


def _render(report: Report, form: str) -> str:
    if form == "html":
        from mirror_proxy.comparison.report import html  # noqa: PLC0415  it alone needs templates

        return html.render(report)
    makers: dict[str, Callable[[Report], str]] = {
        "text": lambda report: text.render(report, _width()),
        "json": document.render,
        "junit": junit.render,
        "markdown": markdown.render,
    }
    return makers[form](report)


def _width() -> int:
    """Return the columns of the terminal that the report goes to, and as many as are usual where it goes elsewhere."""
    return shutil.get_terminal_size((text.WIDTH, 0)).columns if sys.stdout.isatty() else text.WIDTH


class Progress:
    """A bar on a terminal; elsewhere a line for every tenth of the way."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._is_terminal = stream.isatty()
        self._last_step = -1

    def show(self, share: float, label: str) -> None:
        """Show how far it is (0 to 1), and a few words."""
        percent = f"{min(1.0, share) * 100:3.0f} %"
        if self._is_terminal:
            bar = "#" * round(_BAR * min(1.0, share))
            self._write(f"\r\x1b[K[{bar:.<{_BAR}}] {percent}  {label}")
        elif int(share * _STEPS) > self._last_step:
            self._last_step = int(share * _STEPS)
            self._write(f"{percent}  {label}\n")

    def close(self) -> None:
        """Leave the terminal as it was."""
        if self._is_terminal:
            self._write("\r\x1b[K")

    def _write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()


def wait(
    count: Callable[[], int],
    progress: Progress,
    for_s: float | None,
    requests: int | None,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Return after `for_s` seconds, or once `count` reaches `requests`, whichever is first.

    Raises `SourceError` as `with_retries` does.
    """
    begun = clock()
    try:
        while True:
            found = with_retries(count, sleep)
            passed_s = clock() - begun
            share = max(passed_s / for_s if for_s else 0.0, found / requests if requests else 0.0)
            progress.show(share, _progress_text(found, passed_s, for_s, requests))
            if share >= 1:
                return
            sleep(min(_READ_EVERY_S, for_s - passed_s) if for_s else _READ_EVERY_S)
    finally:
        progress.close()


def settled(
    read: Callable[[], T], size: Callable[[T], int], sleep: Callable[[float], None] = time.sleep
) -> T:
    """Return the result of `read` once its size has stopped growing: the last pairs may still be compared.

    Under traffic it never stops, so the wait is short. Raises `SourceError` as `with_retries` does.
    """
    found = with_retries(read, sleep)
    for _ in range(_SETTLING_READS):
        sleep(_READ_EVERY_S)
        before, found = found, with_retries(read, sleep)
        if size(found) == size(before):
            break
    return found


def with_retries(read: Callable[[], T], sleep: Callable[[float], None] = time.sleep) -> T:
    """Return the result of `read`; retry while it fails with an error that passes. Raises `SourceError`."""
    for _ in range(_ATTEMPTS):
        try:
            return read()
        except SourceError as error:
            if not error.is_passing:
                raise
            sleep(_READ_EVERY_S)
    return read()


def _progress_text(found: int, passed_s: float, for_s: float | None, requests: int | None) -> str:
    enough = f" of {format_count(requests)}" if requests else ""
    left = f", {format_span(for_s - passed_s)} left" if for_s else f" in {format_span(passed_s)}"
    return f"{format_count(found)}{enough} requests{left}"
