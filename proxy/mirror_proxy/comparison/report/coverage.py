"""Coverage: how large a difference may be that a report does not show, at the endpoints that have enough pairs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from math import ceil

from mirror_proxy.comparison.diff.totals import Totals
from mirror_proxy.comparison.judgement.interval import rate_of
from mirror_proxy.comparison.report.fields import JudgedField


@dataclass(frozen=True, slots=True)
class Coverage:
    """The rate of differences that a report excludes: at most `bound` at each of `endpoints`, which have enough pairs.

    `few` lists the other endpoints with their number of pairs, the largest number first.
    """

    endpoints: int
    bound: float
    few: tuple[tuple[str, int], ...] = ()


def coverage(totals: Totals, judged: Iterable[JudgedField], mirror: str, wanted: int) -> Coverage:
    """Return the coverage of a mirror whose endpoints need `wanted` pairs; places that are noise count as equal."""
    open_pairs: dict[tuple[str, str], float] = defaultdict(float)
    for field in judged:
        if field.judgement.verdict != "noise":
            place = field.route, field.endpoint
            open_pairs[place] = max(open_pairs[place], field.differed * field.real)
    bounds, few = [], []
    for (route, name, endpoint), pairs in totals.of("compared"):
        if name == mirror and pairs >= wanted:
            bounds.append(rate_of(ceil(open_pairs[route, endpoint]), pairs).high)
        elif name == mirror:
            few.append((endpoint, pairs))
    few.sort(key=lambda one: (-one[1], one[0]))
    return Coverage(len(bounds), max(bounds, default=1.0), tuple(few))
