"""Precedence: the order in which the rules of all HTTPRoutes are tried, host by host.

The most specific match comes first, in whichever document it is. Sources: kubernetes-sigs/gateway-api
apis/v1/httproute_types.go (HTTPRouteRule.matches), istio pilot/pkg/config/kube/gateway/conversion.go
(`sortHTTPRoutes`: regular expressions after prefixes) and route.go (`SortVHostRoutes`: what takes all, last).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from mirror_proxy.config.model import Match
from mirror_proxy.config.node import Place
from mirror_proxy.config.rules import HostRule, RouteRule

RANKS = {"exact": 0, "segments": 1, "prefix": 1, "regex": 2}
NEVER = "~"  # sorts after every timestamp


@dataclass(frozen=True, slots=True)
class RuleMatch:
    """One match as written, and the model's matches that it becomes."""

    written: Match
    conditions: tuple[Match, ...]


@dataclass(frozen=True, slots=True)
class HttpRouteRule:
    """One rule: what becomes of a request (`route`, without matches) that one of its matches takes."""

    route: RouteRule
    matches: tuple[RuleMatch, ...]


@dataclass(frozen=True, slots=True)
class HttpRoute:
    """One HTTPRoute; `created` is its timestamp as written, or empty."""

    place: Place
    name: str
    namespace: str
    created: str
    hosts: tuple[str, ...]
    rules: tuple[HttpRouteRule, ...]

    @property
    def age(self) -> tuple[str, str]:
        """The order of equally specific matches: the oldest, then the first by name."""
        return self.created or NEVER, f"{self.namespace}/{self.name}"


def specificity(match: Match) -> tuple[int, ...]:
    """Return how specific a match is; the smaller, the earlier it is tried."""
    path = match.path
    return (
        int(match.is_catch_all),
        RANKS[path.kind] if path else 1,
        -len(path.value) if path else -1,
        int(match.method is None),
        -len(match.headers),
        -len(match.query),
    )


def host_rules(routes: Sequence[HttpRoute]) -> list[HostRule]:
    """Return one HostRule for all hosts that the same HTTPRoutes name, its rules in the order of trying."""
    by_host: dict[str, list[HttpRoute]] = {}
    for route in sorted(routes, key=lambda route: route.age):
        for host in dict.fromkeys(route.hosts):
            by_host.setdefault(host, []).append(route)
    hosts_of: dict[tuple[int, ...], list[str]] = {}
    for host, sharing in by_host.items():
        hosts_of.setdefault(tuple(map(id, sharing)), []).append(host)
    return [_host_rule(hosts, by_host[hosts[0]]) for hosts in hosts_of.values()]


def _host_rule(hosts: Sequence[str], routes: Sequence[HttpRoute]) -> HostRule:
    return HostRule(
        place=routes[0].place,
        name="+".join(dict.fromkeys(route.name for route in routes)),
        namespace=routes[0].namespace,
        hosts=tuple(hosts),
        routes=tuple(_ordered([rule for route in routes for rule in route.rules])),
    )


def _ordered(rules: Sequence[HttpRouteRule]) -> Iterator[RouteRule]:
    """Yield each rule at the place of its matches; one whose matches are tried apart is yielded in parts."""
    tried = sorted(
        ((rule, number, match) for rule in rules for number, match in enumerate(rule.matches)),
        key=lambda trial: specificity(trial[2].written),
    )
    runs = [list(run) for _, run in itertools.groupby(tried, key=lambda trial: id(trial[0]))]
    parts: dict[int, int] = {}
    for run in runs:
        parts[id(run[0][0])] = parts.get(id(run[0][0]), 0) + 1
    for run in runs:
        rule, number, _ = run[0]
        name = rule.route.name if parts[id(rule)] == 1 else f"{rule.route.name}.{number}"
        matches = tuple(one for _, _, match in run for one in match.conditions)
        yield replace(rule.route, name=name, matches=matches)
