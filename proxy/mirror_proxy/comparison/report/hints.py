"""Hints: why a report may be about the set-up, or not about all of v2, each in a sentence, read before the findings."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from mirror_proxy.comparison.diff.severity import statuses_of
from mirror_proxy.comparison.diff.totals import OTHER, Totals
from mirror_proxy.config.mirroring import READING_METHODS
from mirror_proxy.telemetry.outcome import FAILURES, RESPONDED
from mirror_proxy.text import format_count, format_share, plural

#: With fewer pairs there are no hints.
_MIN_PAIRS = 20
#: A baseline whose statuses differ in a larger part of its pairs than this has other data than v1.
_OTHER_DATA = 0.2
#: A mirror that refuses a larger part of what v1 serves than this refuses the shadow requests, not what they ask for.
_REFUSED = 0.8
#: Shadow requests without a response, or not sent, are worth a hint above this rate and from this number on.
_FAILED = 0.01
_MIN_FAILED = 5
#: Outcomes that keep single shadow requests from a mirror that was meant to get them.
_WITHHELD = frozenset({"over_in_flight", "over_buffer", "over_rate", "breaker_open", "shed"})

#: Likely causes in shadow requests, by the status with which a mirror refuses them.
CAUSES = {
    "400": "a Host or another header that it does not take",
    "401": "credentials that mirroring.headers takes out, or that only v1 knows",
    "403": "credentials that mirroring.headers takes out, a signature (such as AWS SigV4) that covers Host or path,"
    " or a Host that it does not allow",
    "404": "a Host that names none of its virtual hosts, or other data than v1's",
    "421": "a Host that it does not serve",
}


def of_mirror(totals: Totals, mirror: str) -> tuple[str, ...]:
    """Return the hints on the report of one mirror."""
    return (
        *_other_data(totals, mirror),
        *_refused(totals, mirror),
        *_failed(totals, mirror),
        *_lacks_writes(totals, mirror),
    )


def _other_data(totals: Totals, mirror: str) -> Iterator[str]:
    """Name the routes whose baseline gives other statuses than v1, which hides those of v2."""
    pairs: Counter[str] = Counter()
    differing: Counter[str] = Counter()
    for (route, _), number in totals.of("noise_compared"):
        pairs[route] += number
    for (route, _, path, _), number in totals.of("noise_field"):
        differing[route] += number if path.startswith("status") else 0
    routes = {route for (route, name, _), _ in totals.of("compared") if name == mirror}
    for route in sorted(routes & pairs.keys()):
        share = differing[route] / pairs[route]
        if pairs[route] >= _MIN_PAIRS and share > _OTHER_DATA:
            yield (
                f"The baseline of route {route} has another status than v1 in {format_share(share)} of"
                f" {plural(pairs[route], 'pair')}: the second v1 seems to have other data. Errors of v2 are hidden as"
                " noise. Give it the data of v1, or use compare.noise.repeat instead."
            )


def _refused(totals: Totals, mirror: str) -> Iterator[str]:
    """Name the status with which v2 refuses nearly all that v1 serves, and a likely cause."""
    served: Counter[str] = Counter()
    for (primary, shadow), number in totals.of("status_pair", mirror):
        if statuses_of(f"status {primary} -> {shadow}") and primary[0] in "23":
            served[shadow] += number
    refused = {status: served[status] for status in CAUSES if status in served}
    total = served.total()
    if total < _MIN_PAIRS or sum(refused.values()) <= _REFUSED * total:
        return
    status = max(sorted(refused), key=lambda one: refused[one])
    share = format_share(sum(refused.values()) / total)
    yield (
        f"v2 refuses {share} of the requests that v1 serves, mostly with {status}. A likely cause is"
        f" {CAUSES[status]}. See mirroring.host (primary, upstream or a name), mirroring.headers and"
        " mirroring.mark."
    )


def _failed(totals: Totals, mirror: str) -> Iterator[str]:
    """Say how many shadow requests got no response: these are no pairs, so no finding is about them."""
    ended = _outcomes(totals, mirror, FAILURES | RESPONDED)
    failed = Counter({outcome: number for outcome, number in ended.items() if outcome in FAILURES})
    if _are_few(failed, ended):
        return
    yield (
        f"v2 sent no response to {_share_of(failed, ended)} of {plural(ended.total(), 'shadow request')}"
        f" ({_listed(failed)}). These are not compared, so no finding is about them. The access log names their"
        " outcomes and request ids."
    )


def _lacks_writes(totals: Totals, mirror: str) -> Iterator[str]:
    """Say that v2 may lack data, because the proxy withheld shadow requests of a route that has writes."""
    methods = {
        endpoint.partition(" ")[0] for (_, name, endpoint), _ in totals.of("compared") if name == mirror
    }
    meant = _outcomes(totals, mirror, FAILURES | RESPONDED | _WITHHELD)
    withheld = Counter({outcome: number for outcome, number in meant.items() if outcome in _WITHHELD})
    if methods <= READING_METHODS | {OTHER} or _are_few(withheld, meant):
        return
    yield (
        f"v2 did not get {_share_of(withheld, meant)} of {plural(meant.total(), 'request')} ({_listed(withheld)})."
        " It lacks what the writes among these would have changed; differences may follow from that."
    )


def _outcomes(totals: Totals, mirror: str, wanted: frozenset[str]) -> Counter[str]:
    counted: Counter[str] = Counter()
    for (_, name, outcome), number in totals.of("outcome"):
        if name == mirror and outcome in wanted:
            counted[outcome] += number
    return counted


def _are_few(some: Counter[str], of: Counter[str]) -> bool:
    return some.total() < _MIN_FAILED or some.total() <= _FAILED * of.total()


def _share_of(some: Counter[str], of: Counter[str]) -> str:
    return format_share(some.total() / of.total())


def _listed(outcomes: Counter[str]) -> str:
    ranked = sorted(outcomes.items(), key=lambda one: (-one[1], one[0]))
    return ", ".join(f"{outcome} {format_count(number)}" for outcome, number in ranked if number)
