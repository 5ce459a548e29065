"""Clusters in Envoy's words (envoy.config.cluster.v3): endpoints, balancing, limits, TLS.

Where Envoy's default would be a cap and the model has none, none is written, as Istio does.
"""

from __future__ import annotations

from mirror_proxy.config.model import (
    Cluster,
    Config,
    Endpoint,
    HealthCheck,
    OutlierDetection,
    Settings,
    UpstreamTls,
    is_ip,
)
from mirror_proxy.translate.envoy_value import (
    NO_CAP,
    Message,
    duration,
    extension,
    present,
    socket_address,
    typed,
)

POLICIES = {
    "least_request": "LEAST_REQUEST",
    "round_robin": "ROUND_ROBIN",
    "random": "RANDOM",
    "hash": "RING_HASH",
}
HTTP_OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
PRESERVE_CASE = {
    "stateful_formatter": extension(
        "preserve_case", "http.header_formatters.preserve_case.v3.PreserveCaseFormatterConfig"
    )
}
SYSTEM_CA_FILE = "/etc/ssl/certs/ca-certificates.crt"  # Envoy cannot find the system's CAs by itself
SUBJECT_ALT_NAME_KINDS = ("DNS", "URI")
KIBIBYTE = 1024


def clusters(config: Config) -> list[Message]:
    """Make every cluster; those of mirrors have the caps of their mirroring as well."""
    config = config.without_baselines()
    mirroring = {mirror.cluster: mirror.mirroring for route in config.routes() for mirror in route.mirrors}
    messages = []
    for cluster in config.clusters:
        safety = mirroring.get(cluster.name)
        if safety is None:
            messages.append(_cluster(cluster, config.settings, cluster.max_requests, None))
        else:
            caps = [cap for cap in (cluster.max_requests, safety.max_in_flight) if cap is not None]
            messages.append(_cluster(cluster, config.settings, min(caps), safety.timeout_s))
    return messages


def _cluster(
    cluster: Cluster, settings: Settings, max_requests: int | None, max_stream_s: float | None
) -> Message:
    """Make one cluster."""
    is_static = all(one.address.is_unix or is_ip(one.address.host) for one in cluster.endpoints)
    dns: Message = {"type": "STRICT_DNS", "dns_lookup_family": "V4_PREFERRED"}
    keepalive = cluster.keepalive
    return present(
        name=cluster.name,
        **({"type": "STATIC"} if is_static else dns),
        connect_timeout=duration(cluster.connect_timeout_s),
        lb_policy=POLICIES[cluster.balancer.policy],
        load_assignment={
            "cluster_name": cluster.name,
            "endpoints": [{"lb_endpoints": [_endpoint(one) for one in cluster.endpoints]}],
        },
        circuit_breakers={
            "thresholds": [
                {
                    "max_connections": cluster.max_connections or NO_CAP,
                    "max_pending_requests": cluster.max_pending or NO_CAP,
                    "max_requests": max_requests or NO_CAP,
                    "max_retries": NO_CAP,
                }
            ]
        },
        common_lb_config={"healthy_panic_threshold": {"value": cluster.panic_percent}},
        health_checks=[_health_check(cluster.health_check, cluster)] if cluster.health_check else [],
        ignore_health_on_host_removal=True if cluster.health_check else None,
        outlier_detection=_outlier(cluster.outlier) if cluster.outlier else None,
        upstream_connection_options=keepalive
        and {
            "tcp_keepalive": present(
                keepalive_probes=keepalive.probes,
                keepalive_time=_whole_seconds(keepalive.time_s),
                keepalive_interval=_whole_seconds(keepalive.interval_s),
            )
        },
        typed_extension_protocol_options={HTTP_OPTIONS: _http_options(cluster, settings, max_stream_s)},
        transport_socket=_transport_socket(cluster),
    )


def _transport_socket(cluster: Cluster) -> Message | None:
    """Make the transport socket, TLS within the PROXY protocol; None: plain text, Envoy's default."""
    inner = _tls(cluster.tls, cluster.host) if cluster.tls is not None else None
    if cluster.proxy_protocol is None:
        return inner
    plain = extension("envoy.transport_sockets.raw_buffer", "transport_sockets.raw_buffer.v3.RawBuffer")
    return extension(
        "envoy.transport_sockets.upstream_proxy_protocol",
        "transport_sockets.proxy_protocol.v3.ProxyProtocolUpstreamTransport",
        config={"version": cluster.proxy_protocol},
        transport_socket=inner or plain,
    )


def _endpoint(endpoint: Endpoint) -> Message:
    return {
        "endpoint": {"address": socket_address(endpoint.address)},
        "load_balancing_weight": endpoint.weight,
    }


def _http_options(cluster: Cluster, settings: Settings, max_stream_s: float | None) -> Message:
    """Make the `HttpProtocolOptions` of connections to a cluster; a stream's longest duration is a shadow's."""
    return typed(
        "extensions.upstreams.http.v3.HttpProtocolOptions",
        common_http_protocol_options=present(
            idle_timeout=duration(cluster.idle_timeout_s),
            max_connection_duration=_duration(cluster.max_connection_duration_s),
            max_requests_per_connection=cluster.max_requests_per_connection,
            max_stream_duration=_duration(max_stream_s),
            max_headers_count=settings.limits.max_headers,
            max_response_headers_kb=kibibytes(settings.limits.max_response_head_bytes),
        ),
        explicit_http_config={
            "http_protocol_options": {"header_key_format": PRESERVE_CASE, **trailers(settings)}
        },
    )


def _health_check(check: HealthCheck, cluster: Cluster) -> Message:
    """Make a `HealthCheck` with the same interval in every state, and a connection of its own for each check."""
    http = check.http
    kind: Message = {"tcp_health_check": {}}
    if http is not None:
        statuses = [{"start": status, "end": status + 1} for status in sorted(http.expected_statuses)]
        kind = {
            "http_health_check": {
                "host": cluster.authority,
                "path": http.path,
                "expected_statuses": statuses,
            }
        }
    return {
        "timeout": duration(check.timeout_s),
        "interval": duration(check.interval_s),
        "no_traffic_interval": duration(check.interval_s),
        "unhealthy_threshold": check.unhealthy_threshold,
        "healthy_threshold": check.healthy_threshold,
        "reuse_connection": False,
        **kind,
    }


def _outlier(outlier: OutlierDetection) -> Message:
    """Make an `OutlierDetection`: what counts 0 is not enforced."""
    return {
        "consecutive_5xx": outlier.consecutive_5xx or 5,
        "enforcing_consecutive_5xx": 100 if outlier.consecutive_5xx else 0,
        "consecutive_gateway_failure": outlier.consecutive_gateway or 5,
        "enforcing_consecutive_gateway_failure": 100 if outlier.consecutive_gateway else 0,
        "split_external_local_origin_errors": outlier.splits_local_origin,
        "consecutive_local_origin_failure": outlier.consecutive_local_origin or 5,
        "enforcing_consecutive_local_origin_failure": 100 if outlier.consecutive_local_origin else 0,
        "enforcing_local_origin_success_rate": 0,
        "enforcing_success_rate": 0,
        "interval": duration(outlier.interval_s),
        "base_ejection_time": duration(outlier.base_ejection_s),
        "max_ejection_percent": outlier.max_ejection_percent,
    }


def _tls(tls: UpstreamTls, host: str) -> Message:
    """Make a transport socket; the certificate must match one of the names, unless it is not verified."""
    name = tls.sni or host
    validation: Message = {}
    if tls.verify:
        validation = present(
            trusted_ca={"filename": tls.ca_file or SYSTEM_CA_FILE},
            crl={"filename": tls.crl_file} if tls.crl_file else None,
            match_typed_subject_alt_names=[
                {"san_type": kind, "matcher": {"exact": wanted}}
                for wanted in tls.subject_alt_names or (name,)
                for kind in (("IP_ADDRESS",) if is_ip(wanted) else SUBJECT_ALT_NAME_KINDS)
            ],
        )
    return extension(
        "envoy.transport_sockets.tls",
        "transport_sockets.tls.v3.UpstreamTlsContext",
        **({} if is_ip(name) else {"sni": name}),
        common_tls_context=present(
            alpn_protocols=["http/1.1"],
            tls_certificates=[certificate(tls.cert_file, tls.key_file)] if tls.cert_file else [],
            validation_context=validation,
        ),
    )


def trailers(settings: Settings) -> Message:
    """Make the HTTP/1 options for trailers; Envoy drops them by default, as the proxy does."""
    return {"enable_trailers": True} if settings.http1.trailers else {}


def kibibytes(size_bytes: int) -> int:
    """Return a size in Envoy's unit for heads."""
    return max(1, size_bytes // KIBIBYTE)


def certificate(cert_file: str | None, key_file: str | None) -> Message:
    """Make a `TlsCertificate` of two files."""
    return present(
        certificate_chain={"filename": cert_file} if cert_file else None,
        private_key={"filename": key_file} if key_file else None,
    )


def _duration(seconds: float | None) -> str | None:
    return None if seconds is None else duration(seconds)


def _whole_seconds(seconds: float | None) -> int | None:
    return None if seconds is None else max(1, round(seconds))
