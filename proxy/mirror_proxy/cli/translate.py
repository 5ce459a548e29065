"""`mirror-proxy translate`: the same behaviour in another dialect."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mirror_proxy.cli.printing import print_document, print_errors
from mirror_proxy.cli.verb import DISTRIBUTION, FAILED, OK, Verbs, add_files, add_parser, load_and_warn
from mirror_proxy.config import flags
from mirror_proxy.config.problems import Problems
from mirror_proxy.text import visible

if TYPE_CHECKING:
    from mirror_proxy.config.loader import Loaded
    from mirror_proxy.translate.translation import Translation

ABOUT = """\
Say in another dialect what files or flags say: documents for a mesh, HTTPRoutes for a Gateway, or a bootstrap
for Envoy. What the other dialect cannot say is listed on standard error, each thing on a line of its own.
"""
EXAMPLES = """\
examples:
  from flags to what kubectl apply takes:
    mirror-proxy translate --primary http://v1:8080 --mirror http://v2:8080 --percent 10 --to istio
  the same behaviour from real Envoy:
    mirror-proxy translate config/shop --to envoy -o envoy.yaml && envoy -c envoy.yaml

exit codes: 0 fine, 1 files cannot be used (with --strict: or something is not said), 2 wrong flags or variables.
"""
ENVOY, ISTIO, GATEWAY_API = "envoy", "istio", "gateway-api"


def add_to(verbs: Verbs[argparse.ArgumentParser]) -> None:
    """Add the verb to the command."""
    parser = add_parser(
        verbs,
        "translate",
        "write the configuration for Istio, Gateway API or Envoy",
        ABOUT,
        EXAMPLES,
        "[FILE|DIR ...] --to istio|envoy|gateway-api [-o FILE] [the flags of run]",
    )
    add_files(parser)
    parser.add_argument(
        "--to", required=True, choices=(ISTIO, ENVOY, GATEWAY_API), help="The dialect to write."
    )
    parser.add_argument("-o", "--output", metavar="FILE", help="Where to write (default: standard output).")
    parser.add_argument("--strict", action="store_true", help="Fail when something cannot be said.")
    flags.add_to(parser, flags.READING)
    parser.set_defaults(verb=_translate)


def _translate(arguments: argparse.Namespace, environ: Mapping[str, str]) -> int:
    from mirror_proxy.config.document import write  # noqa: PLC0415  only this command needs it

    if arguments.to != ENVOY and arguments.host_match is None:
        arguments.host_match = "strict"  # the hosts as written, not those that one alone takes beside
    loaded = load_and_warn(arguments, environ)
    translation = _translation(arguments, environ, loaded)
    text = _header(arguments, translation.notes) + write(translation.documents)
    if arguments.output is None:
        print_document(text)
    elif not _written(Path(arguments.output), text):
        return FAILED
    for line in translation.untranslated:
        print_errors(f"not said: {line}")
    return FAILED if translation.untranslated and arguments.strict else OK


def _translation(arguments: argparse.Namespace, environ: Mapping[str, str], loaded: Loaded) -> Translation:
    from mirror_proxy.translate import envoy, gateway_api, istio  # noqa: PLC0415  only this command needs it
    from mirror_proxy.translate.translation import Translation  # noqa: PLC0415  only this command needs it

    if arguments.to == ENVOY:
        bootstrap, untranslated = envoy.bootstrap(loaded.config)
        return Translation([bootstrap], untranslated)
    options = flags.options(flags.Given(vars(arguments), environ, Problems()))
    if arguments.to == ISTIO:
        return istio.documents(loaded, options)
    return gateway_api.documents(loaded, options)


def _header(arguments: argparse.Namespace, notes: Sequence[str]) -> str:
    """Return the comment on top: the command, and what readers must know."""
    lines = [f"Written by: {shlex.join((DISTRIBUTION, 'translate', *_given(arguments)))}", *notes]
    return "".join(f"# {visible(line)}\n" for line in lines)


def _given(arguments: argparse.Namespace) -> list[str]:
    """Return the arguments that affect the translation, as given."""
    words = [*arguments.files, "--to", arguments.to]
    for flag in flags.READING:
        value: Any = getattr(arguments, flag.key)
        if value is None or (flag.name == "host-match" and arguments.to != ENVOY):
            continue
        for one in value if isinstance(value, list) else [value]:
            words += [flag.option] if one is True else [flag.option, str(one)]
    return words


def _written(path: Path, text: str) -> bool:
    """Write the file, or report why it cannot be written."""
    try:
        path.write_text(text)
    except OSError as error:
        print_errors(f"{path}: cannot be written: {error.strerror}")
        return False
    return True
