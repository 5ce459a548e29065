"""`mirror-proxy ctl ramp`: raise a mirror's percent or a canary's weight in steps, and show the progress.

The ramp runs in the proxy: it goes on when the command that follows it ends.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from mirror_proxy.cli import mirrors, printing, weights
from mirror_proxy.cli.action import AdminError, UsageError
from mirror_proxy.text import format_duration, format_number, format_percent, format_span

if TYPE_CHECKING:
    from mirror_proxy.cli.admin_client import AdminClient

ABOUT = """\
  ramp                                every ramp: its steps, where it is, its guards, its log
  ramp NAME [N ...]                   raise a mirror's percent step by step (1 5 25 100), while its guards hold
  ramp ROUTE HOST/SUBSET [N ...]      the same with the weight of a canary; the others share the rest
  ramp go NAME                        have a ramp that is held go on; NAME is the mirror's, or the route's
  ramp stop NAME                      end a ramp and go back to what was there before; with --keep, stay at its step
  ramp follow NAME                    print what a ramp does until it ends, as --follow does
"""
EXAMPLE = """\
  let v2 see more and more, while no more than 1 % of its answers are errors; else go back at once:
    mirror-proxy ctl ramp shop/v2 1 5 25 100 --every 10m --guard 'mirror_error_rate>1%' --follow
  a canary, as long as its primary's p99 is not 1.2 times what the route's was before:
    mirror-proxy ctl ramp shop shop/v2 5 25 50 100 --every 15m --guard 'primary_p99>1.2x'
"""

_READ_EVERY_S = 1.0
#: Options of a start, and the name of each in the request to the proxy.
_PLAN = {"every": "every", "guard": "guards", "on_fail": "on_fail", "min_samples": "min_samples"}
_KINDS = ("mirror", "route")
_ENDED_STATES = frozenset({"finished", "rolled back", "ended"})
_RAMP_OPTIONS = (*_PLAN, "keep", "follow")


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of a ramp."""
    group = parser.add_argument_group("for ramp")
    group.add_argument("--every", metavar="10m", help="how long each step lasts at least (default 10m)")
    text = (
        "what stops it, besides mirror_error_rate>5%% (a canary: primary_error_rate>5%%) and loop_lag>250ms, unless it"
        " is on the same figure: a limit as in report --fail-on, or such as primary_p99>1.2x, so many times as before"
    )
    group.add_argument("--guard", metavar="LIMIT", action="append", help=text)
    text = "then go back to what was there before (the default), or stay until ramp go or ramp stop"
    group.add_argument("--on-fail", metavar="rollback|hold", help=text)
    text = "how many samples each guard's figure needs before a step is over (default 100)"
    group.add_argument("--min-samples", metavar="N", type=int, help=text)
    group.add_argument(
        "--keep", action="store_true", default=None, help="with stop: stay at the present step"
    )
    text = "print what it does until it ends; exit code 1 unless it reaches its last step"
    group.add_argument("--follow", action="store_true", default=None, help=text)


def refuse_options(arguments: argparse.Namespace) -> None:
    """Raise `UsageError` for an option of a ramp with another action."""
    _allow(arguments, (), "this")


def ramp(
    admin: AdminClient, arguments: argparse.Namespace, sleep: Callable[[float], None] = time.sleep
) -> Iterator[str]:
    """Yield the lines to print, as events happen; raises `AdminError` when a ramp fails."""
    if arguments.ttl:
        raise UsageError("a ramp has no --ttl: it ends by itself")
    match arguments.words:
        case []:
            _allow(arguments, (), "ramp without a name")
            yield from _ramp_lines(admin.get("/ramp")["ramps"])
        case ["go", name]:
            _allow(arguments, ("follow",), "ramp go")
            named = _named(admin, name)
            yield from _output(admin, named, admin.change("PATCH", "/ramp", named), arguments, sleep)
        case ["stop", name]:
            _allow(arguments, ("keep",), "ramp stop")
            named = _named(admin, name)
            query = urlencode(named) + ("&keep" if arguments.keep else "")
            yield from _ramp_lines(_of(named, admin.change("DELETE", f"/ramp?{query}")))
        case ["follow", name]:
            _allow(arguments, (), "ramp follow")
            yield from _followed_events(admin, _named(admin, name), sleep)
        case ["go" | "stop" | "follow", *_]:
            raise UsageError(f"say whose ramp, a mirror's or a route's: ramp {arguments.words[0]} NAME")
        case [name, *words]:
            _allow(arguments, (*_PLAN, "follow"), "ramp NAME")
            target = _target(name, words)
            steps = [_step(word) for word in words[len(target) - 1 :]]
            given = {key: getattr(arguments, option) for option, key in _PLAN.items()}
            body = {**target, "steps": steps or None, **given}
            response = admin.change(
                "POST", "/ramp", {key: value for key, value in body.items() if value is not None}
            )
            named = {key: value for key, value in target.items() if key != "destination"}
            yield from _output(admin, named, response, arguments, sleep)


def under_way(admin: AdminClient) -> Iterator[str]:
    """Yield the lines of `status` on ramps that have not ended."""
    for row in admin.get("/ramp")["ramps"]:
        if row["state"] not in _ENDED_STATES:
            yield f"a ramp of {_name(row)} is {row['state']}{_position(row)}; see ramp"


def _allow(arguments: argparse.Namespace, options: Sequence[str], what: str) -> None:
    for option in _RAMP_OPTIONS:
        if option not in options and getattr(arguments, option) is not None:
            raise UsageError(f"{what} takes no --{option.replace('_', '-')}")


# --- arguments ---


def _target(name: str, words: Sequence[str]) -> dict[str, str]:
    """Return the target of a ramp: a mirror, or a destination where a word follows the name of its route."""
    if words and not _is_number(words[0]):
        return {"route": name, "destination": words[0]}
    return {"mirror": name}


def _step(word: str) -> float:
    if not _is_number(word):
        raise UsageError(f'"{word}" is no step: write percents, such as 1 5 25 100')
    number = float(word.removesuffix("%"))
    return int(number) if number.is_integer() else number


def _is_number(word: str) -> bool:
    return word.removesuffix("%").replace(".", "", 1).isdecimal()


def _named(admin: AdminClient, name: str) -> dict[str, str]:
    """Return the key of a ramp: its mirror or its route, whichever of that name has a ramp."""
    ramps = admin.get("/ramp")["ramps"]
    found = [(kind, row["state"]) for row in ramps for kind in _KINDS if row.get(kind) == name]
    kinds = {kind for kind, state in found if state not in _ENDED_STATES} or {kind for kind, _ in found}
    if len(kinds) > 1:
        raise AdminError(f'both the mirror "{name}" and the route "{name}" have a ramp')
    return {next(iter(kinds), "mirror"): name}


def _of(named: Mapping[str, str], response: Any) -> list[dict[str, Any]]:
    return [row for row in response["ramps"] if named.items() <= row.items()]


# --- output ---


def _output(
    admin: AdminClient,
    named: Mapping[str, str],
    response: Any,
    arguments: argparse.Namespace,
    sleep: Callable[[float], None],
) -> Iterator[str]:
    return _followed_events(admin, named, sleep) if arguments.follow else _ramp_lines(_of(named, response))


def _followed_events(
    admin: AdminClient, named: Mapping[str, str], sleep: Callable[[float], None]
) -> Iterator[str]:
    """Yield each event of a ramp, from its first, until it ends or is held."""
    seen = 0
    try:
        while True:
            rows = _of(named, admin.get("/ramp"))
            if not rows:
                raise AdminError(f"there is no ramp of {' '.join(named.values())}")
            [row] = rows
            yield from (_event(one) for one in row["log"] if one["number"] > seen)
            seen = max((one["number"] for one in row["log"]), default=0)
            if row["state"] == "finished":
                yield from ("", *_persistent_form(admin, row))
                return
            if row["state"] not in {"running", "waiting"}:
                raise AdminError(f"the ramp of {_name(row)} is {row['state']}")
            sleep(_READ_EVERY_S)
    except KeyboardInterrupt as error:
        raise AdminError("it is followed no more, and goes on") from error


def _persistent_form(admin: AdminClient, row: Mapping[str, Any]) -> list[str]:
    """Return what to write so that a restart keeps the result of a ramp."""
    if "mirror" in row:
        found = [one for one in admin.get("/mirrors")["mirrors"] if one["name"] == row["mirror"]]
        return [line for one in found for line in mirrors.edit(admin, one)]
    found = [one for one in admin.get("/routes")["routes"] if one["name"] == row["route"]]
    return [line for one in found for line in weights.edit(one)]


def _ramp_lines(ramps: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    if not ramps:
        yield "there are no ramps"
    for row in ramps:
        steps = ", ".join(format_number(step) for step in row["steps"])
        yield f"{_name(row)}: {row['state']}{_position(row)}"
        yield f"  steps {steps} %, each for {format_duration(row['every_s'])} or more; a broken guard: {row['on_fail']}"
        if row["waits_for"]:
            yield f"  waits for more samples: {row['waits_for']}"
        cells = [(guard["limit"], guard["outcome"], guard["why"]) for guard in row["guards"]]
        yield from printing.table(("guard", "outcome", "of this step"), cells, "  ")
        yield from (f"  {_event(one)}" for one in row["log"])


def _position(row: Mapping[str, Any]) -> str:
    if row["percent"] is None:
        return ""
    next_in = f", next in {format_span(row['next_in_s'])}" if row["next_in_s"] else ""
    return f" at {format_percent(row['percent'])}, step {row['step']} of {len(row['steps'])}{next_in}"


def _name(row: Mapping[str, Any]) -> str:
    return str(row["mirror"]) if "mirror" in row else f"{row['route']} {row['destination']}"


def _event(event: Mapping[str, Any]) -> str:
    return f"{datetime.fromtimestamp(event['time']).astimezone():%Y-%m-%d %H:%M:%S}  {event['text']}"
