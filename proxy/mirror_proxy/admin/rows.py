"""The rows of `/routes`, `/mirrors` and `/config_dump`, made of the configuration in force and its overrides.

For thousands of routes that takes long: a thread makes them of a `ConfigCopy`, which does not change meanwhile.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Protocol

from mirror_proxy.admin.credentials import clean_problems, clean_value, without_credentials
from mirror_proxy.admin.interface import LoadedConfig, MirrorOverride, ProxySnapshot, RejectedReload, Row
from mirror_proxy.config.model import Config, FieldMatch, Match, MirrorPolicy, Route, StringMatch, VirtualHost
from mirror_proxy.mirror.sampling import MILLION, millionths
from mirror_proxy.overrides import ALL_MIRRORS
from mirror_proxy.telemetry.metrics import Report
from mirror_proxy.translate.envoy_cluster import clusters
from mirror_proxy.translate.envoy_route import route_configuration

_TYPE = "type.googleapis.com/envoy.admin.v3"


class ConfigSource(Protocol):
    """The configuration of a proxy and its overrides: a `ProxyInterface`, or a copy."""

    @property
    def loaded(self) -> LoadedConfig:
        """The configuration in force."""

    @property
    def refusal(self) -> RejectedReload | None:
        """The problems of the last reload, if it was refused."""

    def weights_of(self, route: str) -> tuple[Mapping[str, int], float | None]:
        """Return the overridden weights of a route, and the seconds until they expire."""

    def mirror_override(self, mirror: str) -> MirrorOverride:
        """Return the override of a mirror."""


class ConfigCopy:
    """A copy of a `ConfigSource` that any thread may read."""

    def __init__(self, proxy: ConfigSource) -> None:
        self.loaded = proxy.loaded
        self.refusal = proxy.refusal
        routes = list(self.loaded.config.routes())
        names = {mirror.name for route in routes for mirror in route.mirrors}
        self._weights = {route.name: proxy.weights_of(route.name) for route in routes}
        self._mirror_overrides = {name: proxy.mirror_override(name) for name in {*names, ALL_MIRRORS}}

    def weights_of(self, route: str) -> tuple[Mapping[str, int], float | None]:
        """Return the overridden weights of a route, and the seconds until they expire."""
        return self._weights[route]

    def mirror_override(self, mirror: str) -> MirrorOverride:
        """Return the override of a mirror."""
        return self._mirror_overrides[mirror]

    @property
    def mirrors(self) -> Mapping[str, MirrorOverride]:
        """The override of each mirror, and of `ALL_MIRRORS`."""
        return self._mirror_overrides


def routes(proxy: ConfigSource, only: str | None = None) -> list[Row]:
    """Return a row for each route, or for those named `only`: virtual host, conditions and destinations."""
    return [
        _route(proxy, host, route)
        for host in proxy.loaded.config.virtual_hosts
        for route in host.routes
        if only in {None, route.name}
    ]


def _route(proxy: ConfigSource, host: VirtualHost, route: Route) -> Row:
    weights, left_s = proxy.weights_of(route.name)
    row: Row = {
        "name": route.name,
        "virtual_host": host.name,
        "domains": list(host.domains),
        "matches": [_match(match) for match in route.matches] or ["everything"],
        "destinations": [
            {
                "name": one.name,
                "cluster": one.cluster,
                "weight": weights.get(one.name, one.weight),
                "file_weight": one.weight,
            }
            for one in route.destinations
        ],
        "mirrors": [mirror.name for mirror in route.mirrors if not mirror.is_baseline],
        "overridden": bool(weights),
    }
    if left_s is not None:
        row["ends_in_s"] = round(left_s, 1)
    return row


def mirrors(proxy: ConfigSource, snapshot: ProxySnapshot, only: str | None = None) -> Row:
    """Return a row for each mirror, or for the one named `only`: its percent, and the outcomes of its requests.

    `all_paused` includes mirrors that a reload adds. `ends_in_s` is the time until the mirror's pause expires, or
    without a pause, its percent.
    """
    seen = {row["name"]: row for row in snapshot.mirrors}
    ends = _outcomes(snapshot.report)
    found = {
        mirror.name: _mirror(proxy, ends.get(mirror.name, {}), route.name, mirror) | seen.get(mirror.name, {})
        for route in proxy.loaded.config.routes()
        for mirror in route.mirrors
        if only in {None, mirror.name}
    }
    return {"mirrors": list(found.values()), "all_paused": proxy.mirror_override(ALL_MIRRORS).paused}


def _mirror(proxy: ConfigSource, outcomes: Mapping[str, float], route: str, policy: MirrorPolicy) -> Row:
    mirror_override = proxy.mirror_override(policy.name)
    file_percent = round(policy.percent, 4)
    row: Row = {
        "name": policy.name,
        "route": route,
        "cluster": policy.cluster,
        "role": policy.role,
        "percent": file_percent if mirror_override.percent is None else mirror_override.percent,
        "file_percent": file_percent,
        "overridden": mirror_override.percent is not None,
        "paused": mirror_override.paused,
        "outcomes": dict(sorted(outcomes.items())),
    }
    if mirror_override.left_s is not None:
        row["ends_in_s"] = round(mirror_override.left_s, 1)
    return row


def _outcomes(report: Report) -> dict[str, dict[str, float]]:
    """Return the outcomes of each mirror, by its name, in one pass over all counts."""
    found: dict[str, dict[str, float]] = {}
    for (_, mirror, outcome), count in report.get("mirror_requests_total", {}).items():
        if count and not isinstance(count, list):
            mine = found.setdefault(mirror, {})
            mine[outcome] = mine.get(outcome, 0) + count
    return found


def _match(match: Match) -> str:
    """Return the conditions of a match in short: `path prefix /a, method GET, header x-user exact jason`."""
    fields = (
        ("path", match.path),
        ("method", match.method),
        ("authority", match.authority),
        ("scheme", match.scheme),
    )
    said = [f"{name} {_string(value)}" for name, value in fields if value is not None]
    said += [_field("header", field) for field in match.headers]
    said += [_field("query", field) for field in match.query]
    if match.port is not None:
        said.append(f"port {match.port}")
    return ", ".join(said) or "everything"


def _field(what: str, field: FieldMatch) -> str:
    value = clean_value(field.name, field.value.value, is_header=what == "header")
    shown = dataclasses.replace(field.value, value=value)
    return f"{what} {field.name} {'not ' if field.invert else ''}{_string(shown)}"


def _string(match: StringMatch) -> str:
    fold = " (any case)" if match.ignore_case else ""
    return match.kind if match.kind == "present" else f"{match.kind} {match.value}{fold}"


def config_dump(proxy: ConfigSource) -> Row:
    """Return the configuration in force in the form of Envoy's `/config_dump`, without credentials.

    Its proto is api/envoy/admin/v3/config_dump_shared.proto. A refused reload is the routes' `error_state`, with a line
    in `details` for each problem.
    """
    loaded, refusal = proxy.loaded, proxy.refusal
    since = _time(loaded.since)
    config = _as_steered(proxy)
    version = {"version_info": str(loaded.generation), "last_updated": since}
    of_routes: Row = {
        **version,
        "route_config": without_credentials(route_configuration(config)),
        "client_status": "ACKED",
    }
    if refusal is not None:
        of_routes["client_status"] = "NACKED"
        of_routes["error_state"] = {
            "last_update_attempt": _time(refusal.time),
            "details": clean_problems("\n".join(refusal.problems)),
        }
    return {
        "configs": [
            {
                "@type": f"{_TYPE}.ClustersConfigDump",
                "version_info": str(loaded.generation),
                "dynamic_active_clusters": [
                    {**version, "cluster": without_credentials(cluster)} for cluster in clusters(config)
                ],
            },
            {"@type": f"{_TYPE}.RoutesConfigDump", "dynamic_route_configs": [of_routes]},
        ]
    }


def _as_steered(proxy: ConfigSource) -> Config:
    """Return the configuration in force with its overrides applied."""
    config = proxy.loaded.config
    hosts = tuple(
        dataclasses.replace(host, routes=tuple(_steered_route(proxy, route) for route in host.routes))
        for host in config.virtual_hosts
    )
    return dataclasses.replace(config, virtual_hosts=hosts)


def _steered_route(proxy: ConfigSource, route: Route) -> Route:
    weights, _ = proxy.weights_of(route.name)
    destinations = tuple(
        dataclasses.replace(one, weight=weights.get(one.name, one.weight)) for one in route.destinations
    )
    mirrors = tuple(_steered_mirror(proxy, mirror) for mirror in route.mirrors)
    return dataclasses.replace(route, destinations=destinations, mirrors=mirrors)


def _steered_mirror(proxy: ConfigSource, policy: MirrorPolicy) -> MirrorPolicy:
    """Return the policy with its override applied: a paused mirror has the numerator 0."""
    mirror_override = proxy.mirror_override(policy.name)
    if mirror_override.paused:
        return dataclasses.replace(policy, numerator=0)
    if mirror_override.percent is None:
        return policy
    return dataclasses.replace(policy, numerator=millionths(mirror_override.percent), denominator=MILLION)


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, tz=UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
