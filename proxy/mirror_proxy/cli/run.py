"""`mirror-proxy run`: serve until a signal ends it."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import TYPE_CHECKING

from mirror_proxy.cli.printing import print_document
from mirror_proxy.cli.verb import OK, Verbs, add_files, add_parser, load, warn
from mirror_proxy.config import flags
from mirror_proxy.config.problems import Problems

if TYPE_CHECKING:
    from mirror_proxy.config.loader import Loaded

ABOUT = """\
Forward every request to the primary and copies of some to the mirrors.

Say where requests go by flags, or by files: Istio's VirtualService and DestinationRule, and a MirrorProxy
document for the rest. Every flag is also an environment variable (--mirror-timeout is
MIRROR_PROXY_MIRROR_TIMEOUT; lists take commas). A flag wins over its variable, that over the file.
"""
EXAMPLES = """\
examples:
  one request in ten to v2, GET, HEAD and OPTIONS only, without credentials:
    mirror-proxy run --primary http://v1:8080 --mirror http://v2:8080 --percent 10 --methods safe \\
                     --mirror-remove-header authorization --mirror-remove-header cookie
  two mirrors with shares of their own:
    mirror-proxy run --primary http://v1 --mirror http://v2 --mirror http://v3 --percent 50 --percent 1
  from flags to a file, and on from there:
    mirror-proxy run --primary http://v1:8080 --mirror http://v2:8080 --print-config > shop.yaml
    mirror-proxy run shop.yaml --workers auto --access-log -

Files are reloaded when they change. An invalid file is logged and the running configuration stays.
signals: TERM, INT drain and leave; HUP reloads; USR1 reopens the access log.
exit codes: 0 fine, 1 files or addresses cannot be used, 2 wrong flags or variables.
"""


def add_to(verbs: Verbs[argparse.ArgumentParser]) -> None:
    """Add the verb to the command."""
    parser = add_parser(
        verbs,
        "run",
        "forward to a primary and copy to mirrors",
        ABOUT,
        EXAMPLES,
        "[FILE|DIR ...] [--primary URL] [--mirror URL ...] [--percent N] ...",
    )
    add_files(parser)
    flags.add_to(parser)
    parser.set_defaults(verb=_run)


def _run(arguments: argparse.Namespace, environ: Mapping[str, str]) -> int:
    from mirror_proxy.config.watcher import Watcher  # noqa: PLC0415  only this command needs it

    watcher = Watcher(arguments.files)  # before they are read
    loaded = load(arguments, environ)
    if flags.Given(vars(arguments), environ, Problems()).is_on("print_config"):
        warn(loaded)
        return _print_config(loaded)
    from mirror_proxy import supervisor  # noqa: PLC0415  only this command needs it

    return supervisor.run(
        loaded.config, generation_source=lambda: load(arguments, environ).config, watcher=watcher
    )


def _print_config(loaded: Loaded) -> int:
    from mirror_proxy.config.document import dump  # noqa: PLC0415  only this flag needs it

    print_document(dump(loaded.documents))
    return OK
