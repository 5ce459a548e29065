"""`mirror-proxy report`: what v2 would have done differently, and whether that is within limits."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from typing import Any

from mirror_proxy.cli.verb import Verbs, add_parser
from mirror_proxy.config import quantity

ABOUT = """\
Report what a mirror does differently: findings (places of its responses that differ from the primary's more often
than noise), statuses, times of the same requests, and outcomes of shadow requests.

The report is read from a running proxy, or with --store from a store. With --for or --requests the command waits, and
reports on the requests of that time only. A limit names a figure and what exceeds it:

  diff_rate                          responses that differ, noise left out, of those compared
  breaking_rate                      responses that may break clients, of those compared: another class of
                                     status, a missing part, another type
  mirror_error_rate                  shadow requests that failed or got a 5xx, of those sent
  primary_error_rate                 requests that got a 5xx, of those with a response
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

exit codes: 0 fine; 1 a limit is exceeded; 2 wrong arguments; 3 too few samples to answer; 4 the proxy or store cannot
be reached, or the output not be written.
A limit is exceeded once the whole confidence interval of its figure exceeds it, at any number of samples; near its
bound it stays undecided.
"""
FORMATS = ("text", "json", "junit", "markdown", "html")


def add_to(verbs: Verbs[argparse.ArgumentParser]) -> None:
    """Add the verb to the command."""
    parser = add_parser(
        verbs,
        "report",
        "report what a mirror does differently, and whether that is within limits",
        ABOUT,
        EXAMPLES,
        "[--admin H:P | --store URL] [--run RUN] [--since 1h | --for 5m] [--fail-on LIMIT ...] [--format F] ...",
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
    text = "number of a run (default: the present run of each mirror; of a store, the newest)"
    add("--run", metavar="RUN", type=whole, help=text)
    text = "compare with this earlier run: list places that differ more often since, and less often"
    add("--against", metavar="RUN", type=whole, help=text)
    add("--list-runs", action="store_true", help="print the runs of the store, and no report")
    add("--delete-run", metavar="RUN", type=whole, help="delete a run with all that belongs to it")
    add("--since", metavar="1h", type=span, help="limit the report to this long before now")
    add("--for", metavar="5m", dest="for_s", type=span, help="wait this long, and report on that time only")
    add("--requests", metavar="N", type=whole, help="wait for this many requests; with --for, until either")
    add("--mirror", metavar="NAME", help="report on this mirror only (default: all)")
    text = "fail when any mirror in the report exceeds this limit, such as 'diff_rate>1%%'; repeatable"
    add("--fail-on", metavar="LIMIT", type=_reader(_limit), action="append", default=[], help=text)
    text = "least samples for a limit to pass; a limit may fail with fewer (default 100)"
    add("--min-samples", metavar="N", type=whole, default=100, help=text)
    text = f"one of {', '.join(FORMATS)} (default text)"
    add("--format", choices=FORMATS, default="text", metavar="F", help=text)
    add("--output", metavar="FILE", help="where to write it (default: standard output)")
    add(
        "--examples",
        metavar="N",
        type=whole,
        help="examples of each finding, up to 100, in the text too (default 3; in the text of the first 3 findings)",
    )
    parser.set_defaults(verb=_report)


def _report(arguments: argparse.Namespace, environ: Mapping[str, str]) -> int:
    from mirror_proxy.cli import reporting  # noqa: PLC0415  only this command needs it

    return reporting.run(arguments, environ)


def _reader(read: Callable[[str], Any]) -> Callable[[str], Any]:
    """Make argparse report the message of a ValueError."""

    def checked(text: str) -> Any:
        try:
            return read(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from error

    return checked


def _limit(text: str) -> object:
    from mirror_proxy.comparison.report.limits import parse  # noqa: PLC0415  only this flag needs it

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
