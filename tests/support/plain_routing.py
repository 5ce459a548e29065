"""Routing in one spelling: what is the same to a request is the same here, however a dialect says it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from mirror_proxy.config.model import Config, Match, Route, StringMatch, VirtualHost


def plain_routing(config: Config) -> tuple[Any, ...]:
    """Return what a configuration does to requests, each thing in one of the ways in which it can be said."""
    return tuple(map(_plain_host, config.virtual_hosts)), config.clusters


def _plain_host(host: VirtualHost) -> VirtualHost:
    return replace(host, domains=tuple(sorted(host.domains)), routes=tuple(map(_plain_route, host.routes)))


def _plain_route(route: Route) -> Route:
    matches = [one for match in route.matches for one in _plain_matches(match)]
    return replace(route, matches=() if matches == [Match()] else tuple(matches))


def _plain_matches(match: Match) -> list[Match]:
    """Return a match without a path that every request has, a prefix of segments as the two that it is."""
    path = match.path
    match = replace(
        match,
        headers=tuple(sorted(match.headers, key=lambda field: field.name)),
        query=tuple(sorted(match.query, key=lambda field: field.name)),
    )
    if path is None or path == StringMatch("prefix", "/"):
        return [replace(match, path=None)]
    if path.kind != "segments":
        return [match]
    return [
        replace(match, path=replace(path, kind="exact")),
        replace(match, path=replace(path, kind="prefix", value=f"{path.value}/")),
    ]
