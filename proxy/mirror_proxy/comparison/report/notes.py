"""Notes: what readers of a report must know about its figures, each in a sentence."""

from __future__ import annotations

from mirror_proxy.comparison.diff.totals import OTHER, Totals
from mirror_proxy.config.model import Thresholds
from mirror_proxy.text import format_count, plural, shorten

#: Why a response was not compared completely, and why a pair was not compared at all.
CAPPED = {
    "nesting": "nested deeper than is followed",
    "number": "with a number longer than is read",
    "encoding": "that is not valid UTF-8 text or compressed data",
    "bomb": "that decompresses to more than is read",
    "truncated": "longer than is captured",
    "many": "that differs in more places than are kept",
    "unknown_coding": "with a Content-Encoding that is not decoded",
}
DROPPED = {
    "no_answer": "because the primary's response did not end",
    "over_buffer": "because the buffer for comparing was full",
    "pipe_full": "because the comparer was behind",
    "too_large": "due to a size above the limit of the comparer's pipe",
    "no_comparer": "because there was no comparer",
    "unreadable": "because the comparer could not read what it received",
    "failed": "because comparing failed, which is a fault of this proxy",
}
#: Endpoints that one note names.
_MAX_NAMED = 3
_MAX_ENDPOINT = 80


def of_mirror(totals: Totals, thresholds: Thresholds, mirror: str) -> tuple[str, ...]:
    """Return the notes on the figures of one mirror."""
    compared: dict[str, int] = {}
    for (route, name, _), number in totals.of("compared"):
        if name == mirror:
            compared[route] = compared.get(route, 0) + number
    if not compared:
        return ("None of its responses was compared: the report has latencies, statuses and outcomes only.",)
    found = [_of_pairs(route, number, thresholds) for route, number in sorted(compared.items())]
    found += [
        _of_baseline(route, totals.count("noise_compared", route), thresholds) for route in sorted(compared)
    ]
    found.append(_without_baseline(totals, mirror))
    found = [note for note in found if note]
    reasons: dict[str, int] = {}
    for (_, name, reason), number in totals.of("capped"):
        if name == mirror:
            reasons[reason] = reasons.get(reason, 0) + number
    found += [_of_cap(reason, number) for reason, number in sorted(reasons.items())]
    others = sum(number for (_, name, it), number in totals.of("compared") if name == mirror and it == OTHER)
    if others:
        found.append(
            f"{plural(others, 'pair')} had no room for an endpoint of their own, and count as {OTHER}."
        )
    if any(name == mirror and path == OTHER for (_, name, _, path, _), _ in totals.of("field")):
        found.append(f"More fields differ than are counted one by one; the rest is counted as {OTHER}.")
    return tuple(found)


def of_all(totals: Totals) -> tuple[str, ...]:
    """Return the notes on all figures."""
    return tuple(
        f"{plural(number, 'pair')} {'was' if number == 1 else 'were'} not compared"
        f" {DROPPED.get(reason, f'({reason})')}."
        for (reason,), number in sorted(totals.of("dropped"))
    )


def _of_pairs(route: str, pairs: int, thresholds: Thresholds) -> str:
    if pairs >= thresholds.min_samples:
        return ""
    return (
        f"Of route {route} {plural(pairs, 'pair')} {'was' if pairs == 1 else 'were'} compared; small differences"
        f" show with {format_count(thresholds.min_samples)} or more."
    )


def _of_baseline(route: str, pairs: int, thresholds: Thresholds) -> str:
    if not pairs:
        return (
            f"Route {route} has no baseline: differences between two responses of v1 are reported too,"
            " except new ids and times; set --secondary or compare.noise.repeat to leave noise out."
        )
    if pairs < thresholds.min_samples:
        return (
            f"The baseline of route {route} has {plural(pairs, 'pair')}: rare noise may not have shown yet."
        )
    return ""


def _without_baseline(totals: Totals, mirror: str) -> str:
    """Name endpoints that have no baseline on routes that have one."""
    known = {key for key, _ in totals.of("noise_compared")}
    routes = {route for route, _ in known}
    found = [
        (number, endpoint)
        for (route, name, endpoint), number in totals.of("compared")
        if name == mirror and route in routes and (route, endpoint) not in known
    ]
    if not found:
        return ""
    found.sort(key=lambda one: (-one[0], one[1]))
    names = [shorten(endpoint, _MAX_ENDPOINT) for _, endpoint in found[:_MAX_NAMED]]
    more = f" and {format_count(len(found) - len(names))} more" if len(found) > len(names) else ""
    return (
        f"{plural(len(found), 'endpoint')} with {plural(sum(number for number, _ in found), 'pair')}"
        f" {'has' if len(found) == 1 else 'have'} no baseline: {', '.join(names)}{more}. Differences there"
        " may be noise; --repeat-safe sends requests that only read to the baseline."
    )


def _of_cap(reason: str, number: int) -> str:
    what = CAPPED.get(reason, f"that could not be compared whole ({reason})")
    return f"{plural(number, 'pair')} had a response {what}."
