"""Reach: warnings of rules and matches that no request gets to (IST0130 and IST0131 of `istioctl analyze`).

Source: istio pkg/config/validation/validation.go (`analyzeUnreachableHTTPRules`, `coveredValidation`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from mirror_proxy.config.istio.match import Block, Named
from mirror_proxy.config.istio.route import HttpRoute
from mirror_proxy.config.model import StringMatch


@dataclass(frozen=True, slots=True)
class _Spot:
    """One block and how warnings call it and its rule."""

    rule: str
    match: str
    block: Block


def warn_of_unreachable(routes: Sequence[HttpRoute]) -> None:
    """Warn of each rule and match of one VirtualService that those before it leave nothing to."""
    open_rule: HttpRoute | None = None
    taken: dict[tuple[Any, ...], str] = {}
    spots: list[_Spot] = []
    for number, route in enumerate(routes):
        rule = _shown(route.name, number)
        if not route.blocks:
            if open_rule:
                _warn_of_rule(route, rule, "only the last rule can have no matches")
            open_rule = route
        elif open_rule:
            _warn_of_rule(route, rule, "route without matches defined before")
        else:
            fresh = list(_fresh(route, rule, taken))
            if not fresh:
                _warn_of_rule(route, rule, "all matches used by prior rules")
            spots += fresh
    _warn_of_covered(spots)


def _shown(name: str, number: int) -> str:
    return f'"{name}"' if name else f"#{number}"


def _warn_of_rule(route: HttpRoute, rule: str, reason: str) -> None:
    route.place.warn(f"virtualService rule {rule} not used ({reason})")


def _warn_of_match(spot: _Spot, match: str, other: str) -> None:
    spot.block.place.warn(
        f"virtualService rule {spot.rule} match {match} is not used"
        f" (duplicate/overlapping match in rule {other})"
    )


def _fresh(route: HttpRoute, rule: str, taken: dict[tuple[Any, ...], str]) -> Iterator[_Spot]:
    """Iterate over the blocks that no earlier one repeats; warn of the others."""
    for number, block in enumerate(route.blocks):
        spot = _Spot(rule, _shown(block.name, number), block)
        if block.conditions in taken:
            _warn_of_match(spot, spot.match, taken[block.conditions])
        else:
            taken[block.conditions] = rule
            yield spot


def _warn_of_covered(spots: Sequence[_Spot]) -> None:
    """Warn of each prefix that an earlier, shorter one takes everything from."""
    by_prefix: dict[str, list[_Spot]] = {}
    for spot in spots:
        prefix = _prefix(spot.block)
        for end in range(1, len(prefix)):
            for earlier in by_prefix.get(prefix[:end], ()):
                if _covers(earlier.block, spot.block):
                    _warn_of_match(
                        spot,
                        f"{spot.match} of prefix {prefix}",
                        f"{earlier.match} of prefix {prefix[:end]} on {earlier.rule}",
                    )
        if prefix:
            by_prefix.setdefault(prefix, []).append(spot)


def _prefix(block: Block) -> str:
    return block.uri.value if block.uri and block.uri.kind == "prefix" else ""


def _covers(one: Block, other: Block) -> bool:
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
