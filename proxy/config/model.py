"""The internal model: what every dialect is translated into and what a snapshot is compiled from.

Frozen, plain and picklable: the supervisor loads it once and hands it to each worker through the control
pipe. Names are Envoy's; durations end in `_s`, sizes in `_bytes`. Values here are valid: the loader has
already refused everything that is not, so no reader of the model checks again.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field


def is_ip(host: str) -> bool:
    """Tell whether `host` is an IP literal (without brackets)."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


@dataclass(frozen=True, slots=True)
class Address:
    """A host (DNS name or IP literal without brackets) and a port."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class ListenerTls:
    """Certificate of a listener; with `client_ca_file`, clients must present one too."""

    cert_file: str
    key_file: str
    client_ca_file: str | None = None


@dataclass(frozen=True, slots=True)
class Listener:
    """One address that accepts traffic."""

    address: Address
    tls: ListenerTls | None = None


@dataclass(frozen=True, slots=True)
class Admin:
    """Where the admin server listens; `token_file` holds the bearer token that changes need."""

    address: Address
    token_file: str | None = None


@dataclass(frozen=True, slots=True)
class Drain:
    """How a process leaves: accept for `delay_s` more, then at most `grace_s` in all."""

    delay_s: float = 5.0
    grace_s: float = 30.0


@dataclass(frozen=True, slots=True)
class Limits:
    """Caps on what one client may cost."""

    max_head_bytes: int = 64 * 1024
    max_headers: int = 100
    head_timeout_s: float = 30.0
    idle_timeout_s: float = 60.0
    max_connections: int = 10_000
    retry_buffer_bytes: int = 64 * 1024


@dataclass(frozen=True, slots=True)
class HeaderOps:
    """Header changes, applied in Envoy's order: remove, set, add. Names are lower case."""

    remove: tuple[str, ...] = ()
    set: tuple[tuple[str, str], ...] = ()
    add: tuple[tuple[str, str], ...] = ()

    def __bool__(self) -> bool:
        return bool(self.remove or self.set or self.add)


@dataclass(frozen=True, slots=True)
class Breaker:
    """Open after so many failures in a row; after `open_for_s` let one probe through."""

    consecutive_failures: int = 20
    open_for_s: float = 10.0


@dataclass(frozen=True, slots=True)
class Mirroring:
    """The safety around one mirror, beyond what Istio has words for."""

    methods: frozenset[str] | None = None  # None: every method
    timeout_s: float = 5.0
    connect_timeout_s: float = 1.0
    max_in_flight: int = 256
    max_lag_bytes: int = 1024 * 1024
    breaker: Breaker = Breaker()
    max_per_second: float = 0.0  # 0: no cap
    headers: HeaderOps = HeaderOps()
    mark: bool = True


@dataclass(frozen=True, slots=True)
class UpstreamTls:
    """TLS towards an upstream. `sni` None: the cluster's host; `ca_file` None: the system's CAs."""

    sni: str | None = None
    ca_file: str | None = None
    cert_file: str | None = None
    key_file: str | None = None
    verify: bool = True


@dataclass(frozen=True, slots=True)
class Cluster:
    """A named upstream: one host, resolved in the background to one or more endpoints.

    `name` is Istio's: `outbound|<port>|<subset>|<fqdn>`. `max_*` None: no cap. A mirror's cluster is
    always separate from a primary's, even on the same address, so that they share no connection.
    """

    name: str
    address: Address
    tls: UpstreamTls | None = None
    connect_timeout_s: float = 10.0
    idle_timeout_s: float = 60.0
    max_connections: int | None = None
    max_pending: int | None = None


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Istio's default: two more tries when nothing was sent (connect failure)."""

    attempts: int = 2
    per_try_timeout_s: float | None = None


@dataclass(frozen=True, slots=True)
class MirrorPolicy:
    """One mirror of a route. Fires when `draw % denominator < numerator`."""

    name: str
    cluster: str
    numerator: int = 100
    denominator: int = 100
    mirroring: Mirroring = Mirroring()
    host_suffix: bool = True


@dataclass(frozen=True, slots=True)
class Destination:
    """Where a route's requests go; `name` is the label shown in metrics and logs."""

    name: str
    cluster: str
    weight: int = 1


@dataclass(frozen=True, slots=True)
class Route:
    """One route of a virtual host."""

    name: str
    destinations: tuple[Destination, ...]
    mirrors: tuple[MirrorPolicy, ...] = ()
    timeout_s: float | None = None
    retries: RetryPolicy = RetryPolicy()
    request_headers: HeaderOps = HeaderOps()
    response_headers: HeaderOps = HeaderOps()


@dataclass(frozen=True, slots=True)
class VirtualHost:
    """Hosts that share a list of routes. Domains are lower case; `*` takes every host."""

    name: str
    domains: tuple[str, ...]
    routes: tuple[Route, ...]


@dataclass(frozen=True, slots=True)
class Settings:
    """What a `MirrorProxy` document says, with its defaults."""

    name: str = "mirror-proxy"
    listeners: tuple[Listener, ...] = (Listener(Address("0.0.0.0", 8080)),)
    admin: Admin = Admin(Address("127.0.0.1", 9901))
    metrics: Address | None = None
    workers: int = 1  # 0: from the CPU limit
    drain: Drain = Drain()
    upgrades: frozenset[str] = frozenset({"websocket"})
    path_normalization: str = "base"  # none, base, merge_slashes, decode_and_merge_slashes
    xff_num_trusted_hops: int = 0
    via: bool = False
    max_buffered_bytes: int = 64 * 1024 * 1024  # all shadows of one worker
    mark_key_file: str | None = None
    limits: Limits = Limits()
    access_log: str | None = None  # a path, "-" for standard output, None: off


@dataclass(frozen=True, slots=True)
class Config:
    """Everything one generation of the proxy runs on."""

    settings: Settings
    clusters: tuple[Cluster, ...]
    virtual_hosts: tuple[VirtualHost, ...]
    warnings: tuple[str, ...] = field(default=(), compare=False)
