"""Health checks: the part of the settings that says which primaries are checked, and how."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from mirror_proxy.config.istio.names import DESTINATION_HOST, fqdn
from mirror_proxy.config.model import Cluster, HealthCheck, HttpHealthCheck
from mirror_proxy.config.node import Place
from mirror_proxy.config.problems import did_you_mean
from mirror_proxy.config.schema import Field, ListOf, Record, Scalar, duration, whole


@dataclass(frozen=True, slots=True)
class HealthChecks:
    """Checks by the host of a primary, as written until `in_namespace` has completed short ones."""

    by_host: tuple[tuple[str, HealthCheck], ...] = ()

    def in_namespace(self, namespace: str) -> HealthChecks:
        """Return the same, with short hosts completed by `namespace`."""
        return HealthChecks(tuple((_normal(fqdn(host, namespace)), check) for host, check in self.by_host))

    def of(self, cluster: Cluster) -> HealthCheck | None:
        """Return the check of a primary's cluster."""
        return dict(self.by_host).get(_host_of(cluster)) if self.by_host else None


def _normal(host: str) -> str:
    return host.lower().removesuffix(".")


def _host_of(cluster: Cluster) -> str:
    """Return the full name of a cluster's host, which its name ends with."""
    return _normal(cluster.name.rpartition("|")[2])


def _path(text: str) -> str:
    if not re.fullmatch(r"/[!-\"$-~]*", text):
        raise ValueError(f'"{text}" is not a path; write such as /healthz')
    return text


def _check(
    host: str, http: HttpHealthCheck | None = None, tcp: Any = None, **limits: Any
) -> tuple[str, HealthCheck]:
    if (http is None) == (tcp is None):
        raise ValueError("needs either http or tcp: {}")
    return host, HealthCheck(http, **limits)


HTTP = Record(
    HttpHealthCheck,
    (
        Field(
            "path", "path", Scalar(("string",), _path), "Path of the GET, such as /healthz.", required=True
        ),
        Field(
            "expectedStatuses",
            "expected_statuses",
            ListOf(whole(200, 599), build=frozenset, at_least=1),
            "Statuses that pass; any other makes the endpoint unhealthy at once.",
            [200],
        ),
    ),
    is_whole=True,
)
HEALTH_CHECK = Record(
    _check,
    (
        Field(
            "host", "host", DESTINATION_HOST, "Host of a primary, as its destination names it.", required=True
        ),
        Field("http", "http", HTTP, "Check by a GET."),
        Field("tcp", "tcp", Record(dict, ()), "Check by a connection, with TLS where the primary has it."),
        Field(
            "interval",
            "interval_s",
            duration(),
            "Time between the end of a check and the next, per worker.",
            "5s",
        ),
        Field("timeout", "timeout_s", duration(), "How long a check may take.", "1s"),
        Field(
            "unhealthyThreshold",
            "unhealthy_threshold",
            whole(1, 1000),
            "Failures in a row after which an endpoint is unhealthy; the first check of all decides at once.",
            3,
        ),
        Field(
            "healthyThreshold",
            "healthy_threshold",
            whole(1, 1000),
            "Passes in a row after which it is healthy again.",
            2,
        ),
    ),
    is_whole=True,
)
HEALTH_CHECKS = ListOf(HEALTH_CHECK, build=HealthChecks)


def check_hosts(document: Place, checks: HealthChecks, primaries: Iterable[Cluster]) -> None:
    """Report each check whose host is no primary's, or has a check already."""
    if not checks.by_host:
        return
    clusters = list(primaries)
    known = {_host_of(cluster) for cluster in clusters}
    written = sorted({cluster.host for cluster in clusters})
    seen: set[str] = set()
    places = document.at("spec").at("healthChecks").items()
    for (host, _), place in zip(checks.by_host, places, strict=True):
        where = place.at("host")
        if host in seen:
            where.refuse(f'"{where.node.value}" has a health check already', "a host has one check")
        elif host not in known:
            hint = did_you_mean(where.node.value, written) or f"primaries are: {', '.join(written)}"
            where.refuse(f'no primary has the host "{where.node.value}"', hint)
        seen.add(host)
