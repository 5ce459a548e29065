"""`mirror-proxy check`: what a configuration does, and whether it is fit to run."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING

from proxy.cli.verb import DISTRIBUTION, FAILED, OK, Verbs, load, refuse
from proxy.config import flags
from proxy.config.problems import ConfigError

if TYPE_CHECKING:
    from proxy.config.loader import Loaded

ABOUT = """\
Load files and flags as run does, tell every problem and warning, and show what would be done.

Problems and warnings go to standard error, the rest to standard output. With --live the places are tried
out, from here: run it where the proxy will run.
"""
EXAMPLES = """\
examples:
  before a change goes out:
    mirror-proxy check config/shop --strict
  before v2 sees its first request, in the proxy's own container:
    mirror-proxy check config/shop --live

exit codes: 0 fine, 1 there are problems (with --strict: or warnings), 2 wrong flags or variables.
"""
FLAGS = tuple(flag for flag in flags.FLAGS if flag.name != "print-config")


def add_to(verbs: Verbs[argparse.ArgumentParser]) -> None:
    """Add the verb to the command."""
    parser = verbs.add_parser(
        "check",
        help="tell what is wrong with a configuration, and what it does",
        description=ABOUT,
        epilog=EXAMPLES,
        usage=f"{DISTRIBUTION} check [FILE|DIR ...] [--strict] [--live] [the flags of run]",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument(
        "files", nargs="*", metavar="FILE|DIR", help="YAML or JSON documents, or folders of them"
    )
    parser.add_argument("--strict", action="store_true", help="Let warnings count as problems.")
    parser.add_argument(
        "--live", action="store_true", help="Go through the checklist: are v1 and v2 there and apart?"
    )
    flags.add_to(parser, FLAGS)
    parser.set_defaults(verb=_check)


def _check(arguments: argparse.Namespace, environ: Mapping[str, str]) -> int:
    from proxy.advice.outline import outline  # noqa: PLC0415  with the verb

    try:
        loaded = load(arguments, environ)
    except ConfigError as error:
        return refuse(error)
    for warning in loaded.config.warnings:
        sys.stderr.write(f"WARNING {warning}\n")
    sys.stdout.write(outline(loaded.config))
    sys.stdout.flush()
    has_warnings, has_problems = bool(loaded.config.warnings), False
    if arguments.live:
        found = _go_through(loaded)
        has_warnings |= "warning" in found
        has_problems = "problem" in found
    return FAILED if has_problems or (has_warnings and arguments.strict) else OK


def _go_through(loaded: Loaded) -> set[str]:
    """Print the checklist; give the words its lines begin with."""
    from proxy.advice.checklist import checklist  # noqa: PLC0415  with the flag

    is_watched = sys.stderr.isatty()

    def show(text: str) -> None:
        if is_watched:
            sys.stderr.write(f"\r\x1b[K{text}")
            sys.stderr.flush()

    found = list(checklist(loaded.config, loaded.documents, show))
    show("")
    sys.stdout.write("\n" + "".join(f"{finding}\n" for finding in found))
    return {finding.word for finding in found}
