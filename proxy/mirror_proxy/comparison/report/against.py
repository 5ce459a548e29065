"""Two runs of one mirror: which places differ more often in the later one, and which less.

The earlier run takes the part of the baseline. A place is worse if the later run differs there more often than the
earlier run explains, and better the other way round. Noise in both runs is left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from mirror_proxy.comparison.diff.totals import Totals
from mirror_proxy.comparison.endpoint.folding import Folding
from mirror_proxy.comparison.judgement.judge import judge
from mirror_proxy.comparison.judgement.place import Place
from mirror_proxy.comparison.report.fields import JudgedField, fields
from mirror_proxy.comparison.report.report import ReportData
from mirror_proxy.config.model import Thresholds

#: Route, endpoint, path and kind.
_Name = tuple[str, str, str, str]


@dataclass(frozen=True, slots=True)
class Shift:
    """A place whose rate has changed: from `before` of `compared_before` pairs to `after` of `compared_after`."""

    route: str
    endpoint: str
    path: str
    kind: str
    before: int
    compared_before: int
    after: int
    compared_after: int


@dataclass(frozen=True, slots=True)
class Against:
    """The later run `after` of a mirror beside the earlier one `before`; `same` places differ as often in both.

    `unseen` endpoints of the earlier run got no request in the later one: they are in no other field.
    """

    mirror: str
    before: ReportData
    after: ReportData
    worse: tuple[Shift, ...]
    better: tuple[Shift, ...]
    same: int
    unseen: tuple[str, ...]


def compare(before: ReportData, after: ReportData, mirror: str) -> Against:
    """Compare two runs of `mirror`."""
    folding = Folding(before.totals + after.totals)
    old, new = (folding.fold(data.totals) for data in (before, after))
    places = _places(old, new, after.thresholds, mirror)
    worse = _reported(places, after.thresholds)
    better = [_reversed(one) for one in _reported(map(_reversed, places), after.thresholds)]
    return Against(
        mirror,
        before,
        after,
        tuple(map(_shift, worse)),
        tuple(map(_shift, better)),
        len(places) - len(worse) - len(better),
        tuple(sorted(_endpoints(old, mirror).keys() - _endpoints(new, mirror).keys())),
    )


def _places(old: Totals, new: Totals, thresholds: Thresholds, mirror: str) -> list[Place]:
    """Return the places that are more than noise in either run, of the endpoints that both have compared."""
    earlier, later = (_by_name(fields(totals, thresholds, mirror)) for totals in (old, new))
    pairs_before, pairs_after = _endpoints(old, mirror), _endpoints(new, mirror)
    found = []
    for name in sorted(earlier.keys() | later.keys()):
        route, endpoint, path, kind = name
        both = [one for one in (earlier.get(name), later.get(name)) if one is not None]
        if endpoint not in pairs_before or endpoint not in pairs_after:
            continue
        if all(one.judgement.verdict == "noise" for one in both):
            continue
        before, after = (one[name].differed if name in one else 0 for one in (earlier, later))
        found.append(
            Place(route, endpoint, path, kind, after, pairs_after[endpoint], before, pairs_before[endpoint])
        )
    return found


def _by_name(found: Iterable[JudgedField]) -> Mapping[_Name, JudgedField]:
    return {(one.route, one.endpoint, one.path, one.kind): one for one in found}


def _endpoints(totals: Totals, mirror: str) -> dict[str, int]:
    """Return how many pairs of each endpoint were compared."""
    found: dict[str, int] = {}
    for (_, name, endpoint), count in totals.of("compared"):
        if name == mirror:
            found[endpoint] = found.get(endpoint, 0) + count
    return found


def _reported(places: Iterable[Place], thresholds: Thresholds) -> Sequence[Place]:
    """Return the places that differ more often in `raw` than in `noise`, the most frequent first."""
    judged = list(places)
    found = [
        place
        for place, one in zip(judged, judge(judged, thresholds), strict=True)
        if one.verdict == "reported"
    ]
    return sorted(found, key=lambda one: -one.raw / one.compared)


def _reversed(place: Place) -> Place:
    return replace(
        place,
        raw=place.noise,
        compared=place.noise_compared,
        noise=place.raw,
        noise_compared=place.compared,
    )


def _shift(place: Place) -> Shift:
    name = place.route, place.endpoint, place.path, place.kind
    return Shift(*name, place.noise, place.noise_compared, place.raw, place.compared)
