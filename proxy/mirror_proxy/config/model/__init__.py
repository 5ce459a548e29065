"""The internal model: what every dialect is translated into and what a snapshot is compiled from.

Frozen, plain and picklable: the supervisor loads it once and hands it to each worker through the control
pipe. Names are Envoy's; durations end in `_s`, sizes in `_bytes`. Values here are valid: the loader has
already refused everything that is not, so no reader of the model checks again.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from mirror_proxy.config.model.cluster import (
    Balancer,
    Cluster,
    Endpoint,
    HealthCheck,
    HttpHealthCheck,
    OutlierDetection,
    TcpKeepalive,
    UpstreamTls,
)
from mirror_proxy.config.model.compare import (
    Compare,
    EndpointTemplate,
    FieldRule,
    ItemKey,
    RepeatSafe,
    StoreLimits,
    Thresholds,
    Tolerance,
)
from mirror_proxy.config.model.route import (
    STATUS_CODES,
    CorsPolicy,
    Destination,
    DirectResponse,
    Fault,
    FieldMatch,
    Match,
    MirrorPolicy,
    Redirect,
    RetryPolicy,
    Rewrite,
    Route,
    StringMatch,
    VirtualHost,
)
from mirror_proxy.config.model.settings import (
    LOG_FORMATS,
    LOG_LEVELS,
    Admin,
    Breaker,
    Drain,
    Http1,
    Limits,
    Listener,
    ListenerTls,
    Log,
    Memory,
    Mirroring,
    ProxyProtocol,
    ServerCertificate,
    Settings,
    Shed,
    Tracing,
)
from mirror_proxy.config.model.value import (
    Address,
    HashKey,
    HeaderOps,
    Share,
    is_ip,
    is_unix,
)

__all__ = [
    "LOG_FORMATS",
    "LOG_LEVELS",
    "STATUS_CODES",
    "Address",
    "Admin",
    "Balancer",
    "Breaker",
    "Cluster",
    "Compare",
    "Config",
    "ConfigPart",
    "CorsPolicy",
    "Destination",
    "DirectResponse",
    "Drain",
    "Endpoint",
    "EndpointTemplate",
    "Fault",
    "FieldMatch",
    "FieldRule",
    "HashKey",
    "HeaderOps",
    "HealthCheck",
    "Http1",
    "HttpHealthCheck",
    "ItemKey",
    "Limits",
    "Listener",
    "ListenerTls",
    "Log",
    "Match",
    "Memory",
    "MirrorPolicy",
    "Mirroring",
    "OutlierDetection",
    "ProxyProtocol",
    "Redirect",
    "RepeatSafe",
    "RetryPolicy",
    "Rewrite",
    "Route",
    "ServerCertificate",
    "Settings",
    "Share",
    "Shed",
    "StoreLimits",
    "StringMatch",
    "TcpKeepalive",
    "Thresholds",
    "Tolerance",
    "Tracing",
    "UpstreamTls",
    "VirtualHost",
    "is_ip",
    "is_unix",
]

#: Some clusters and some virtual hosts, perhaps with some of their routes only.
ConfigPart = tuple[tuple[Cluster, ...], tuple[VirtualHost, ...]]


@dataclass(frozen=True, slots=True)
class Config:
    """Everything one generation of the proxy runs on."""

    settings: Settings
    clusters: tuple[Cluster, ...]
    virtual_hosts: tuple[VirtualHost, ...]
    warnings: tuple[str, ...] = field(default=(), compare=False)

    def routes(self) -> Iterator[Route]:
        """Yield the routes of all virtual hosts, in their order."""
        for host in self.virtual_hosts:
            yield from host.routes

    def without_baselines(self) -> Config:
        """Return the same without baselines: mirrors that only show how responses of one version differ."""
        baselines = {
            mirror.cluster for route in self.routes() for mirror in route.mirrors if mirror.is_baseline
        }
        if not baselines:
            return self
        return replace(
            self,
            clusters=tuple(cluster for cluster in self.clusters if cluster.name not in baselines),
            virtual_hosts=tuple(_without(host, baselines) for host in self.virtual_hosts),
        )


def _without(host: VirtualHost, clusters: set[str]) -> VirtualHost:
    routes = (
        replace(route, mirrors=tuple(one for one in route.mirrors if one.cluster not in clusters))
        for route in host.routes
    )
    return replace(host, routes=tuple(routes))
