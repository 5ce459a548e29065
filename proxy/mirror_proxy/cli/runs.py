"""Runs of compared pairs: listed by `report`, begun and reset by `ctl compare`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from mirror_proxy.cli.action import UsageError, refuse_more
from mirror_proxy.cli.printing import table
from mirror_proxy.text import format_count, format_time

if TYPE_CHECKING:
    from mirror_proxy.cli.admin_client import AdminClient
    from mirror_proxy.comparison.diff.run import Run

_PATHS = {"new-run": "/compare/new-run", "reset": "/compare/reset"}


def change(admin: AdminClient, words: Sequence[str], ttl: str | None) -> list[str]:
    """Begin new runs or reset the present ones, of one mirror or of all; return their table."""
    action, *names = words or [""]
    if action not in _PATHS:
        raise UsageError(f'compare: "{action}" is not an action; use {", ".join(_PATHS)}')
    refuse_more(names[1:], ttl)
    changed = admin.change("POST", _PATHS[action], {"mirror": names[0]} if names else {})
    return listing(changed["runs"])


def row(run: Run) -> dict[str, Any]:
    """Return the fields of a run that `listing` prints."""
    return {**asdict(run), **asdict(run.identity)}


def listing(runs: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return a table of runs."""
    titles = ("run", "label", "service", "mirror", "started (UTC)", "last", "pairs")
    rows = [
        (
            str(run["number"]),
            run["label"] or "-",
            run["service"],
            run["mirror"],
            format_time(run["started"]),
            format_time(run["last"]),
            format_count(run["pairs"]),
        )
        for run in runs
    ]
    return list(table(titles, rows))
