"""`mirror-proxy ctl`: see and steer a running proxy, over its admin address."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mirror_proxy.cli import mirrors, printing, ramp, runs, weights
from mirror_proxy.cli.action import Action, AdminError, UsageError, exit_code_of, refuse_more
from mirror_proxy.cli.printing import print_errors, print_lines
from mirror_proxy.cli.verb import DISTRIBUTION, OK, USAGE, Verbs, add_parser
from mirror_proxy.config import flags, quantity
from mirror_proxy.config.model import LOG_LEVELS
from mirror_proxy.text import format_span

if TYPE_CHECKING:
    from mirror_proxy.cli.admin_client import AdminClient


ABOUT = f"""\
See how a running proxy stands, and steer it. A change has taken effect in every worker when the command returns.

  status                              state, generation, workers, what is set live, a configuration that was refused
  mirrors                             every mirror: its share, the file's, and what became of its requests
  percent NAME N|file                 copy N % of its route's requests to a mirror, from 0 to 100, or what its file says
  pause [NAME]                        copy nothing to a mirror; without a NAME the kill switch: to none at all
  resume [NAME]                       copy again, at the share it has
  weights [ROUTE]                     the weights of every route, or of one: the file's, and those in force
  weights ROUTE HOST/SUBSET=N ...     share a route's requests out anew; those not named keep their weights
  weights ROUTE file                  share them out as its file says
{ramp.ABOUT}  compare new-run [NAME]              begin a new run of each mirror, or of one: another build of v2, say
  compare reset [NAME]                delete what the present runs hold
  log-level [LEVEL]                   the level of the log, or change it: debug, info, warning, error
  reload                              load the configuration again
  drain                               leave, as at SIGTERM
"""
EXAMPLES = f"""\
examples:
  v2 is in trouble: send it no more copies, now; and go on when it is well:
    mirror-proxy ctl pause
    mirror-proxy ctl resume
  let v2 see half a percent of the requests for an hour, then what the file says:
    mirror-proxy ctl percent shop/v2 0.5 --ttl 1h
  cut over from blue to green, and back:
    mirror-proxy ctl weights shop shop/v1=0 shop/v2=100
    mirror-proxy ctl weights shop shop/v1=100 shop/v2=0
  a canary for ten minutes:
    mirror-proxy ctl weights shop shop/v1=95 shop/v2=5 --ttl 10m
{ramp.EXAMPLE}
exit codes: 0 done; 1 refused, or a ramp that was followed did not get to its last step; 2 wrong arguments; 4 the
proxy cannot be reached.
"""
ADMIN, TOKEN = f"{flags.PREFIX}ADMIN", f"{flags.PREFIX}ADMIN_TOKEN_FILE"
DEFAULT_ADMIN = "127.0.0.1:9901"
_LOGGING = "/logging"


def add_to(verbs: Verbs[argparse.ArgumentParser]) -> None:
    """Add the verb to the command."""
    parser = add_parser(
        verbs,
        "ctl",
        "see and steer a running proxy",
        ABOUT,
        EXAMPLES,
        f"[--admin H:P] [--token-file FILE] {'|'.join(NAMES)} ...",
    )
    parser.add_argument("action", choices=NAMES, metavar="|".join(NAMES), help="what to do")
    parser.add_argument("words", nargs="*", metavar="WORD", help="names and numbers, as above")
    text = f"the proxy's admin address (default {DEFAULT_ADMIN}; or {ADMIN})"
    parser.add_argument("--admin", metavar="H:P", help=text)
    text = f"file with the token that changes need (or {TOKEN})"
    parser.add_argument("--token-file", metavar="FILE", help=text)
    parser.add_argument("--ttl", metavar="5m", help="end the change after this long")
    ramp.add_options(parser)
    parser.set_defaults(verb=_ctl)


def _ctl(arguments: argparse.Namespace, environ: Mapping[str, str]) -> int:
    try:
        admin = connect(arguments, environ)
        for line in _lines(admin, arguments):
            print_lines(line)
    except UsageError as error:
        print_errors(f"{DISTRIBUTION} ctl: {error}")
        return USAGE
    except AdminError as error:
        print_errors(str(error), *error.details)
        return exit_code_of(error)
    return OK


def _lines(admin: AdminClient, arguments: argparse.Namespace) -> Iterable[str]:
    """Run the action; a ramp alone has options of its own, and may take long."""
    if arguments.action == _RAMP:
        return ramp.ramp(admin, arguments)
    ramp.refuse_options(arguments)
    return ACTIONS[arguments.action](admin, arguments.words, arguments.ttl)


def connect(arguments: argparse.Namespace, environ: Mapping[str, str]) -> AdminClient:
    """Return the proxy that `--admin` and `--token-file`, or their variables, name. Raises `UsageError`."""
    from mirror_proxy.cli.admin_client import AdminClient  # noqa: PLC0415  only this command needs it

    written = arguments.admin or environ.get(ADMIN) or DEFAULT_ADMIN
    try:
        address = quantity.address(written)
    except ValueError as error:
        raise UsageError(f"--admin: {error}") from error
    file = arguments.token_file or environ.get(TOKEN)
    try:
        token = Path(file).read_text(encoding="utf-8").strip() if file else None
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"--token-file {file} cannot be read: {error}") from error
    return AdminClient(address, token)


# --- actions ---


def _status(admin: AdminClient, words: Sequence[str], ttl: str | None) -> list[str]:
    refuse_more(words, ttl)
    info = admin.get("/server_info")
    rows = [
        (
            worker["slot"],
            worker["pid"],
            worker["state"],
            worker["generation"],
            format_span(worker["uptime_s"]),
        )
        for worker in info["workers"]
    ]
    refused = info.get("refused", ())
    steered = [row["name"] for row in admin.get("/routes")["routes"] if row["overridden"]]
    return [
        f"state       {info['state']}",
        f"version     {info['version']}",
        f"generation  {info['generation']}",
        f"uptime      {format_span(info['uptime_s'])}",
        f"listening   {', '.join(info['listeners'])}",
        *printing.table(("worker", "pid", "state", "generation", "uptime"), rows),
        *(f"weights of {name} are set live; see weights {name}" for name in dict.fromkeys(steered)),
        *mirrors.live_overrides(admin),
        *_log_level_override(admin),
        *ramp.under_way(admin),
        *(("the last reload was refused:",) if refused else ()),
        *(f"  {problem}" for problem in refused),
    ]


def _log_level(admin: AdminClient, words: Sequence[str], ttl: str | None) -> list[str]:
    """Show the level of the log, or change it."""
    refuse_more(words[1:], ttl)
    if not words:
        return [_log_level_line(admin.get(_LOGGING))]
    [level] = words
    if level not in LOG_LEVELS:
        raise UsageError(f'log-level: "{level}" is not a level; use {", ".join(LOG_LEVELS)}')
    return [_log_level_line(admin.change("POST", f"{_LOGGING}?level={level}"))]


def _log_level_override(admin: AdminClient) -> Iterator[str]:
    """Yield the line of `status` on an overridden level."""
    row = admin.get(_LOGGING)
    if row["level"] != row["file_level"]:
        yield f"{_log_level_line(row)}; see log-level"


def _log_level_line(row: Mapping[str, str]) -> str:
    level, of_files = row["level"], row["file_level"]
    return (
        f"log level {level}" if level == of_files else f"log level {level} in place of the files' {of_files}"
    )


def _reload(admin: AdminClient, words: Sequence[str], ttl: str | None) -> list[str]:
    refuse_more(words, ttl)
    return [f"generation {admin.change('POST', '/reload')['generation']} is in force in every worker"]


def _drain(admin: AdminClient, words: Sequence[str], ttl: str | None) -> list[str]:
    refuse_more(words, ttl)
    admin.change("POST", "/drain")
    return ["draining"]


ACTIONS: dict[str, Action] = {
    "status": _status,
    "mirrors": mirrors.mirrors,
    "percent": mirrors.percent,
    "pause": mirrors.pause,
    "resume": mirrors.resume,
    "weights": weights.weights,
    "compare": runs.change,
    "log-level": _log_level,
    "reload": _reload,
    "drain": _drain,
}
_RAMP = "ramp"
NAMES = (*ACTIONS, _RAMP)
