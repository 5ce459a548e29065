"""The parts that all verbs share: exit codes, parsers, and loading the configuration."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from mirror_proxy.cli.printing import print_errors
from mirror_proxy.config import flags
from mirror_proxy.config.problems import ConfigError, Problems

if TYPE_CHECKING:
    from mirror_proxy.config.loader import Loaded

OK, FAILED, USAGE, UNDECIDED, UNREACHABLE = 0, 1, 2, 3, 4
DISTRIBUTION = "mirror-proxy"

Verb = Callable[[argparse.Namespace, Mapping[str, str]], int]
Verbs = argparse._SubParsersAction  # noqa: SLF001 - the library has no public name for what it returns


def add_parser(
    verbs: Verbs[argparse.ArgumentParser], name: str, text: str, about: str, examples: str, usage: str
) -> argparse.ArgumentParser:
    """Add a verb to the command; `usage` is what follows its name."""
    return verbs.add_parser(
        name,
        help=text,
        description=about,
        epilog=examples,
        usage=f"{DISTRIBUTION} {name} {usage}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )


def add_files(parser: argparse.ArgumentParser) -> None:
    """Add the argument for files."""
    parser.add_argument(
        "files", nargs="*", metavar="FILE|DIR", help="YAML or JSON documents, or folders of them"
    )


def load_and_warn(arguments: argparse.Namespace, environ: Mapping[str, str]) -> Loaded:
    """Load as `load` does, and print every warning."""
    loaded = load(arguments, environ)
    warn(loaded)
    return loaded


def warn(loaded: Loaded) -> None:
    """Print every warning."""
    for warning in loaded.config.warnings:
        print_errors(f"WARNING {warning}")


def load(arguments: argparse.Namespace, environ: Mapping[str, str]) -> Loaded:
    """Load the verb's files under its flags; raises ConfigError with every problem."""
    from mirror_proxy.config import loader, overlay  # noqa: PLC0415  only this command needs it

    problems = Problems()
    given = flags.Given(vars(arguments), environ, problems)
    documents = overlay.documents(given, arguments.files)
    return loader.load_documents(arguments.files, documents, environ, problems, flags.options(given))


def refuse(error: ConfigError) -> int:
    """Print every problem; return the exit code."""
    print_errors(*map(str, error.problems))
    return USAGE if error.is_usage else FAILED
