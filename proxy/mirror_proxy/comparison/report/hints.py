"""Hints: why a report may be about the set-up, or not about all of v2, each in a sentence, read before the findings."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from mirror_proxy.comparison.diff.severity import statuses_of
from mirror_proxy.comparison.diff.totals import Totals
from mirror_proxy.telemetry.outcome import FAILURES, RESPONDED
from mirror_proxy.text import format_count, format_share, plural

#: With fewer pairs there are no hints.
_MIN_PAIRS = 20
#: A baseline whose statuses differ in a larger part of its pairs than this has other data than v1.
_OTHER_DATA = 0.2
#: A mirror that refuses a larger part of what v1 serves than this refuses the shadow requests, not what they ask for.
_REFUSED = 0.8
#: A mirror that sends no response to a larger part of the shadow requests than this, and to so many, fails on some.
_FAILED = 0.01
_MIN_FAILED = 5

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
    return (*_other_data(totals, mirror), *_refused(totals, mirror), *_failed(totals, mirror))


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
    ended: Counter[str] = Counter()
    for (_, name, outcome), number in totals.of("outcome"):
        if name == mirror and outcome in FAILURES | RESPONDED:
            ended[outcome] += number
    failed = sorted((outcome for outcome in FAILURES if ended[outcome]), key=lambda one: (-ended[one], one))
    total = sum(ended[outcome] for outcome in failed)
    if total < _MIN_FAILED or total <= _FAILED * ended.total():
        return
    outcomes = ", ".join(f"{outcome} {format_count(ended[outcome])}" for outcome in failed)
    yield (
        f"v2 sent no response to {format_share(total / ended.total())} of"
        f" {plural(ended.total(), 'shadow request')} ({outcomes}). These are not compared, so no finding is about"
        " them. The access log names their outcomes and request ids."
    )
