"""`mirror-proxy report`: what v2 would have done differently, and whether that is within limits."""

from __future__ import annotations

import argparse
import io
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from proxy.cli.action import UsageError
from proxy.cli.verb import DISTRIBUTION, FAILED, OK, UNDECIDED, USAGE, Verbs, add_parser
from proxy.compare.sample import visible
from proxy.config import quantity
from proxy.config.problems import did_you_mean

if TYPE_CHECKING:
    from proxy.cli.sources import Source
    from proxy.compare.example import Example, Search
    from proxy.report.findings import Reading, Report, Wanted

ABOUT = """\
Tell what a mirror would have done differently: fields of its answers that differ from the primary's more often than
the primary's do from themselves, statuses, times of the same requests, and what became of each copy.

It is read from a running proxy, or with --store from where one keeps it. With --for or --requests it waits, and tells
of what happened meanwhile only. A limit names a figure and what is too much:

  diff_rate                          answers that differ, noise left out, of those compared
  mirror_error_rate                  copies that failed or were answered 5xx, of those sent
  primary_error_rate                 requests answered 5xx, of those answered
  p50_delta p90_delta p99_delta      percentiles of the paired difference, mirror's time less the primary's
  primary_p50 ... mirror_p99         percentiles of the time until answered
"""
EXAMPLES = """\
examples:
  what differed in the last hour, as a page with pictures:
    mirror-proxy report --since 1h --format html --output report.html
  a gate before a release: wait for traffic, then fail when v2 is not as good:
    mirror-proxy report --requests 10000 --for 30m --mirror shop/v2 --format junit --output report.xml \\
                        --fail-on 'diff_rate>1%' --fail-on 'mirror_error_rate>0.5%' --fail-on 'p99_delta>50ms'

exit codes: 0 fine, 1 a limit is broken or nobody answered, 2 wrong arguments, 3 too few samples to say.
"""
FORMATS = ("text", "json", "junit", "markdown", "html")


def add_to(verbs: Verbs[argparse.ArgumentParser]) -> None:
    """Add the verb to the command."""
    parser = add_parser(
        verbs,
        "report",
        "tell what a mirror does differently, and whether that is within limits",
        ABOUT,
        EXAMPLES,
        "[--admin H:P | --store URL] [--since 1h | --for 5m] [--fail-on LIMIT ...] [--format F] ...",
    )
    span, whole = _reader(_span), _reader(_whole)
    add = parser.add_argument
    add("--admin", metavar="H:P", help="the proxy's admin address (default 127.0.0.1:9901, as of ctl)")
    add(
        "--token-file",
        metavar="FILE",
        help="file with the admin's token, which examples need where one is set",
    )
    add("--store", metavar="URL", help="read this store: sqlite:///FILE or postgresql://HOST/NAME")
    add("--since", metavar="1h", type=span, help="only of the last so long (default: all there is)")
    add("--for", metavar="5m", dest="for_s", type=span, help="wait so long, and tell of that time only")
    add("--requests", metavar="N", type=whole, help="wait for so many requests; with --for, what is first")
    add("--mirror", metavar="NAME", help="only of this mirror (default: all)")
    text = "fail when this is so, of any mirror told of: such as 'diff_rate>1%%'; repeatable"
    add("--fail-on", metavar="LIMIT", type=_reader(_limit), action="append", default=[], help=text)
    text = "a limit is undecided with fewer samples (default 100)"
    add("--min-samples", metavar="N", type=whole, default=100, help=text)
    text = f"one of {', '.join(FORMATS)} (default text)"
    add("--format", choices=FORMATS, default="text", metavar="F", help=text)
    add("--output", metavar="FILE", help="where to write it (default: standard output)")
    add(
        "--examples", metavar="N", type=whole, default=3, help="examples of each field (default 3, up to 100)"
    )
    parser.set_defaults(verb=_report)


def _report(arguments: argparse.Namespace, environ: Mapping[str, str]) -> int:
    from proxy.cli.sources import SourceError  # noqa: PLC0415  with the verb

    try:
        _check(arguments)
        source = _source(arguments, environ)
        try:
            report = _read(source, arguments)
        finally:
            source.close()
        _write(report, arguments)
    except UsageError as error:
        sys.stderr.write(f"{DISTRIBUTION} report: {error}\n")
        return USAGE
    except SourceError as error:
        for line in (str(error), *error.details):
            sys.stderr.write(f"{line}\n")
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
    from proxy.cli import ctl, sources  # noqa: PLC0415  with the verb

    if arguments.store is not None:
        return sources.Kept(arguments.store)
    name = arguments.admin or environ.get(ctl.ADMIN) or ctl.DEFAULT_ADMIN
    return sources.Proxy(ctl.connect(arguments, environ), name)


def _read(source: Source, arguments: argparse.Namespace) -> Report:
    from proxy.cli import waiting  # noqa: PLC0415  with the verb
    from proxy.report import findings  # noqa: PLC0415  with the verb

    wanted = findings.Wanted(
        arguments.mirror, tuple(arguments.fail_on), arguments.min_samples, arguments.examples
    )
    if arguments.for_s or arguments.requests:
        reading = _wait(source, wanted, arguments)
    else:
        reading = waiting.patiently(lambda: source.read(arguments.since))
    _check_mirror(reading, wanted)
    return findings.make(reading, wanted, _lenient(source))


def _wait(source: Source, wanted: Wanted, arguments: argparse.Namespace) -> Reading:
    """Return what was counted while this waited."""
    from proxy.cli import waiting  # noqa: PLC0415  with the verb
    from proxy.cli.sources import SourceError, between  # noqa: PLC0415  with the verb

    first = waiting.patiently(lambda: source.read(0.0))
    if first.mirrors:
        _check_mirror(first, wanted)

    def last() -> Reading:
        return between(first, source.read(since=first.since))

    progress = waiting.Progress(sys.stderr)
    try:
        waiting.wait(lambda: last().totals.count("requests"), progress, arguments.for_s, arguments.requests)
    except KeyboardInterrupt as error:
        raise SourceError("nothing is told: the wait was broken off") from error
    return waiting.patiently(last)


def _check_mirror(reading: Reading, wanted: Wanted) -> None:
    from proxy.report import findings  # noqa: PLC0415  with the verb

    known = findings.names(reading)
    if wanted.mirror is not None and wanted.mirror not in known:
        hint = did_you_mean(wanted.mirror, known) or f"known: {', '.join(known) or 'none'}"
        raise UsageError(visible(f'--mirror: there is no mirror "{wanted.mirror}"; {hint}'))


def _lenient(source: Source) -> Callable[[Search], Sequence[Example]]:
    """Look for examples; a report without them is better than none, so why there are none is told once."""
    from proxy.cli import waiting  # noqa: PLC0415  with the verb
    from proxy.cli.sources import SourceError  # noqa: PLC0415  with the verb

    failed: list[SourceError] = []

    def look(search: Search) -> Sequence[Example]:
        if failed:
            return ()
        try:
            return waiting.patiently(lambda: source.look(search))
        except SourceError as error:
            failed.append(error)
            sys.stderr.write(f"there are no examples: {error}\n")
            return ()

    return look


def _write(report: Report, arguments: argparse.Namespace) -> None:
    """Write the report; when it goes into a file, the verdict still stands on the terminal."""
    from proxy.cli.sources import SourceError  # noqa: PLC0415  with the verb
    from proxy.report import verdict  # noqa: PLC0415  with the verb

    text = _render(report, arguments.format)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    if arguments.output is None:
        _print(text)
        return
    try:
        Path(arguments.output).write_text(text, encoding="utf-8")
    except OSError as error:
        raise SourceError(f"{arguments.output}: cannot be written: {error.strerror}") from error
    sys.stdout.write(f"{visible(f'{verdict.word(report)}  {verdict.line(report)}')}\n")


def _print(text: str) -> None:
    from proxy.cli.sources import SourceError  # noqa: PLC0415  with the verb

    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what is left goes nowhere, quietly
        raise SourceError(f"standard output cannot be written: {error.strerror}") from error


def _render(report: Report, form: str) -> str:
    from proxy.report import document, junit, markdown, text  # noqa: PLC0415  with the verb

    if form == "html":
        from proxy.report import html  # noqa: PLC0415  it alone needs templates

        return html.render(report)
    makers: dict[str, Callable[[Report], str]] = {
        "text": text.render,
        "json": document.render,
        "junit": junit.render,
        "markdown": markdown.render,
    }
    return makers[form](report)


def _reader(read: Callable[[str], Any]) -> Callable[[str], Any]:
    """Have argparse tell what is wrong with an argument."""

    def checked(text: str) -> Any:
        try:
            return read(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from error

    return checked


def _limit(text: str) -> object:
    from proxy.report.limits import parse  # noqa: PLC0415  with the flag

    return parse(text)


def _span(text: str) -> float:
    seconds = quantity.duration(text)
    if seconds <= 0:
        raise ValueError(f'"{text}" is no time at all; write such as 5m or 1h')
    return seconds


def _whole(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) < 16):
        raise ValueError(f'"{text}" is not a whole number')
    return int(text)
