"""`mirror-proxy report` at work: where it reads, how long it waits, what it writes, and the exit code."""

from __future__ import annotations

import argparse
import io
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from mirror_proxy.cli import ctl, printing, sources, waiting
from mirror_proxy.cli.action import UsageError
from mirror_proxy.cli.printing import complain, say
from mirror_proxy.cli.sources import Source, SourceError
from mirror_proxy.cli.verb import DISTRIBUTION, FAILED, OK, UNDECIDED, USAGE
from mirror_proxy.comparison.diff.example import Example, Search
from mirror_proxy.comparison.diff.totals import Totals
from mirror_proxy.comparison.report import document, junit, markdown, text, verdict
from mirror_proxy.comparison.report.report import Report, ReportData, ReportOptions, make_report, mirror_names
from mirror_proxy.config.problems import did_you_mean


def run(arguments: argparse.Namespace, environ: Mapping[str, str]) -> int:
    """Read, wait if that is asked for, judge and write; returns the exit code."""
    try:
        _check(arguments)
        source = _source(arguments, environ)
        try:
            report = _read(source, arguments)
        finally:
            source.close()
        _write(report, arguments)
    except UsageError as error:
        complain(f"{DISTRIBUTION} report: {error}")
        return USAGE
    except SourceError as error:
        complain(str(error), *error.details)
        return FAILED
    return {"ok": OK, "broken": FAILED, "undecided": UNDECIDED}[report.outcome]


def _check(arguments: argparse.Namespace) -> None:
    if arguments.store is not None and (arguments.admin or arguments.token_file):
        raise UsageError("--store is read without a proxy: leave --admin and --token-file out")
    if arguments.since is not None and (arguments.for_s or arguments.requests):
        raise UsageError("--since looks back, --for and --requests wait: give one")
    if arguments.examples > 100:
        raise UsageError("--examples: no more than 100")
    if arguments.output is not None and not Path(arguments.output).parent.is_dir():
        raise UsageError(f"--output {arguments.output}: there is no such folder")  # before a long wait


def _source(arguments: argparse.Namespace, environ: Mapping[str, str]) -> Source:
    if arguments.store is not None:
        return sources.Kept(arguments.store)
    name = arguments.admin or environ.get(ctl.ADMIN) or ctl.DEFAULT_ADMIN
    return sources.Proxy(ctl.connect(arguments, environ), name)


def _read(source: Source, arguments: argparse.Namespace) -> Report:
    options = ReportOptions(
        arguments.mirror, tuple(arguments.fail_on), arguments.min_samples, arguments.examples
    )
    if arguments.for_s or arguments.requests:
        data = _wait(source, options, arguments)
    else:
        data = waiting.patiently(lambda: source.read(arguments.since))
    _check_mirror(data, options)
    return make_report(data, options, _lenient(source))


def _wait(source: Source, options: ReportOptions, arguments: argparse.Namespace) -> ReportData:
    """Return what was counted while this waited."""
    first = waiting.patiently(lambda: source.read(0.0))
    if first.mirrors:
        _check_mirror(first, options)

    def last() -> ReportData:
        return sources.between(first, source.read(since=first.since))

    progress = waiting.Progress(sys.stderr)
    try:
        waiting.wait(lambda: last().totals.count("requests"), progress, arguments.for_s, arguments.requests)
    except KeyboardInterrupt as error:
        raise SourceError("nothing is told: the wait was broken off") from error
    return waiting.settled(last, lambda data: _compared(data.totals))


def _compared(totals: Totals) -> int:
    return totals.count("compared") + totals.count("noise_compared")


def _check_mirror(data: ReportData, options: ReportOptions) -> None:
    known = mirror_names(data)
    if options.mirror is not None and options.mirror not in known:
        hint = did_you_mean(options.mirror, known) or f"known: {', '.join(known) or 'none'}"
        raise UsageError(f'--mirror: there is no mirror "{options.mirror}"; {hint}')


def _lenient(source: Source) -> Callable[[Search], Sequence[Example]]:
    """Look for examples; a report without them is better than none, so why there are none is told once."""
    failed: list[SourceError] = []

    def look(search: Search) -> Sequence[Example]:
        if failed:
            return ()
        try:
            return waiting.patiently(lambda: source.look(search))
        except SourceError as error:
            failed.append(error)
            complain(f"there are no examples: {error}")
            return ()

    return look


def _write(report: Report, arguments: argparse.Namespace) -> None:
    """Write the report; when it goes into a file, the verdict still stands on the terminal."""
    said = _render(report, arguments.format)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    if arguments.output is None:
        _print(said)
        return
    try:
        Path(arguments.output).write_text(said, encoding="utf-8")
    except OSError as error:
        raise SourceError(f"{arguments.output}: cannot be written: {error.strerror}") from error
    say(f"{verdict.word(report)}  {verdict.line(report)}")


def _print(said: str) -> None:
    try:
        printing.document(said)
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what is left goes nowhere, quietly
        raise SourceError(f"standard output cannot be written: {error.strerror}") from error


def _render(report: Report, form: str) -> str:
    if form == "html":
        from mirror_proxy.comparison.report import html  # noqa: PLC0415  it alone needs templates

        return html.render(report)
    makers: dict[str, Callable[[Report], str]] = {
        "text": text.render,
        "json": document.render,
        "junit": junit.render,
        "markdown": markdown.render,
    }
    return makers[form](report)
