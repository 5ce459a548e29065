"""`mirror-proxy demo`: see it work."""

from __future__ import annotations

import argparse
from collections.abc import Mapping

from mirror_proxy.cli.verb import Verbs
from mirror_proxy.config import quantity
from mirror_proxy.config.model import Address


def add_to(verbs: Verbs[argparse.ArgumentParser]) -> None:
    """Add the verb to the command."""
    parser = verbs.add_parser(
        "demo",
        help="v1, v2, the proxy and a little traffic, in one command",
        description="Start v1, v2, the proxy between them and a little traffic, and say what happens.",
        allow_abbrev=False,
    )

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
    from mirror_proxy.demo import run_demo  # noqa: PLC0415  only this command needs it

    return run_demo(arguments.listen, arguments.admin, arguments.seconds)
