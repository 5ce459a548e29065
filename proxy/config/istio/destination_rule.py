"""DestinationRule: how connections to a host are made, read into rules that `routes` looks up by host.

Sources: istio/api DestinationRule, istio pkg/config/validation/validation.go.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from proxy.config import files
from proxy.config.document import Document
from proxy.config.istio.names import DESTINATION_HOST, PORT_SELECTOR, fqdn, whole_document
from proxy.config.model import UpstreamTls
from proxy.config.node import Place
from proxy.config.problems import Problems
from proxy.config.schema import (
    BOOLEAN,
    INVALID,
    TEXT,
    Choice,
    Field,
    Ignored,
    Later,
    ListOf,
    Record,
    Scalar,
    duration,
)


@dataclass(frozen=True, slots=True)
class TrafficPolicy:
    """What a DestinationRule says about connections to its host; None: the model's default."""

    tls: UpstreamTls | None = None
    connect_timeout_s: float | None = None
    idle_timeout_s: float | None = None
    max_connections: int | None = None
    max_pending: int | None = None


@dataclass(frozen=True, slots=True)
class DestinationRule:
    """The traffic policy of one host, and those of single ports, which replace it whole."""

    place: Place
    host: str
    policy: TrafficPolicy
    ports: tuple[tuple[int, TrafficPolicy], ...] = ()

    def at(self, port: int) -> TrafficPolicy:
        """Return the policy that holds for a port."""
        return dict(self.ports).get(port, self.policy)


def _natural(name: str) -> Scalar:
    """Return the type of a count where 0, like absence, means no limit."""

    def parse(value: int) -> int | None:
        if value < 0:
            raise ValueError(f"{name} must be non-negative")
        return value or None

    return Scalar(("integer",), parse)


def _tls(place: Place, mode: str = "DISABLE", **values: Any) -> UpstreamTls | None:
    """Build the TLS of an upstream; None is plain text."""
    if mode == "ISTIO_MUTUAL":
        place.warn("ISTIO_MUTUAL: there are no mesh certificates outside a mesh; plain text is sent")
    if mode not in {"SIMPLE", "MUTUAL"}:
        return None
    if mode == "MUTUAL" and "cert_file" not in values:
        raise ValueError("client certificate required for mutual tls")
    if mode == "MUTUAL" and "key_file" not in values:
        raise ValueError("private key required for mutual tls")
    if mode == "SIMPLE" and values.keys() & {"cert_file", "key_file"}:
        place.warn("a client certificate is used in mode MUTUAL only")
        values = {key: value for key, value in values.items() if key not in {"cert_file", "key_file"}}
    files.check_tls(values.get("cert_file"), values.get("key_file"), values.get("ca_file"))
    return UpstreamTls(verify=not values.pop("insecure", False), **values)


def _pool(tcp: dict[str, Any] | None = None, http: dict[str, Any] | None = None) -> dict[str, Any]:
    return {**(tcp or {}), **(http or {})}


def _policy(pool: dict[str, Any] | None = None, tls: UpstreamTls | None = None) -> TrafficPolicy:
    return TrafficPolicy(tls=tls, **(pool or {}))


def _port_policy(port: int, **parts: Any) -> tuple[int, TrafficPolicy]:
    return port, _policy(**parts)


def _top_policy(ports: tuple[Any, ...] = (), **parts: Any) -> tuple[TrafficPolicy, tuple[Any, ...]]:
    return _policy(**parts), ports


FILE = Scalar(("string",), files.readable)
MODES = {name: name for name in ("DISABLE", "SIMPLE", "MUTUAL", "ISTIO_MUTUAL")}
TLS = Record(
    _tls,
    (
        Field("mode", "mode", Choice(MODES)),
        Field("sni", "sni", TEXT),
        Field("caCertificates", "ca_file", FILE),
        Field("clientCertificate", "cert_file", FILE),
        Field("privateKey", "key_file", FILE),
        Field("insecureSkipVerify", "insecure", BOOLEAN),
        *(Field(key, "", Later()) for key in ("credentialName", "subjectAltNames", "caCrl")),
    ),
    placed=True,
    is_proto=True,
)
POOL = Record(
    _pool,
    (
        Field(
            "tcp",
            "tcp",
            Record(
                dict,
                (
                    Field("maxConnections", "max_connections", _natural("max connections")),
                    Field("connectTimeout", "connect_timeout_s", duration()),
                    *(
                        Field(key, "", Later())
                        for key in ("tcpKeepalive", "maxConnectionDuration", "idleTimeout")
                    ),
                ),
                is_proto=True,
            ),
        ),
        Field(
            "http",
            "http",
            Record(
                dict,
                (
                    Field("http1MaxPendingRequests", "max_pending", _natural("http1 max pending requests")),
                    Field("idleTimeout", "idle_timeout_s", duration()),
                    *(Field(key, "", Later()) for key in ("http2MaxRequests", "maxRequestsPerConnection")),
                    *(
                        Field(key, "", Ignored())
                        for key in (
                            "maxRetries",
                            "h2UpgradePolicy",
                            "useClientProtocol",
                            "maxConcurrentStreams",
                            "http2KeepAlive",
                        )
                    ),
                ),
                is_proto=True,
            ),
        ),
    ),
)
COMPONENTS = (
    Field("connectionPool", "pool", POOL),
    Field("tls", "tls", TLS),
    Field("loadBalancer", "", Later()),
    Field("outlierDetection", "", Later()),
)
PORT_POLICY = Record(
    _port_policy, (Field("port", "port", PORT_SELECTOR, required=True), *COMPONENTS), is_proto=True
)
TRAFFIC_POLICY = Record(
    _top_policy,
    (
        *COMPONENTS,
        Field(
            "portLevelSettings",
            "ports",
            ListOf(PORT_POLICY, null="port traffic policy must have at least one field"),
        ),
        Field("tunnel", "", Later()),
        Field("proxyProtocol", "", Later()),
        Field("retryBudget", "", Ignored()),
    ),
    is_proto=True,
)
DOCUMENT = whole_document(
    Record(
        dict,
        (
            Field("host", "host", DESTINATION_HOST, required=True),
            Field("trafficPolicy", "policy", TRAFFIC_POLICY),
            Field("subsets", "", Later()),
            Field("exportTo", "", Ignored()),
            Field("workloadSelector", "", Later()),
        ),
        is_proto=True,
    )
)


def read(document: Document, problems: Problems) -> DestinationRule | None:
    """Read one DestinationRule, or report what is wrong with it and return None."""
    place = document.place(problems)
    spec = DOCUMENT.read(place)
    if spec is INVALID:
        return None
    policy, ports = spec.get("policy", (TrafficPolicy(), ()))
    return DestinationRule(place, fqdn(spec["host"], document.namespace), policy, ports)
