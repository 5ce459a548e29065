"""Settings: the `MirrorProxy` document, and the limits of mirrors."""

from __future__ import annotations

from dataclasses import dataclass, field

from mirror_proxy.config.model.compare import Compare
from mirror_proxy.config.model.value import Address, HashKey, HeaderOps, Share

#: From the most to the least that is logged.
LOG_LEVELS = ("debug", "info", "warning", "error")
LOG_FORMATS = ("text", "json")


@dataclass(frozen=True, slots=True)
class ServerCertificate:
    """The files of a certificate chain and its key."""

    cert_file: str
    key_file: str


@dataclass(frozen=True, slots=True)
class ListenerTls:
    """Certificates of a listener; with `client_ca_file`, clients must present one too.

    SNI chooses among all; without a match, the certificate of `cert_file` is presented.
    """

    cert_file: str
    key_file: str
    client_ca_file: str | None = None
    certificates: tuple[ServerCertificate, ...] = ()

    def all_certificates(self) -> tuple[ServerCertificate, ...]:
        """Return the default certificate and the others."""
        return (ServerCertificate(self.cert_file, self.key_file), *self.certificates)

    def files(self) -> list[str]:
        """Return all files."""
        files = [file for one in self.all_certificates() for file in (one.cert_file, one.key_file)]
        return files if self.client_ca_file is None else [*files, self.client_ca_file]


@dataclass(frozen=True, slots=True)
class ProxyProtocol:
    """The networks whose connections must begin with a header of the PROXY protocol; a unix socket's all must."""

    networks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Listener:
    """One address that accepts traffic."""

    address: Address
    tls: ListenerTls | None = None
    proxy_protocol: ProxyProtocol | None = None

    @property
    def port(self) -> int:
        """The port, of a unix socket its scheme's default."""
        if self.address.is_unix:
            return 80 if self.tls is None else 443
        return self.address.port


@dataclass(frozen=True, slots=True)
class Admin:
    """The admin server's address; `token_file` holds the bearer token that changes need."""

    address: Address = Address("127.0.0.1", 9901)
    token_file: str | None = None


@dataclass(frozen=True, slots=True)
class Drain:
    """How a process drains: it accepts for `delay_s`, and ends after at most `grace_s` in all."""

    delay_s: float = 5.0
    grace_s: float = 30.0


@dataclass(frozen=True, slots=True)
class Limits:
    """Caps on what one client or one response may cost."""

    max_head_bytes: int = 64 * 1024
    max_headers: int = 100
    head_timeout_s: float = 30.0
    idle_timeout_s: float = 60.0
    stream_idle_timeout_s: float = 300.0  # 0: none
    max_connections: int = 10_000
    retry_buffer_bytes: int = 64 * 1024
    max_response_head_bytes: int = 64 * 1024


@dataclass(frozen=True, slots=True)
class Http1:
    """The parts of HTTP/1.1 that are forwarded."""

    trailers: bool = False


@dataclass(frozen=True, slots=True)
class Log:
    """The log of each process: its format, and its least level."""

    format: str = "text"
    level: str = "info"


@dataclass(frozen=True, slots=True)
class Breaker:
    """When a circuit breaker opens: after this many failures in a row; after `open_for_s` it lets one probe through."""

    consecutive_failures: int = 20
    open_for_s: float = 10.0


@dataclass(frozen=True, slots=True)
class Mirroring:
    """The limits of one mirror, which Istio's documents cannot express."""

    methods: frozenset[str] | None = None  # None: every method
    timeout_s: float = 5.0
    connect_timeout_s: float = 1.0
    max_in_flight: int = 256
    max_lag_bytes: int | None = None  # None: as far as the worker's budget has room
    breaker: Breaker = Breaker()
    max_per_second: float = 0.0  # 0: no cap
    headers: HeaderOps = HeaderOps()
    mark: bool = True
    host: str = "primary"  # or upstream: the mirror's own address; or a literal
    path: str | tuple[str, str] = ""  # put before the path; or an RE2 pattern and its substitution
    body: bool = True
    max_body_bytes: int | None = None
    max_bytes_per_second: int | None = None  # of all workers together


@dataclass(frozen=True, slots=True)
class Shed:
    """Limits on the latency of a worker's loop, above which it stops mirroring for a while; 0: no limit.

    `loop_lag_s`: how late its loop may be at worst; `added_latency_s`: what waiting for the loop may add to a
    request on the average.
    """

    loop_lag_s: float = 0.25
    added_latency_s: float = 0.05


@dataclass(frozen=True, slots=True)
class Tracing:
    """Where spans are exported; without an endpoint there are none, and trace headers are forwarded unchanged.

    A request that comes with a decision is sampled by that; of the others, `share` is. Of the shadows of sampled
    requests `mirrors` are sampled; None: all. `otlp_endpoint` is the URL of an OTLP/HTTP collector, without
    `/v1/traces`.
    """

    otlp_endpoint: str = ""
    share: Share = Share(0)
    mirrors: Share | None = Share(0)


@dataclass(frozen=True, slots=True)
class Memory:
    """Limits on memory besides those of `mirroring`; smaller where the memory of the proxy is limited.

    `heads_bytes`: all requests of a worker that have not begun; `replays_bytes`: all bodies that a worker keeps for
    another attempt; `captures_bytes`: what a worker keeps of responses that are to be
    compared; `comparer_bytes`: pairs and examples that wait in the comparer.
    """

    heads_bytes: int = 32 * 1024 * 1024
    replays_bytes: int = 64 * 1024 * 1024
    captures_bytes: int = 16 * 1024 * 1024
    comparer_bytes: int = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of a `MirrorProxy` document, with their defaults."""

    name: str = "mirror-proxy"
    listeners: tuple[Listener, ...] = (Listener(Address("0.0.0.0", 8080)),)
    admin: Admin = Admin()
    metrics: Address | None = None
    workers: int = 1  # 0: from the CPU limit
    #: The number of workers that run; the supervisor sets it.
    worker_count: int = field(default=1, compare=False)
    drain: Drain = Drain()
    upgrades: frozenset[str] = frozenset({"websocket"})
    path_normalization: str = "base"  # none, base, merge_slashes, decode_and_merge_slashes
    xff_num_trusted_hops: int = 0
    via: bool = False
    forward_client_cert: str = (
        "sanitize"  # sanitizeSet, appendForward, forwardOnly: Envoy's, on mTLS listeners
    )
    max_buffered_bytes: int = 64 * 1024 * 1024  # all shadows of one worker
    #: Whether that was configured; else it depends on the machine.
    is_buffer_given: bool = field(default=False, compare=False)
    memory: Memory = Memory()
    mark_key_file: str | None = None
    limits: Limits = Limits()
    log: Log = Log()
    http1: Http1 = Http1()
    access_log: str | None = None  # a path, "-" for standard output, None: off
    sticky: HashKey | None = None  # None: a random draw for each request; else its hash, where it has one
    exact: bool = False  # mirrors get exactly their share of each route's requests, evenly spread
    shed: Shed = Shed()
    compare: Compare = Compare()
    tracing: Tracing = Tracing()
