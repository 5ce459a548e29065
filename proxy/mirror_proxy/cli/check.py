"""`mirror-proxy check`: what a configuration does, and whether it is fit to run."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from mirror_proxy.cli.printing import print_document, print_errors, print_lines, print_progress
from mirror_proxy.cli.verb import FAILED, OK, Verbs, add_files, add_parser, load_and_warn
from mirror_proxy.config import flags

if TYPE_CHECKING:
    from mirror_proxy.check.checklist import Finding
    from mirror_proxy.config.loader import Loaded
    from mirror_proxy.config.model import Config

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
  which status v2 gives to a shadow of GET /healthz, and v1 to the request:
    mirror-proxy check config/shop --live --probe /healthz

exit codes: 0 fine, 1 there are problems (with --strict: or warnings), 2 wrong flags or variables.
"""


def add_to(verbs: Verbs[argparse.ArgumentParser]) -> None:
    """Add the verb to the command."""
    parser = add_parser(
        verbs,
        "check",
        "tell what is wrong with a configuration, and what it does",
        ABOUT,
        EXAMPLES,
        "[FILE|DIR ...] [--strict] [--live [--probe [PATH]]] [the flags of run]",
    )
    add_files(parser)
    parser.add_argument("--strict", action="store_true", help="Let warnings count as problems.")
    parser.add_argument(
        "--live", action="store_true", help="Go through the checklist: are v1 and v2 there and apart?"
    )
    parser.add_argument(
        "--probe",
        nargs="?",
        const="/",
        type=_path,
        metavar="PATH",
        help="With --live: send GET PATH (default: /) to v1 and, as a shadow, to v2, and compare the statuses.",
    )
    flags.add_to(parser, flags.READING)
    parser.set_defaults(verb=_check)


def _check(arguments: argparse.Namespace, environ: Mapping[str, str]) -> int:
    from mirror_proxy.check.outline import outline  # noqa: PLC0415  only this command needs it

    loaded = load_and_warn(arguments, environ)
    print_document(outline(loaded.config))
    has_warnings, has_problems = bool(loaded.config.warnings), not _can_export(loaded)
    if arguments.live or arguments.probe:
        found = _go_through(loaded, arguments.probe)
        has_warnings |= "warning" in found
        has_problems |= "problem" in found
    return FAILED if has_problems or (has_warnings and arguments.strict) else OK


def _can_export(loaded: Loaded) -> bool:
    """Return whether what spans need is installed, and say so if not: run would not start."""
    from mirror_proxy.supervisor import spans  # noqa: PLC0415  only this command needs it
    from mirror_proxy.supervisor.sockets import StartError  # noqa: PLC0415  only this command needs it

    try:
        spans.check(loaded.config.settings)
    except StartError as error:
        print_errors(str(error))
        return False
    return True


def _go_through(loaded: Loaded, path: str | None) -> set[str]:
    """Print the checklist; return the statuses in it."""
    from mirror_proxy.check.checklist import checklist  # noqa: PLC0415  only this flag needs it

    found = list(checklist(loaded.config, loaded.documents, print_progress))
    if path is not None:
        found += _probe(loaded.config, path)
    print_progress("")
    print_lines("", *map(str, found))
    return {finding.status for finding in found}


def _probe(config: Config, path: str) -> Iterator[Finding]:
    """Compare the statuses of v1 and v2 for `path`, route by route, with the heads that the proxy would send."""
    import asyncio  # noqa: PLC0415  only this flag needs it

    from mirror_proxy.check.status_probe import compare_statuses  # noqa: PLC0415  only this flag needs it
    from mirror_proxy.explain import trial  # noqa: PLC0415  only this flag needs it

    for host in config.virtual_hosts:
        for route in (one for one in host.routes if one.mirrors and one.destinations):
            result = asyncio.run(trial.run(*trial.mirrored(config, host, route, path)))
            yield from compare_statuses(config, route, result.heads)


def _path(text: str) -> str:
    if not text.startswith("/") or not text.isascii() or not text.isprintable() or " " in text:
        raise argparse.ArgumentTypeError(f'"{text}" is not a path; write such as /healthz')
    return text
