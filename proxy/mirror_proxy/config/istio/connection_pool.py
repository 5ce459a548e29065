"""ConnectionPoolSettings: how many connections to an upstream, and how long they live.

Sources: istio pkg/config/validation/validation.go (`validateConnectionPool`),
pilot/pkg/networking/core/cluster_traffic_policy.go (`applyConnectionPool`).
"""

from __future__ import annotations

from typing import Any

from mirror_proxy.config.istio.fields import Unheeded, go_duration, is_written
from mirror_proxy.config.model import TcpKeepalive
from mirror_proxy.config.node import Place
from mirror_proxy.config.schema import BOOLEAN, Choice, Field, Record, Scalar, whole

NEVER_S = 365 * 86_400.0  # what an idle timeout of 0 is taken for
UPGRADES = {name: name for name in ("DEFAULT", "DO_NOT_UPGRADE", "UPGRADE")}
NO_HTTP2 = "has no effect: upstreams are spoken to in HTTP/1.1"


def _natural(name: str) -> Scalar:
    """Return the type of a count where 0, like absence, means no limit."""

    def parse(value: int) -> int | None:
        if value < 0:
            raise ValueError(f"{name} must be non-negative")
        return value or None

    return Scalar(("integer",), parse)


def _pool(place: Place, tcp: dict[str, Any] | None = None, http: dict[str, Any] | None = None) -> Any:
    """Return what the component says of a Cluster; HTTP's idle timeout goes before TCP's, as in Istio."""
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


TCP = Record(
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
HTTP = Record(
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
        Field("http2KeepAlive", "", Unheeded(NO_HTTP2)),
    ),
    placed=True,
    is_proto=True,
)
CONNECTION_POOL = Record(_pool, (Field("tcp", "tcp", TCP), Field("http", "http", HTTP)), placed=True)
