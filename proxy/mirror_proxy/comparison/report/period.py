"""The period that figures are of, in the same words wherever they are shown: which runs, from when to when."""

from __future__ import annotations

from collections.abc import Sequence

from mirror_proxy.comparison.diff.run import Run
from mirror_proxy.text import format_time, shorten

#: Runs and hosts that are named, at most.
_MOST = 5
_MAX_NAME = 80
_HOSTS = {"primary": "the same for some mirrors", "upstream": "the mirror's own"}


def began(runs: Sequence[Run], since: float) -> float:
    """Return when figures begin that are asked for from `since` on; 0: it is not known."""
    first = min((run.started for run in runs), default=0.0)
    return max(first, since)


def ended(runs: Sequence[Run], since: float, now: float) -> float:
    """Return when the figures of runs end that may be over: with what they counted last."""
    last = max((run.last for run in runs), default=now)
    return last if since < last < now else now


def describe(runs: Sequence[Run], since: float, until: float) -> str:
    """Return such as `run 17 (v2-1483), 2026-01-31 12:00:00 to 2026-01-31 13:00:00 UTC`."""
    span = f"{f'{format_time(since)} to' if since else 'until'} {format_time(until)} UTC"
    return f"{_names(runs)}, {span}" if runs else span


def hosts(runs: Sequence[Run]) -> str:
    """Return which Host the shadow requests had: an upstream that routes by Host does something else for another."""
    found = sorted({run.identity.shadow_host for run in runs})
    if found == ["primary"]:
        return "shadow requests have the primary's Host"
    named = ", ".join(_HOSTS.get(host, shorten(host, _MAX_NAME)) for host in found[:_MOST])
    return f"shadow requests have another Host than the primary's: {named}"


def _names(runs: Sequence[Run]) -> str:
    if all(run.number == 0 for run in runs):
        return "the present run, in memory"
    named = [
        f"{run.number} ({shorten(run.identity.label, _MAX_NAME)})" if run.identity.label else f"{run.number}"
        for run in runs[:_MOST]
    ]
    more = len(runs) - len(named)
    tail = f" and {more} more" if more else ""
    return f"{'run' if len(runs) == 1 else 'runs'} {', '.join(named)}{tail}"
