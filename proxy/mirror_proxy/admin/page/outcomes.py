"""Outcomes: what became of each request's copy, in plain words."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from mirror_proxy.admin.page.moment import Moment

#: What an outcome means, and the kind it belongs to: `answered`, `failed`, `held` (by a limit of ours), `left` out.
WORDS = {
    "completed": ("answered", "v2 answered, with whatever status"),
    "timeout": ("failed", "v2 had not answered in time"),
    "connect_error": ("failed", "no connection to v2 could be made"),
    "reset": ("failed", "v2 hung up before its answer was complete"),
    "protocol_error": ("failed", "what v2 answered is not HTTP/1.1"),
    "lagged": ("failed", "v2 took the request's body too slowly"),
    "not_sampled": ("left", "not among the percentage that is copied"),
    "disabled": ("left", "the percentage is 0"),
    "paused": ("left", "the mirror is paused"),
    "method": ("left", "this method is not copied"),
    "upgrade": ("left", "a WebSocket is never copied"),
    "connection_auth": ("left", "the client's connection is authenticated, and a copy's would not be"),
    "loop": ("left", "it was a copy already"),
    "over_in_flight": ("held", "as many copies were under way as may be"),
    "over_buffer": ("held", "as many bytes were held for slow copies as may be"),
    "over_rate": ("held", "over the rate that v2 may be sent"),
    "breaker_open": ("held", "v2 had failed many times in a row, and is left alone for a while"),
    "no_endpoint": ("failed", "v2's name does not resolve"),
    "client_aborted": ("left", "the client left before its request was complete"),
    "no_primary": ("left", "v1 could not be asked either"),
    "shed": ("held", "the proxy was late, and clients go first"),
    "draining": ("left", "the proxy was leaving"),
}
KINDS = ("answered", "failed", "held", "left")


@dataclass(frozen=True, slots=True)
class Outcome:
    """One outcome of one mirror. `share` is of all its requests, from 0 to 1."""

    name: str
    kind: str
    words: str
    count: int
    share: float


@dataclass(frozen=True, slots=True)
class Stretch:
    """A piece of the bar of all outcomes, in percent."""

    kind: str
    start: float
    width: float


@dataclass(frozen=True, slots=True)
class Mirror:
    """All outcomes of one mirror or baseline, the most frequent first."""

    name: str
    requests: int
    outcomes: tuple[Outcome, ...]
    bar: tuple[Stretch, ...]


def of(moment: Moment) -> list[Mirror]:
    """Return a row for each mirror that has had a request, and for what only serves to know noise."""
    counts: dict[str, dict[str, int]] = {}
    for (_, mirror, outcome), count in moment.totals.of("outcome"):
        mine = counts.setdefault(mirror, {})
        mine[outcome] = mine.get(outcome, 0) + count
    return [_row(name, found) for name, found in sorted(counts.items())]


def _row(name: str, counts: dict[str, int]) -> Mirror:
    total = sum(counts.values())
    outcomes = tuple(
        Outcome(outcome, *WORDS[outcome], count, count / total)
        for outcome, count in sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    )
    return Mirror(name, total, outcomes, tuple(_bar(outcomes)))


def _bar(outcomes: tuple[Outcome, ...]) -> Iterator[Stretch]:
    start = 0.0
    for kind in KINDS:
        width = 100 * sum(outcome.share for outcome in outcomes if outcome.kind == kind)
        if width:
            yield Stretch(kind, round(start, 3), round(width, 3))
        start += width
