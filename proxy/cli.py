"""The roof: the `mirror-proxy` command, one call into the house per verb.

What is dear to import (YAML, the supervisor, the demo) is imported by the verb that needs it.
Exit codes: 0 fine, 1 it could not run, 2 wrong flags or variables.
"""

from __future__ import annotations

import argparse
import functools
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, NoReturn

from proxy.config import flags, quantity
from proxy.config.model import Address
from proxy.config.problems import ConfigError, Problems, did_you_mean
from proxy.version import version

if TYPE_CHECKING:
    from proxy.config.loader import Loaded

OK, FAILED, USAGE = 0, 1, 2
DISTRIBUTION = "mirror-proxy"

ABOUT = """\
A reverse proxy that also sends copies of requests to mirrors, and lets no mirror hurt a client.

  mirror-proxy demo                                     see it work: v1, v2, the proxy and a little traffic
  mirror-proxy run --primary http://v1:8080 --mirror http://v2:8080 --percent 10
  mirror-proxy run config/shop                          the same from files, which are Istio's
"""
RUN = """\
Forward every request to the primary and copies of some to the mirrors.

Say where requests go by flags, or by files: Istio's VirtualService and DestinationRule, and a MirrorProxy
document for the rest. Every flag is also an environment variable (--mirror-timeout is
MIRROR_PROXY_MIRROR_TIMEOUT; lists take commas). A flag wins over its variable, that over the file.
"""
RUN_EXAMPLES = """\
examples:
  one request in ten to v2, GET, HEAD and OPTIONS only, without credentials:
    mirror-proxy run --primary http://v1:8080 --mirror http://v2:8080 --percent 10 --methods safe \\
                     --mirror-remove-header authorization --mirror-remove-header cookie
  two mirrors with shares of their own:
    mirror-proxy run --primary http://v1 --mirror http://v2 --mirror http://v3 --percent 50 --percent 1
  from flags to a file, and on from there:
    mirror-proxy run --primary http://v1:8080 --mirror http://v2:8080 --print-config > shop.yaml
    mirror-proxy run shop.yaml --workers auto --access-log -

signals: TERM, INT drain and leave; HUP reloads; USR1 reopens the access log.
exit codes: 0 fine, 1 files or addresses cannot be used, 2 wrong flags or variables.
"""


class _Parser(argparse.ArgumentParser):
    """Names the nearest flag when one is unknown."""

    def error(self, message: str) -> NoReturn:
        unknown = [word.split("=")[0] for word in message.split() if word.startswith("--")]
        if message.startswith("unrecognized") and unknown:
            message = f"{message}; {did_you_mean(unknown[0], [flag.option for flag in flags.FLAGS])}"
        super().error(message.removesuffix("; "))


def main(argv: Sequence[str] | None = None, environ: Mapping[str, str] | None = None) -> int:
    """Run one command; return its exit code."""
    environ = os.environ if environ is None else environ
    parser = _parser()
    arguments = parser.parse_args(argv)
    if arguments.verb is None:
        parser.print_help(sys.stderr)
        return USAGE
    verb: Callable[[argparse.Namespace, Mapping[str, str]], int] = arguments.verb
    return verb(arguments, environ)


def _parser() -> argparse.ArgumentParser:
    layout = argparse.RawDescriptionHelpFormatter
    parser = _Parser(prog=DISTRIBUTION, description=ABOUT, formatter_class=layout, allow_abbrev=False)
    parser.add_argument("--version", action=_Version, nargs=0, help="show the version and leave")
    parser.set_defaults(verb=None)
    verbs = parser.add_subparsers(title="commands", metavar="COMMAND")
    _add_run(
        verbs.add_parser(
            "run",
            help="forward to a primary and copy to mirrors",
            description=RUN,
            epilog=RUN_EXAMPLES,
            usage=f"{DISTRIBUTION} run [FILE|DIR ...] [--primary URL] [--mirror URL ...] [--percent N] ...",
            formatter_class=layout,
            allow_abbrev=False,
        )
    )
    _add_demo(
        verbs.add_parser(
            "demo",
            help="v1, v2, the proxy and a little traffic, in one command",
            description="Start v1, v2, the proxy between them and a little traffic, and say what happens.",
            allow_abbrev=False,
        )
    )
    return parser


class _Version(argparse.Action):
    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        sys.stdout.write(f"{DISTRIBUTION} {version()}\n")
        parser.exit()


def _add_run(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "files", nargs="*", metavar="FILE|DIR", help="YAML or JSON documents, or folders of them"
    )
    flags.add_to(parser)
    parser.set_defaults(verb=_run)


def _run(arguments: argparse.Namespace, environ: Mapping[str, str]) -> int:
    load = functools.partial(_load, arguments, environ)
    try:
        loaded, is_only_printed = load()
    except ConfigError as error:
        return _refuse(error)
    for warning in loaded.config.warnings:
        sys.stderr.write(f"WARNING {warning}\n")
    if is_only_printed:
        return _print_config(loaded)
    from proxy import supervisor  # noqa: PLC0415  with the verb

    return supervisor.run(loaded.config, generation_source=lambda: load()[0].config)


def _load(arguments: argparse.Namespace, environ: Mapping[str, str]) -> tuple[Loaded, bool]:
    """Load flags and files; tell too whether they are only to be printed."""
    from proxy.config import loader, overlay  # noqa: PLC0415  with the verb

    problems = Problems()
    given = flags.Given(vars(arguments), environ, problems)
    documents = overlay.documents(given, arguments.files)
    loaded = loader.load_documents(arguments.files, documents, environ, problems)
    return loaded, given.is_on("print_config")


def _print_config(loaded: Loaded) -> int:
    from proxy.config.document import dump  # noqa: PLC0415  with the flag

    sys.stdout.write(dump(loaded.documents))
    return OK


def _refuse(error: ConfigError) -> int:
    for problem in error.problems:
        sys.stderr.write(f"{problem}\n")
    return USAGE if error.is_usage else FAILED


def _add_demo(parser: argparse.ArgumentParser) -> None:
    def address(text: str) -> Address:
        try:
            return quantity.address(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from error

    parser.add_argument("--seconds", type=float, metavar="N", help="leave after so long (default: at Ctrl-C)")
    for name, default in (("listen", "127.0.0.1:8080"), ("admin", "127.0.0.1:9901")):
        text = f"HOST:PORT of the proxy's {name} address (default {default})"
        parser.add_argument(f"--{name}", type=address, default=default, metavar="H:P", help=text)
    parser.set_defaults(verb=_demo)


def _demo(arguments: argparse.Namespace, _environ: Mapping[str, str]) -> int:
    from proxy.demo import run_demo  # noqa: PLC0415  with the verb

    return run_demo(arguments.listen, arguments.admin, arguments.seconds)
