"""The `mirror-proxy` command: one module for each verb, which parses, calls one package and prints.

Imports that take long (YAML, the supervisor, the demo) are made by the verb that needs them.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from typing import NoReturn

from mirror_proxy import version
from mirror_proxy.cli import check, ctl, demo, explain, report, run, translate
from mirror_proxy.cli.printing import print_errors, print_lines
from mirror_proxy.cli.verb import DISTRIBUTION, FAILED, USAGE, Verb, refuse
from mirror_proxy.config import flags
from mirror_proxy.config.problems import ConfigError, did_you_mean

VERBS = (run, check, explain, translate, ctl, report, demo)
ABOUT = """\
A reverse proxy that also sends copies of requests to mirrors, and lets no mirror hurt a client.

  mirror-proxy demo                                     see it work: v1, v2, the proxy and a little traffic
  mirror-proxy run --primary http://v1:8080 --mirror http://v2:8080 --percent 10
  mirror-proxy run config/shop                          the same from files, which are Istio's
"""


class _Parser(argparse.ArgumentParser):
    """Names the nearest flag when one is unknown."""

    def error(self, message: str) -> NoReturn:
        unknown = [word.split("=")[0] for word in message.split() if word.startswith("--")]
        if message.startswith("unrecognized") and unknown:
            message = f"{message}; {did_you_mean(unknown[0], [flag.option for flag in flags.FLAGS])}"
        self.print_usage(sys.stderr)
        print_errors(f"{self.prog}: error: {message.removesuffix('; ')}")
        self.exit(USAGE)


def main(argv: Sequence[str] | None = None, environ: Mapping[str, str] | None = None) -> int:
    """Run one command; return its exit code."""
    environ = os.environ if environ is None else environ
    parser = _parser()
    arguments, rest = parser.parse_known_args(argv)
    if "words" in arguments and not any(word.startswith("-") for word in rest):
        arguments.words += rest  # argparse takes those after an option for none of a verb's own
    elif rest:
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    if arguments.verb is None:
        parser.print_help(sys.stderr)
        return USAGE
    verb: Verb = arguments.verb
    try:
        return verb(arguments, environ)
    except ConfigError as error:
        return refuse(error)
    except KeyboardInterrupt:
        print_errors("broken off")
        return FAILED


def _parser() -> argparse.ArgumentParser:
    layout = argparse.RawDescriptionHelpFormatter
    parser = _Parser(prog=DISTRIBUTION, description=ABOUT, formatter_class=layout, allow_abbrev=False)
    parser.add_argument("--version", action=_Version, nargs=0, help="show the version and leave")
    parser.set_defaults(verb=None)
    verbs = parser.add_subparsers(title="commands", metavar="COMMAND")
    for verb in VERBS:
        verb.add_to(verbs)
    return parser


class _Version(argparse.Action):
    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        print_lines(f"{DISTRIBUTION} {version()}")
        parser.exit()
