"""`mirror-proxy ctl`: see and steer a running proxy, over its admin address."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from proxy.cli import table
from proxy.cli.verb import DISTRIBUTION, FAILED, OK, USAGE, Verbs, add_parser
from proxy.config import flags, quantity
from proxy.config.problems import did_you_mean

if TYPE_CHECKING:
    from proxy.cli.remote import Remote

ABOUT = """\
See how a running proxy stands, and steer it. A change has taken effect in every worker when the command returns.

  status                              state, generation, workers, and a configuration that was refused
  mirrors                             every mirror and what became of its requests
  weights [ROUTE]                     the weights of every route, or of one: the file's, and those in force
  weights ROUTE HOST/SUBSET=N ...     share a route's requests out anew; those not named keep their weights
  reload                              load the configuration again
  drain                               leave, as at SIGTERM
"""
EXAMPLES = """\
examples:
  cut over from blue to green, and back:
    mirror-proxy ctl weights shop shop/v1=0 shop/v2=100
    mirror-proxy ctl weights shop shop/v1=100 shop/v2=0
  a canary for ten minutes:
    mirror-proxy ctl weights shop shop/v1=95 shop/v2=5 --ttl 10m

exit codes: 0 done, 1 refused or nobody answered, 2 wrong arguments.
"""
ADMIN, TOKEN = f"{flags.PREFIX}ADMIN", f"{flags.PREFIX}ADMIN_TOKEN_FILE"
DEFAULT_ADMIN = "127.0.0.1:9901"


class _UsageError(Exception):
    """What was typed cannot be meant."""


def add_to(verbs: Verbs[argparse.ArgumentParser]) -> None:
    """Add the verb to the command."""
    parser = add_parser(
        verbs,
        "ctl",
        "see and steer a running proxy",
        ABOUT,
        EXAMPLES,
        f"[--admin H:P] [--token-file FILE] {'|'.join(ACTIONS)} ...",
    )
    parser.add_argument("action", choices=ACTIONS, metavar="|".join(ACTIONS), help="what to do")
    parser.add_argument("words", nargs="*", metavar="WORD", help="for weights: [ROUTE [HOST/SUBSET=N ...]]")
    text = f"the proxy's admin address (default {DEFAULT_ADMIN}; or {ADMIN})"
    parser.add_argument("--admin", metavar="H:P", help=text)
    text = f"file with the token that changes need (or {TOKEN})"
    parser.add_argument("--token-file", metavar="FILE", help=text)
    parser.add_argument("--ttl", metavar="5m", help="let the change end by itself after so long")
    parser.set_defaults(verb=_ctl)


def _ctl(arguments: argparse.Namespace, environ: Mapping[str, str]) -> int:
    from proxy.cli.remote import RemoteError  # noqa: PLC0415  with the verb

    try:
        remote = _remote(arguments, environ)
        for line in ACTIONS[arguments.action](remote, arguments.words, arguments.ttl):
            sys.stdout.write(f"{line}\n")
    except _UsageError as error:
        sys.stderr.write(f"{DISTRIBUTION} ctl: {error}\n")
        return USAGE
    except RemoteError as error:
        for line in (str(error), *error.details):
            sys.stderr.write(f"{line}\n")
        return FAILED
    return OK


def _remote(arguments: argparse.Namespace, environ: Mapping[str, str]) -> Remote:
    from proxy.cli.remote import Remote  # noqa: PLC0415  with the verb

    written = arguments.admin or environ.get(ADMIN) or DEFAULT_ADMIN
    try:
        address = quantity.address(written)
    except ValueError as error:
        raise _UsageError(f"--admin: {error}") from error
    file = arguments.token_file or environ.get(TOKEN)
    try:
        token = Path(file).read_text(encoding="utf-8").strip() if file else None
    except (OSError, UnicodeDecodeError) as error:
        raise _UsageError(f"--token-file {file} cannot be read: {error}") from error
    return Remote(address, token)


def _only(words: Sequence[str], ttl: str | None) -> None:
    if words or ttl:
        raise _UsageError(f"this takes nothing more, not {' '.join(words) or '--ttl'}")


# --- what can be done ---


def _status(remote: Remote, words: Sequence[str], ttl: str | None) -> list[str]:
    _only(words, ttl)
    info = remote.get("/server_info")
    rows = [
        (worker["slot"], worker["pid"], worker["state"], worker["generation"], _time(worker["uptime_s"]))
        for worker in info["workers"]
    ]
    refused = info.get("refused", ())
    steered = [row["name"] for row in remote.get("/routes")["routes"] if row["overridden"]]
    return [
        f"state       {info['state']}",
        f"version     {info['version']}",
        f"generation  {info['generation']}",
        f"uptime      {_time(info['uptime_s'])}",
        f"listening   {', '.join(info['listeners'])}",
        *table.lines(("worker", "pid", "state", "generation", "uptime"), rows),
        *(f"weights of {name} are set by hand; see weights {name}" for name in dict.fromkeys(steered)),
        *(("the last reload was refused:",) if refused else ()),
        *(f"  {problem}" for problem in refused),
    ]


def _mirrors(remote: Remote, words: Sequence[str], ttl: str | None) -> list[str]:
    _only(words, ttl)
    found = remote.get("/mirrors")["mirrors"]
    if not found:
        return ["there are no mirrors"]
    rows = [
        (
            mirror["name"],
            f"{mirror['percent']:g} %",
            mirror["in_flight"],
            mirror["breaker"],
            " ".join(f"{outcome}={count:g}" for outcome, count in mirror["outcomes"].items()) or "-",
        )
        for mirror in found
    ]
    return table.lines(("mirror", "percent", "in flight", "breaker", "outcomes"), rows)


def _weights(remote: Remote, words: Sequence[str], ttl: str | None) -> list[str]:
    if len(words) < 2:
        return _weights_in_force(remote, words, ttl)
    route, body = words[0], {"route": words[0], "weights": dict(map(_weight, words[1:]))}
    before = {
        one["name"]: one["weight"]
        for row in remote.get("/routes")["routes"]
        if row["name"] == route
        for one in row["destinations"]
    }
    answer = remote.change("PATCH", "/routes", {**body, "ttl": ttl} if ttl else body)
    said: list[str] = []
    for row in answer["routes"]:
        rows = [
            (one["name"], one["file_weight"], before.get(one["name"], "-"), one["weight"])
            for one in row["destinations"]
        ]
        said += table.lines((f"route {route}", "file", "before", "now"), rows)
        said += [_end(row), "", *_edit(row)]
    return said


def _weights_in_force(remote: Remote, words: Sequence[str], ttl: str | None) -> list[str]:
    """Show the weights of the route that is named, or of every one."""
    from proxy.cli.remote import RemoteError  # noqa: PLC0415  with the verb

    if ttl:
        raise _UsageError("--ttl is for a change: weights ROUTE HOST/SUBSET=N ...")
    rows = remote.get("/routes")["routes"]
    known = list(dict.fromkeys(row["name"] for row in rows))
    if words and words[0] not in known:
        hint = did_you_mean(words[0], known)
        message = f'there is no route "{words[0]}"' + (f"; {hint}" if hint else "")
        raise RemoteError(message, (f"known routes: {', '.join(known)}",))
    said: list[str] = []
    for row in rows:
        if row["destinations"] and row["name"] in (words or known):
            cells = [(one["name"], one["file_weight"], one["weight"]) for one in row["destinations"]]
            said += table.lines((f"route {row['name']}", "file", "now"), cells)
            said += [_end(row)] if row["overridden"] else []
    return said or ["there are no weights"]


def _end(row: Mapping[str, Any]) -> str:
    """Say until when weights that were set hold."""
    if "ends_in_s" in row:
        return f"until in {_time(row['ends_in_s'])}"
    return "until the proxy is restarted, whatever weights its files say"


def _weight(word: str) -> tuple[str, int]:
    name, _, number = word.rpartition("=")
    if not name or not number.isdecimal():
        raise _UsageError(f'"{word}" is not HOST/SUBSET=N')
    return name, int(number)


def _edit(row: Mapping[str, Any]) -> list[str]:
    """Say what to write so that a restart keeps it."""
    lines = [f"to make it last, write in the VirtualService {row['virtual_host']}, http route {row['name']}:"]
    lines.append("    route:")
    for one in row["destinations"]:
        host, _, subset = one["name"].partition("/")
        destination = f"{{host: {host}, subset: {subset}}}" if subset else f"{{host: {host}}}"
        lines += [f"    - destination: {destination}", f"      weight: {one['weight']}"]
    return lines


def _reload(remote: Remote, words: Sequence[str], ttl: str | None) -> list[str]:
    _only(words, ttl)
    return [f"generation {remote.change('POST', '/reload')['generation']} is in force in every worker"]


def _drain(remote: Remote, words: Sequence[str], ttl: str | None) -> list[str]:
    _only(words, ttl)
    remote.change("POST", "/drain")
    return ["draining"]


Action = Callable[["Remote", Sequence[str], "str | None"], list[str]]
ACTIONS: dict[str, Action] = {
    "status": _status,
    "mirrors": _mirrors,
    "weights": _weights,
    "reload": _reload,
    "drain": _drain,
}


def _time(seconds: float) -> str:
    """Write a span as people say it: `3d 4h`, `5m 6s`, `7.5s`."""
    whole = round(seconds)
    for size, unit, below, part in ((86400, "d", 3600, "h"), (3600, "h", 60, "m"), (60, "m", 1, "s")):
        if whole >= size:
            return f"{whole // size}{unit} {whole % size // below}{part}"
    return f"{seconds:g}s"
