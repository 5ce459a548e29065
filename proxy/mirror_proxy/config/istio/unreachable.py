"""Unreachable: warnings of rules and matches that no request gets to (IST0130 and IST0131 of `istioctl analyze`).

Source: istio pkg/config/validation/validation.go (`analyzeUnreachableHTTPRules`, `coveredValidation`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from mirror_proxy.config.istio.match import MatchRequest, Named
from mirror_proxy.config.istio.route import IstioRoute
from mirror_proxy.config.model import StringMatch


@dataclass(frozen=True, slots=True)
class _NamedMatch:
    """One item of `match`, and the names of it and its rule in warnings."""

    rule: str
    match: str
    match_request: MatchRequest


def warn_of_unreachable(routes: Sequence[IstioRoute]) -> None:
    """Warn of each rule and match of one VirtualService that those before it leave nothing to."""
    open_rule: IstioRoute | None = None
    taken: dict[tuple[Any, ...], str] = {}
    named: list[_NamedMatch] = []
    for number, route in enumerate(routes):
        rule = _shown(route.name, number)
        if not route.match_requests:
            if open_rule:
                _warn_of_rule(route, rule, "only the last rule can have no matches")
            open_rule = route
        elif open_rule:
            _warn_of_rule(route, rule, "route without matches defined before")
        else:
            fresh = list(_fresh(route, rule, taken))
            if not fresh:
                _warn_of_rule(route, rule, "all matches used by prior rules")
            named += fresh
    _warn_of_covered(named)


def _shown(name: str, number: int) -> str:
    return f'"{name}"' if name else f"#{number}"


def _warn_of_rule(route: IstioRoute, rule: str, reason: str) -> None:
    route.place.warn(f"virtualService rule {rule} not used ({reason})")


def _warn_of_match(one: _NamedMatch, match: str, other: str) -> None:
    one.match_request.place.warn(
        f"virtualService rule {one.rule} match {match} is not used"
        f" (duplicate/overlapping match in rule {other})"
    )


def _fresh(route: IstioRoute, rule: str, taken: dict[tuple[Any, ...], str]) -> Iterator[_NamedMatch]:
    """Iterate over the items of `match` that repeat no earlier one; warn of the others."""
    for number, match_request in enumerate(route.match_requests):
        one = _NamedMatch(rule, _shown(match_request.name, number), match_request)
        if match_request.conditions in taken:
            _warn_of_match(one, one.match, taken[match_request.conditions])
        else:
            taken[match_request.conditions] = rule
            yield one


def _warn_of_covered(named: Sequence[_NamedMatch]) -> None:
    """Warn of each prefix that an earlier, shorter one takes everything from."""
    by_prefix: dict[str, list[_NamedMatch]] = {}
    for one in named:
        prefix = _prefix(one.match_request)
        for end in range(1, len(prefix)):
            for earlier in by_prefix.get(prefix[:end], ()):
                if _covers(earlier.match_request, one.match_request):
                    _warn_of_match(
                        one,
                        f"{one.match} of prefix {prefix}",
                        f"{earlier.match} of prefix {prefix[:end]} on {earlier.rule}",
                    )
        if prefix:
            by_prefix.setdefault(prefix, []).append(one)


def _prefix(match_request: MatchRequest) -> str:
    return match_request.uri.value if match_request.uri and match_request.uri.kind == "prefix" else ""


def _covers(one: MatchRequest, other: MatchRequest) -> bool:
    return (
        one.port == other.port
        and _key(one.method, "GET").startswith(_key(other.method, "GET"))
        and _key(one.authority).startswith(_key(other.authority))
        and _all_cover(one.headers, other.headers)
        and _all_cover(one.query, other.query)
        and _all_cover(one.without_headers, other.without_headers)
    )


def _all_cover(some: Named, others: Named) -> bool:
    known = dict(others)
    return len(some) == len(others) and all(
        name in known and _key(value).startswith(_key(known[name])) for name, value in some
    )


def _key(value: StringMatch | None, default: str = "") -> str:
    if value and value.kind in {"exact", "prefix"}:
        return f"{value.kind}:{value.value}"
    return f"exact:{default}" if default else ""
