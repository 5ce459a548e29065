"""Clusters: upstreams, with how an endpoint is chosen and connected to."""

from __future__ import annotations

from dataclasses import dataclass

from mirror_proxy.config.model.value import Address, HashKey
from mirror_proxy.http1.proxy_protocol import ProxyVersion

#: Envoy's `healthy_panic_threshold`.
PANIC_PERCENT = 50


@dataclass(frozen=True, slots=True)
class UpstreamTls:
    """TLS towards an upstream. `sni` None: the cluster's host; `ca_file` None: the system's CAs.

    With `subject_alt_names` the certificate must bear one of them, in place of the server's name.
    """

    sni: str | None = None
    ca_file: str | None = None
    cert_file: str | None = None
    key_file: str | None = None
    crl_file: str | None = None
    subject_alt_names: tuple[str, ...] = ()
    verify: bool = True


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One endpoint of a cluster; a DNS name means all the addresses that it resolves to."""

    address: Address
    weight: int = 1


@dataclass(frozen=True, slots=True)
class Balancer:
    """How an endpoint is chosen: `least_request` (of two), `round_robin`, `random` or `hash` (of `key`)."""

    policy: str = "least_request"
    key: HashKey | None = None


@dataclass(frozen=True, slots=True)
class OutlierDetection:
    """When an endpoint is ejected for a while (Envoy's `OutlierDetection`); a count of 0 is off.

    With `splits_local_origin`, faults of ours in reaching it (`consecutive_local_origin`) count apart from
    its own 5xx; otherwise they count among them, as the status they become.
    """

    consecutive_5xx: int = 5
    consecutive_gateway: int = 0
    consecutive_local_origin: int = 5
    splits_local_origin: bool = False
    interval_s: float = 10.0
    base_ejection_s: float = 30.0
    max_ejection_percent: int = 10
    min_health_percent: int = 0


@dataclass(frozen=True, slots=True)
class HttpHealthCheck:
    """A GET of `path` that passes with one of `expected_statuses`."""

    path: str
    expected_statuses: frozenset[int] = frozenset({200})


@dataclass(frozen=True, slots=True)
class HealthCheck:
    """Active checks of each endpoint (Envoy's `HealthCheck`); `http` None: accepting a connection passes."""

    http: HttpHealthCheck | None = None
    interval_s: float = 5.0
    timeout_s: float = 1.0
    unhealthy_threshold: int = 3
    healthy_threshold: int = 2


@dataclass(frozen=True, slots=True)
class TcpKeepalive:
    """SO_KEEPALIVE towards an upstream; None: the kernel's value."""

    probes: int | None = None
    time_s: float | None = None
    interval_s: float | None = None


@dataclass(frozen=True, slots=True)
class Cluster:
    """A named upstream: endpoints with one way of choosing among them and one of connecting to them.

    `name` is Istio's: `outbound|<port>|<subset>|<fqdn>`. `host` is as written by its destination, for SNI and for a
    request without Host. `max_*` None: no cap. Without endpoints, requests get 503 (UH). A mirror's
    cluster is always separate from a primary's, even on the same address, so that they share no connection; it has no
    health check. `proxy_protocol` is the version of the PROXY protocol's header that begins every connection.
    """

    name: str
    host: str
    endpoints: tuple[Endpoint, ...]
    tls: UpstreamTls | None = None
    connect_timeout_s: float = 10.0
    idle_timeout_s: float = 60.0
    keepalive: TcpKeepalive | None = None
    max_connection_duration_s: float | None = None
    max_connections: int | None = None
    max_pending: int | None = None
    max_requests: int | None = None
    max_requests_per_connection: int | None = None
    balancer: Balancer = Balancer()
    outlier: OutlierDetection | None = None
    health_check: HealthCheck | None = None
    proxy_protocol: ProxyVersion | None = None

    @property
    def authority(self) -> str:
        """The Host of a request that brings none."""
        port = self.endpoints[0].address.port if self.endpoints else 80
        return str(Address(self.host, port)) if port else self.host

    @property
    def panic_percent(self) -> int:
        """The share of healthy endpoints below which all are used: Istio's where it says one, else Envoy's default."""
        if self.outlier is not None:
            return self.outlier.min_health_percent
        return PANIC_PERCENT if self.health_check is not None else 0
