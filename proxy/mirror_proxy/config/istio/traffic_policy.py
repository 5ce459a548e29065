"""TrafficPolicy: connection settings of a DestinationRule, for a host, a subset or a port.

Four components, read in this order: load balancer, connection pool, outlier detection, TLS. Each becomes fields of a
Cluster. Sources: istio/api destination_rule.proto, istio pkg/config/validation/validation.go (`validateTrafficPolicy`)
and agent/validation.go (`ValidateTLS`), pilot/pkg/networking/core (util.go: `MergeTrafficPolicy`,
cluster_traffic_policy.go, route/route.go: `ConsistentHashToHashPolicy`).
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, get_args

from mirror_proxy.config import files
from mirror_proxy.config.headers import TOKEN
from mirror_proxy.config.istio.fields import IgnoredWithWarning, go_duration, is_written
from mirror_proxy.config.istio.names import PORT_SELECTOR
from mirror_proxy.config.model import Balancer, HashKey, OutlierDetection, TcpKeepalive, UpstreamTls
from mirror_proxy.config.node import Place
from mirror_proxy.config.schema import (
    BOOLEAN,
    INVALID,
    TEXT,
    Choice,
    Field,
    Ignored,
    ListOf,
    Record,
    Refused,
    Scalar,
    whole,
)
from mirror_proxy.http1.proxy_protocol import ProxyVersion

PASSTHROUGH = "PASSTHROUGH"
SIMPLE_POLICIES = {
    "UNSPECIFIED": "least_request",
    "LEAST_REQUEST": "least_request",
    "LEAST_CONN": "least_request",
    "ROUND_ROBIN": "round_robin",
    "RANDOM": "random",
    PASSTHROUGH: PASSTHROUGH,
}
HASH_KEYS = ("httpHeaderName", "httpCookie", "useSourceIp", "httpQueryParameterName")
ONE_OF = "must validate one and only one schema (oneOf): give one of "
MAX_TABLE = 5_000_011
OLD_RING_SIZE = (
    "consistent hash MinimumRingSize is deprecated, use ConsistentHashLB's RingHash configuration instead"
)
TOPOLOGY = "has no effect: where endpoints stand is not known here"
WARMUP = "has no effect: a new endpoint gets its whole share at once"
NEVER_S = 365 * 86_400.0  # what an idle timeout of 0 is taken for
UPGRADES = {name: name for name in ("DEFAULT", "DO_NOT_UPGRADE", "UPGRADE")}
NO_HTTP2 = "has no effect: upstreams are spoken to in HTTP/1.1"
LOCAL_ORIGIN_UNSPLIT = (
    "outlier detection consecutive local origin failures is specified,"
    " but split external local origin errors is set to false"
)
CONSECUTIVE_ERRORS = (
    "outlier detection consecutive errors is deprecated,"
    " use consecutiveGatewayErrors or consecutive5xxErrors instead"
)
ERROR_CODES = "has no effect: every 5xx counts, and nothing else"
TLS_MODES = {name: name for name in ("DISABLE", "SIMPLE", "MUTUAL", "ISTIO_MUTUAL")}
CLIENT_FILES = ("cert_file", "key_file")
CREDENTIAL_NAME = "names a Kubernetes secret, which is out of reach"
PATHS = "write paths: caCertificates, clientCertificate, privateKey"
Components = Mapping[str, Mapping[str, Any]]
NOT_HERE = "has no meaning outside a mesh"


def _balancer(place: Place, simple: str = "least_request", hashed: Balancer | None = None) -> Any:
    """Return the component's fields of a Cluster."""
    if is_written(place, "localityLbSetting") and is_written(place, "zoneAwareLbSetting"):
        raise ValueError("only one of localityLbSetting and zoneAwareLbSetting can be set")
    if not is_written(place, "simple"):
        return {"balancer": hashed or Balancer(simple)}
    if is_written(place, "consistentHash"):
        raise ValueError(f"{ONE_OF}simple, consistentHash")
    if simple == PASSTHROUGH:
        place.at("simple").refuse("PASSTHROUGH: a request's original destination is known in a mesh only")
        return INVALID
    if place.at("simple").node.value == "LEAST_CONN":
        place.at("simple").warn("LEAST_CONN is deprecated; write LEAST_REQUEST")
    return {"balancer": Balancer(simple)}


def _hash(place: Place, ring_size: int = 0, **keys: HashKey | None) -> Balancer:
    """Return the balancer; without a key it is a random one, as Envoy's ring then is."""
    written = [key for key in HASH_KEYS if is_written(place, key)]
    if len(written) > 1:
        raise ValueError(ONE_OF + ", ".join(written))
    if is_written(place, "ringHash") and is_written(place, "maglev"):
        raise ValueError(f"{ONE_OF}ringHash, maglev")
    if ring_size and is_written(place, "ringHash", "maglev"):
        raise ValueError("only one of MinimumRingSize or Maglev/Ringhash can be specified")
    if ring_size:
        place.warn(OLD_RING_SIZE)
    key = next(iter(keys.values()), None)
    return Balancer("hash", key) if key else Balancer("random")


def _cookie(name: str = "", path: str = "", ttl_s: float | None = None) -> HashKey:
    if not name:
        raise ValueError("name required for HttpCookie")
    if not TOKEN.fullmatch(name):
        raise ValueError(f"HttpCookie name {name!r} is not a valid cookie name")
    if re.search(r"[\x00-\x1f\x7f;]", path):
        raise ValueError(f"HttpCookie path {path!r} must hold neither semicolons nor control characters")
    return HashKey("cookie", name, ttl_s, path)


def _table_size(size: int) -> int:
    if size == 0:
        raise ValueError("tableSize must be set for maglev")
    if size >= MAX_TABLE:
        raise ValueError(f"tableSize must be less than {MAX_TABLE} for maglev")
    if any(size % factor == 0 for factor in range(2, math.isqrt(size) + 1)):
        raise ValueError("tableSize must be a prime number for maglev")
    return size


TABLE_SIZE = whole(0, 2**64 - 1)
COOKIE = Record(
    _cookie,
    (
        Field("name", "name", TEXT),
        Field("path", "path", TEXT),
        Field("ttl", "ttl_s", go_duration(0)),
        Field(
            "attributes",
            "",
            IgnoredWithWarning("has no effect: the cookie is set with its path and age only"),
        ),
    ),
)
CONSISTENT_HASH = Record(
    _hash,
    (
        Field(
            "httpHeaderName",
            "header",
            Scalar(("string",), lambda name: HashKey("header", name.lower()) if name else None),
        ),
        Field("httpCookie", "cookie", COOKIE),
        Field(
            "useSourceIp",
            "source_ip",
            Scalar(("boolean",), lambda is_used: HashKey("source_ip") if is_used else None),
        ),
        Field(
            "httpQueryParameterName",
            "query",
            Scalar(("string",), lambda name: HashKey("query", name) if name else None),
        ),
        Field("ringHash", "", Record(dict, (Field("minimumRingSize", "", TABLE_SIZE),), is_proto=True)),
        Field(
            "maglev",
            "",
            Record(dict, (Field("tableSize", "", Scalar(("integer",), _table_size)),), is_proto=True),
        ),
        Field("minimumRingSize", "ring_size", TABLE_SIZE),
    ),
    placed=True,
    is_proto=True,
)
LOAD_BALANCER = Record(
    _balancer,
    (
        Field("simple", "simple", Choice(SIMPLE_POLICIES)),
        Field("consistentHash", "hashed", CONSISTENT_HASH),
        Field("localityLbSetting", "", IgnoredWithWarning(TOPOLOGY)),
        Field("zoneAwareLbSetting", "", IgnoredWithWarning(TOPOLOGY)),
        Field("warmupDurationSecs", "", IgnoredWithWarning(WARMUP)),
        Field("warmup", "", IgnoredWithWarning(WARMUP)),
    ),
    placed=True,
    is_proto=True,
)


def _natural(name: str) -> Scalar:
    """Return the type of a count where 0, like absence, means no limit."""

    def parse(value: int) -> int | None:
        if value < 0:
            raise ValueError(f"{name} must be non-negative")
        return value or None

    return Scalar(("integer",), parse)


def _pool(place: Place, tcp: dict[str, Any] | None = None, http: dict[str, Any] | None = None) -> Any:
    """Return the component's fields of a Cluster; HTTP's idle timeout wins over TCP's, as in Istio."""
    if not is_written(place, "tcp", "http"):
        raise ValueError("connection pool must have at least one field")
    return {**(tcp or {}), **(http or {})}


def _http(
    place: Place, upgrade: str = "DEFAULT", *, is_client_protocol: bool = False, **values: Any
) -> dict[str, Any]:
    if upgrade == "UPGRADE" and is_client_protocol:
        raise ValueError("use client protocol must not be true when H2UpgradePolicy is UPGRADE")
    if upgrade == "UPGRADE":
        place.warn(f"h2UpgradePolicy {NO_HTTP2}")
    return values


def _tcp(idle_timeout_s: float | None = None, **values: Any) -> dict[str, Any]:
    if idle_timeout_s is not None:
        values["idle_timeout_s"] = idle_timeout_s or NEVER_S
    return values


TCP_POOL = Record(
    _tcp,
    (
        Field("maxConnections", "max_connections", _natural("max connections")),
        Field("connectTimeout", "connect_timeout_s", go_duration()),
        Field(
            "tcpKeepalive",
            "keepalive",
            Record(
                TcpKeepalive,
                (
                    Field("probes", "probes", whole(0, 2**32 - 1)),
                    Field("time", "time_s", go_duration()),
                    Field("interval", "interval_s", go_duration()),
                ),
                is_proto=True,
            ),
        ),
        Field("maxConnectionDuration", "max_connection_duration_s", go_duration()),
        Field("idleTimeout", "idle_timeout_s", go_duration(0)),
    ),
    is_proto=True,
)
HTTP_POOL = Record(
    _http,
    (
        Field("http1MaxPendingRequests", "max_pending", _natural("http1 max pending requests")),
        Field("http2MaxRequests", "max_requests", _natural("http2 max requests")),
        Field(
            "maxRequestsPerConnection",
            "max_requests_per_connection",
            _natural("max requests per connection"),
        ),
        Field("idleTimeout", "idle_timeout_s", go_duration()),
        Field("maxRetries", "", _natural("max retries")),
        Field("h2UpgradePolicy", "upgrade", Choice(UPGRADES)),
        Field("useClientProtocol", "is_client_protocol", BOOLEAN),
        Field("maxConcurrentStreams", "", _natural("max concurrent streams")),
        Field("http2KeepAlive", "", IgnoredWithWarning(NO_HTTP2)),
    ),
    placed=True,
    is_proto=True,
)
CONNECTION_POOL = Record(
    _pool, (Field("tcp", "tcp", TCP_POOL), Field("http", "http", HTTP_POOL)), placed=True
)


def _outlier(
    max_ejection_percent: int = 0,
    consecutive_local_origin: int = 0,
    *,
    splits_local_origin: bool = False,
    **values: Any,
) -> dict[str, Any]:
    """Return the component's fields of a Cluster; a 0 that means unset keeps the default."""
    if consecutive_local_origin and not splits_local_origin:
        raise ValueError(LOCAL_ORIGIN_UNSPLIT)
    if consecutive_local_origin:
        values["consecutive_local_origin"] = consecutive_local_origin
    if max_ejection_percent:
        values["max_ejection_percent"] = max_ejection_percent
    return {"outlier": OutlierDetection(splits_local_origin=splits_local_origin, **values)}


def _percent(value: int) -> int:
    if not 0 <= value <= 100:
        raise ValueError(f"percentage {value} is not in range 0..100")
    return value


FAILURES = whole(0, 2**32 - 1)
EJECTION_PERCENT = Scalar(("integer",), _percent)
OUTLIER_DETECTION = Record(
    _outlier,
    (
        Field("consecutive5xxErrors", "consecutive_5xx", FAILURES),
        Field("consecutiveGatewayErrors", "consecutive_gateway", FAILURES),
        Field("consecutiveLocalOriginFailures", "consecutive_local_origin", FAILURES),
        Field("splitExternalLocalOriginErrors", "splits_local_origin", BOOLEAN),
        Field("interval", "interval_s", go_duration()),
        Field("baseEjectionTime", "base_ejection_s", go_duration()),
        Field("maxEjectionPercent", "max_ejection_percent", EJECTION_PERCENT),
        Field("minHealthPercent", "min_health_percent", EJECTION_PERCENT),
        Field("consecutiveErrors", "", IgnoredWithWarning(CONSECUTIVE_ERRORS)),
        Field("outlierDetectionHttpErrorCodes", "", IgnoredWithWarning(ERROR_CODES)),
    ),
    is_proto=True,
)


def _tls(place: Place, mode: str = "DISABLE", *, insecure: bool = False, **values: Any) -> Any:
    """Return the component's fields of a Cluster: `tls`, None for plain text."""
    if mode == "ISTIO_MUTUAL":
        place.warn("ISTIO_MUTUAL: there are no mesh certificates outside a mesh; plain text is sent")
    if mode not in {"SIMPLE", "MUTUAL"}:
        return {"tls": None}
    problems = list(_problems(place, mode, insecure=insecure))
    for problem in problems:
        place.refuse(problem)
    if problems:
        return INVALID
    if mode == "SIMPLE" and values.keys() & set(CLIENT_FILES):
        place.warn("a client certificate is used in mode MUTUAL only")
        values = {key: value for key, value in values.items() if key not in CLIENT_FILES}
    files.check_tls(*map(values.get, (*CLIENT_FILES, "ca_file", "crl_file")))
    return {"tls": UpstreamTls(verify=not insecure, **values)}


def _problems(place: Place, mode: str, *, insecure: bool) -> Iterator[str]:
    """Yield what fields miss or exclude each other."""
    if insecure and is_written(place, "caCertificates", "subjectAltNames"):
        secret = "or CredentialName " if mode == "SIMPLE" else ""
        yield f"cannot specify CaCertificates {secret}or SubjectAltNames when InsecureSkipVerify is set true"
    if is_written(place, "credentialName"):
        if is_written(place, "clientCertificate", "privateKey", "caCertificates", "caCrl"):
            yield "cannot specify client certificates or CA certificate or CA CRL If credentialName is set"
    elif mode == "MUTUAL":
        if not is_written(place, "clientCertificate"):
            yield "client certificate required for mutual tls"
        if not is_written(place, "privateKey"):
            yield "private key required for mutual tls"


PEM_FILE = Scalar(("string",), files.readable)
TLS = Record(
    _tls,
    (
        Field("mode", "mode", Choice(TLS_MODES)),
        Field("sni", "sni", TEXT),
        Field("subjectAltNames", "subject_alt_names", ListOf(TEXT)),
        Field("caCertificates", "ca_file", PEM_FILE),
        Field("caCrl", "crl_file", PEM_FILE),
        Field("clientCertificate", "cert_file", PEM_FILE),
        Field("privateKey", "key_file", PEM_FILE),
        Field("credentialName", "", Refused(CREDENTIAL_NAME, PATHS)),
        Field("insecureSkipVerify", "insecure", BOOLEAN),
    ),
    placed=True,
    is_proto=True,
)


def _proxy_protocol(version: ProxyVersion = "V1") -> dict[str, Any]:
    """Return the component's field of a Cluster: the version of the header that begins each connection."""
    return {PROXY_PROTOCOL_KEY: version}


PROXY_PROTOCOL_KEY = "proxy_protocol"
PROXY_PROTOCOL = Record(
    _proxy_protocol,
    (Field("version", "version", Choice({version: version for version in get_args(ProxyVersion)})),),
    is_proto=True,
)


@dataclass(frozen=True, slots=True)
class TrafficPolicy:
    """Fields of a Cluster by component, for all ports and for single ones."""

    components: Components = field(default_factory=dict)
    ports: Mapping[int, Components] = field(default_factory=dict)

    def fields(self, port: int, below: TrafficPolicy) -> dict[str, Any]:
        """Return the fields at a port when this policy, of a subset, lies over its host's.

        A component replaces the host's whole; a port's own components replace everything, its silence included, but
        for the PROXY protocol, which is one for all ports (Istio: `MergeTrafficPolicy`).
        """
        if port in self.ports:
            components = self.ports[port]
        else:
            components = {**below.ports.get(port, below.components), **self.components}
        of_all_ports = {**below.components, **self.components}
        if PROXY_PROTOCOL_KEY in of_all_ports:
            components = {**components, PROXY_PROTOCOL_KEY: of_all_ports[PROXY_PROTOCOL_KEY]}
        return {name: value for fields in components.values() for name, value in fields.items()}


def _policy(place: Place, ports: tuple[tuple[int, Components], ...] = (), **components: Any) -> TrafficPolicy:
    if not is_written(place, *(known.key for known in TRAFFIC_POLICY.fields)):
        raise ValueError("traffic policy must have at least one field")
    if is_written(place, "tunnel") and is_written(place, "proxyProtocol"):
        raise ValueError("tunnel and proxyProtocol must not be set together")
    return TrafficPolicy(components, dict(reversed(ports)))


def _port_policy(place: Place, port: int, **components: Any) -> tuple[int, Components]:
    if not is_written(place, *(known.key for known in COMPONENTS)):
        raise ValueError("port traffic policy must have at least one field")
    return port, components


COMPONENTS = (
    Field("loadBalancer", "load_balancer", LOAD_BALANCER),
    Field("connectionPool", "connection_pool", CONNECTION_POOL),
    Field("outlierDetection", "outlier_detection", OUTLIER_DETECTION),
    Field("tls", "tls", TLS),
)
PORT_POLICY = Record(
    _port_policy,
    (
        Field("port", "port", PORT_SELECTOR, required=True, missing="portTrafficPolicy must have valid port"),
        *COMPONENTS,
    ),
    placed=True,
    is_proto=True,
)
TRAFFIC_POLICY = Record(
    _policy,
    (
        *COMPONENTS,
        Field("portLevelSettings", "ports", ListOf(PORT_POLICY, null="traffic policy may not be null")),
        Field("tunnel", "", Refused(NOT_HERE)),
        Field("proxyProtocol", PROXY_PROTOCOL_KEY, PROXY_PROTOCOL),
        Field("retryBudget", "", Ignored()),
    ),
    placed=True,
    is_proto=True,
)
