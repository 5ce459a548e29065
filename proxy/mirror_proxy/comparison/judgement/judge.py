"""Judge all places of a mirror together: which differences are reported, which are noise, which are unsure.

A place is reported once its evidence is so strong that, were no place of the report different, a report would name one
with a probability of at most 5 %: over all places, endpoints and looks. So the evidence needed grows with the number of
places (Holm's procedure). Only those places count that could be decided at all by as many differences as they have
(Tarone 1990): a hundred places that differed once each do not hide one that differs always. A place is judged by its
endpoint, and once more by all of its endpoints together.

Where an endpoint has no baseline, a place is held against a rate instead: that of a fluke, or that of the noise of
the same place at other endpoints of its method. Identifiers and times of now are noise by their shape, unless there
is a baseline in which they are always the same.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import ceil, inf, log

from mirror_proxy.comparison.judgement import evidence
from mirror_proxy.comparison.judgement.evidence import Counts
from mirror_proxy.comparison.judgement.interval import rate_of
from mirror_proxy.comparison.judgement.place import Judgement, Place, Verdict
from mirror_proxy.config.model import Thresholds
from mirror_proxy.text import format_count, format_share

#: The probability that a report of responses without any difference names one.
ERROR = 0.05
#: Places that are to come are allowed for: with up to 18 places, the error is at most `ERROR` whenever each joined.
_TO_COME = 10
#: Without a baseline, a place that differs in no larger a share of responses than this may be a fluke.
FLUKE = 0.01
#: Kinds of two values of one shape, that are new in each response.
_BY_SHAPE = frozenset({"id", "time"})
#: A forecast of more requests than this is not given.
_FARTHEST = 1_000_000


@dataclass(frozen=True, slots=True)
class _Case:
    """One place of one endpoint, beside the same place of all endpoints.

    `ceiling` is the evidence if all of its differences were the mirror's; `together` that of all endpoints, and
    `endpoints` their number; `elsewhere` the highest rate of its noise at another endpoint of the same method.
    """

    place: Place
    counts: Counts
    evidence: float
    ceiling: float
    together: float = -inf
    endpoints: int = 1
    elsewhere: float = 0.0
    is_worth_together: bool = False


def judge(places: Sequence[Place], thresholds: Thresholds, mirrors: int = 1) -> list[Judgement]:
    """Judge the places of one of `mirrors` that a report is about."""
    by_name: dict[tuple[str, str], list[int]] = defaultdict(list)
    for index, place in enumerate(places):
        by_name[place.path, place.kind].append(index)
    cases: dict[int, _Case] = {}
    tests: list[tuple[float, float]] = []
    for indices in by_name.values():
        group = _cases([places[index] for index in indices], thresholds)
        cases.update(zip(indices, group.cases, strict=True))
        tests += group.tests
    needed = evidence_needed(tests, mirrors)
    return [_judgement(cases[index], needed, thresholds) for index in range(len(places))]


def evidence_needed(tests: Iterable[tuple[float, float]], mirrors: int = 1) -> float:
    """Return the log evidence that decides, of tests each with its evidence and the most that it could have had."""
    pairs = sorted(tests, key=lambda one: -one[1])

    def needed(count: int) -> float:
        return log((count + _TO_COME) * mirrors / ERROR)

    able = next(
        (count for count, (_, ceiling) in enumerate(pairs) if ceiling < needed(count + 1)), len(pairs)
    )
    found = sorted((one for one, _ in pairs[:able]), reverse=True)
    decided = next((count for count, one in enumerate(found) if one < needed(able - count)), able)
    return needed(max(able - decided, 1))


# --- the evidence ---


@dataclass(frozen=True, slots=True)
class _Group:
    """The cases of one place, and the tests they take."""

    cases: list[_Case]
    tests: list[tuple[float, float]]


def _cases(places: Sequence[Place], thresholds: Thresholds) -> _Group:
    """Return the cases of one place at each of its endpoints."""
    with_baseline = [place.counts for place in places if place.compared and place.noise_compared]
    together, ceiling, is_worth = -inf, 0.0, False
    if len(with_baseline) > 1:
        together = evidence.over_endpoints(with_baseline)
        ceiling = sum(map(_ceiling, with_baseline))
        raw, compared, noise, noise_compared = map(sum, zip(*with_baseline, strict=True))
        is_worth = _is_worth(raw / compared, noise / noise_compared, thresholds)
    elsewhere = _noise_by_method(places)
    cases = []
    for place in places:
        counts = place.counts
        if place.noise_compared:
            own = evidence.against_baseline(*counts)
            case = _Case(
                place, counts, own, _ceiling(counts), together, len(with_baseline), is_worth_together=is_worth
            )
        else:
            rate = elsewhere.get(_method(place), 0.0)
            own = evidence.against_rate(counts[0], counts[1], max(FLUKE, rate))
            case = _Case(place, counts, own, own, elsewhere=rate)
        cases.append(case)
    tests = [(case.evidence, case.ceiling) for case in cases]
    return _Group(cases, [*tests, (together, ceiling)] if len(with_baseline) > 1 else tests)


def _noise_by_method(places: Iterable[Place]) -> dict[tuple[str, str], float]:
    """Return the highest rate of one place's noise at endpoints of each route and method."""
    rates: dict[tuple[str, str], float] = {}
    for one in places:
        if one.noise_compared:
            method = _method(one)
            rates[method] = max(rates.get(method, 0.0), one.counts[2] / one.noise_compared)
    return rates


def _method(place: Place) -> tuple[str, str]:
    return place.route, place.endpoint.partition(" ")[0]


def _ceiling(counts: Counts) -> float:
    """Return the evidence that as many differences could come to, were all of them the mirror's."""
    raw, compared, noise, noise_compared = counts
    mine = min(raw + noise, compared)
    return evidence.most(mine, compared, raw + noise - mine, noise_compared)


def _is_worth(raw: float, noise: float, thresholds: Thresholds) -> bool:
    """Return whether a difference of these rates is worth reporting."""
    return raw - noise > thresholds.absolute and raw - noise >= thresholds.relative * (raw + noise)


# --- the verdict ---


def _judgement(case: _Case, needed: float, thresholds: Thresholds) -> Judgement:
    raw, compared, noise, noise_compared = case.counts
    verdict, why = _verdict(case, needed, thresholds)
    ours, theirs = rate_of(raw, compared), rate_of(noise, noise_compared)
    noise_rate = theirs.value if noise_compared else None
    return Judgement(verdict, ours.value, ours.low, ours.high, noise_rate, theirs.low, theirs.high, why)


def _verdict(case: _Case, needed: float, thresholds: Thresholds) -> tuple[Verdict, str]:
    raw, compared, noise, noise_compared = case.counts
    if not raw:
        return "unsure", "it has not differed"
    if case.place.kind in _BY_SHAPE and (noise or not noise_compared):
        return "noise", f"{format_share(raw / compared)}; new in each response by its shape"
    if not noise_compared:
        return _without_baseline(case, needed)
    return _with_baseline(case, needed, thresholds)


def _with_baseline(case: _Case, needed: float, thresholds: Thresholds) -> tuple[Verdict, str]:
    raw, compared, noise, noise_compared = case.counts
    rates = raw / compared, noise / noise_compared
    both = f"{format_share(rates[0])} against {format_share(rates[1])} of noise"
    is_worth = _is_worth(*rates, thresholds)
    if is_worth and case.evidence >= needed:
        return "reported", both
    if is_worth and case.together >= needed and case.is_worth_together:
        return "reported", f"{both}; sure at {case.endpoints} endpoints together"
    if is_worth and (not noise or case.evidence >= 0):
        return "unsure", f"{both}: {_forecast(case, needed)}"
    return "noise", f"{both}: {'it differs within one version too' if noise else 'too rare to be reported'}"


def _without_baseline(case: _Case, needed: float) -> tuple[Verdict, str]:
    raw, compared, _, _ = case.counts
    rate = raw / compared
    if case.evidence >= needed:
        return "reported", f"{format_share(rate)}; this endpoint has no baseline: it may be noise"
    if case.elsewhere and rate <= case.elsewhere:
        return "noise", f"{format_share(rate)}; it is noise at other endpoints, and this one has no baseline"
    return "unsure", f"{format_count(raw)} of {format_count(compared)}, too few without a baseline"


def _forecast(case: _Case, needed: float) -> str:
    """Say after how many more requests of the endpoint the place is decided, if it goes on as it began.

    The likelihood ratio grows with the counts; what a bet falls short of it stays about the same.
    """
    ratio = evidence.most(*case.counts)
    more = ceil(case.counts[1] * ((needed + ratio - case.evidence) / ratio - 1)) if ratio > 0 else _FARTHEST
    if more >= _FARTHEST:
        return "the rates are too close to decide"
    return f"decided in about {format_count(max(1, more))} more requests"
