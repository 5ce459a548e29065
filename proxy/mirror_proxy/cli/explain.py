"""`mirror-proxy explain`: what would become of one request, and why."""

from __future__ import annotations

import argparse
from collections.abc import Mapping

from mirror_proxy.cli.printing import print_document, print_errors
from mirror_proxy.cli.verb import FAILED, OK, USAGE, Verbs, add_parser, load
from mirror_proxy.config import flags

ABOUT = """\
Show what would become of a request: which route takes it and why others do not, where it goes, what v1 and v2
are sent. Nothing leaves this machine: the request is made to a proxy in this process, with stand-ins for v1 and v2.
"""
EXAMPLES = """\
examples:
  mirror-proxy explain config/shop GET http://shop/cart?id=7
  mirror-proxy explain config/shop POST /orders -H 'Host: shop' -H 'Cookie: user=7'

exit codes: 0 explained, 1 the files have problems or cannot be used, 2 wrong flags, or no request.
"""


def add_to(verbs: Verbs[argparse.ArgumentParser]) -> None:
    """Add the verb to the command."""
    parser = add_parser(
        verbs,
        "explain",
        "show what would become of a request, and why",
        ABOUT,
        EXAMPLES,
        "[FILE|DIR ...] METHOD URL [-H 'NAME: VALUE' ...] [the flags of run]",
    )
    parser.add_argument("words", nargs="+", metavar="FILE|DIR|METHOD|URL", help="files, then METHOD and URL")
    parser.add_argument(
        "-H", "--header", action="append", default=[], metavar="'NAME: VALUE'", help="A header; repeatable."
    )
    flags.add_to(parser, flags.READING)
    parser.set_defaults(verb=_explain)


def _explain(arguments: argparse.Namespace, environ: Mapping[str, str]) -> int:
    import asyncio  # noqa: PLC0415  only this command needs it

    from mirror_proxy.explain import explanation, text  # noqa: PLC0415  only this command needs them
    from mirror_proxy.explain.request import parse  # noqa: PLC0415  only this command needs it

    *arguments.files, method, url = ["", *arguments.words] if len(arguments.words) == 1 else arguments.words
    try:
        request = parse(method, url, arguments.header)
        config = load(arguments, environ).config.without_baselines()
        found = asyncio.run(explanation.explain(config, request))
    except ValueError as error:
        print_errors(str(error))
        return USAGE
    except OSError as error:
        print_errors(f"the request cannot be made: {str(error) or 'there was no answer'}")
        return FAILED
    print_document(text.render(config, request, found))
    return OK
