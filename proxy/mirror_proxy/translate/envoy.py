"""Envoy: a complete static bootstrap (envoy.config.bootstrap.v3) that behaves as this proxy does.

`bootstrap` also returns a line for each setting that Envoy cannot express. Written for Envoy 1.36 and later.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import chain

from mirror_proxy.config.model import Config, Limits, Listener, ListenerTls, MirrorPolicy, Route, Settings
from mirror_proxy.translate.envoy_cluster import PRESERVE_CASE, certificate, clusters, kibibytes, trailers
from mirror_proxy.translate.envoy_route import CORS, FAULT, FROM_PROTOCOL, route_configuration
from mirror_proxy.translate.envoy_value import (
    DENOMINATORS,
    MILLION,
    Message,
    all_but,
    duration,
    extension,
    present,
    socket_address,
    typed,
)

__all__ = ["bootstrap", "route_configuration"]

#: From where x-envoy-* headers count; without a range that would be loopback.
NOBODY = {"address_prefix": "0.0.0.0", "prefix_len": 32}
NORMALIZATION: dict[str, Message] = {
    "none": {"normalize_path": False},
    "base": {"normalize_path": True},
    "merge_slashes": {"normalize_path": True, "merge_slashes": True},
    "decode_and_merge_slashes": {
        "normalize_path": True,
        "merge_slashes": True,
        "path_with_escaped_slashes_action": "UNESCAPE_AND_FORWARD",
    },
}


def bootstrap(config: Config) -> tuple[Message, list[str]]:
    """Return a bootstrap for `config`, and a line for each setting that Envoy cannot express."""
    settings = config.settings
    return {
        "admin": {"address": socket_address(settings.admin.address)},
        "static_resources": {
            "listeners": [_listener(listener, config) for listener in settings.listeners],
            "clusters": clusters(config),
        },
        "overload_manager": {
            "resource_monitors": [
                extension(
                    "envoy.resource_monitors.global_downstream_max_connections",
                    "resource_monitors.downstream_connections.v3.DownstreamConnectionsConfig",
                    max_active_downstream_connections=settings.limits.max_connections,
                )
            ]
        },
    }, _gaps(config)


def _listener(listener: Listener, config: Config) -> Message:
    manager = _manager(config, listener.port)
    chain: Message = {
        "filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]
    }
    if listener.tls is not None:
        chain["transport_socket"] = _tls(listener.tls)
    address = socket_address(listener.address)
    if ":" in listener.address.host:
        address["socket_address"]["ipv4_compat"] = listener.address.host == "::"
    filters = []
    if listener.proxy_protocol is not None:
        filters.append(
            extension(
                "envoy.filters.listener.proxy_protocol", "filters.listener.proxy_protocol.v3.ProxyProtocol"
            )
        )
    return present(
        name=str(listener.address), address=address, listener_filters=filters, filter_chains=[chain]
    )


def _tls(tls: ListenerTls) -> Message:
    return extension(
        "envoy.transport_sockets.tls",
        "transport_sockets.tls.v3.DownstreamTlsContext",
        **present(
            common_tls_context=present(
                alpn_protocols=["http/1.1"],
                tls_certificates=[certificate(one.cert_file, one.key_file) for one in tls.all_certificates()],
                validation_context=tls.client_ca_file and {"trusted_ca": {"filename": tls.client_ca_file}},
            ),
            require_client_certificate=True if tls.client_ca_file else None,
        ),
    )


def _manager(config: Config, port: int) -> Message:
    """Make the `HttpConnectionManager` of a listener."""
    settings = config.settings
    return typed(
        "extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        **present(
            stat_prefix=settings.name,
            codec_type="HTTP1",
            route_config=route_configuration(config, port),
            http_filters=_filters(config),
            access_log=_access_log(settings),
            use_remote_address=True,
            xff_num_trusted_hops=settings.xff_num_trusted_hops,
            internal_address_config={"cidr_ranges": [NOBODY]},
            preserve_external_request_id=True,
            server_header_transformation="PASS_THROUGH",
            proxy_100_continue=True,
            via="1.1 mirror-proxy" if settings.via else None,
            **_client_cert(settings.forward_client_cert),
            upgrade_configs=[{"upgrade_type": name} for name in sorted(settings.upgrades)],
            **NORMALIZATION[settings.path_normalization],
            **_limits(settings),
            http_protocol_options={
                "accept_http_10": True,
                "header_key_format": PRESERVE_CASE,
                "ignore_http_11_upgrade": [{"safe_regex": {"regex": all_but(settings.upgrades)}}],
                **trailers(settings),
            },
        ),
    )


def _client_cert(policy: str) -> Message:
    """Return the policy for x-forwarded-client-cert, with the details that Istio configures."""
    return {
        "forward_client_cert_details": re.sub("(?=[A-Z])", "_", policy).upper(),
        "set_current_client_cert_details": {"subject": True, "uri": True, "dns": True},
    }


def _filters(config: Config) -> list[Message]:
    """Make the HTTP filters; fault and CORS only where a route has them."""
    routes = list(config.routes())
    filters = []
    if any(route.fault for route in routes):
        filters.append(extension(FAULT, "filters.http.fault.v3.HTTPFault"))
    if any(route.cors for route in routes):
        filters.append(extension(CORS, "filters.http.cors.v3.Cors"))
    return [*filters, extension("envoy.filters.http.router", "filters.http.router.v3.Router")]


def _limits(settings: Settings) -> Message:
    limits = settings.limits
    return {
        "max_request_headers_kb": kibibytes(limits.max_head_bytes),
        "request_headers_timeout": duration(limits.head_timeout_s),
        "stream_idle_timeout": duration(limits.stream_idle_timeout_s),
        "drain_timeout": duration(max(settings.drain.grace_s - settings.drain.delay_s, 0)),
        "common_http_protocol_options": {
            "idle_timeout": duration(limits.idle_timeout_s),
            "max_headers_count": limits.max_headers,
        },
    }


def _access_log(settings: Settings) -> list[Message]:
    if settings.access_log is None:
        return []
    path = "/dev/stdout" if settings.access_log == "-" else settings.access_log
    return [extension("envoy.access_loggers.file", "access_loggers.file.v3.FileAccessLog", path=path)]


def _listener_gaps(settings: Settings) -> Iterator[str]:
    """Yield the gaps of the listeners."""
    if any(listener.proxy_protocol and listener.proxy_protocol.networks for listener in settings.listeners):
        yield "listeners.proxyProtocol.from: Envoy requires the PROXY protocol from every client"


def _gaps(config: Config) -> list[str]:
    """Name everything that Envoy cannot express, in the order of the configuration: nothing is dropped silently."""
    routes = list(config.without_baselines().routes())
    return list(
        dict.fromkeys(
            chain(
                _listener_gaps(config.settings),
                _settings_gaps(config.settings, routes),
                *(_route_gaps(route) for route in routes),
            )
        )
    )


def _settings_gaps(settings: Settings, routes: list[Route]) -> Iterator[str]:
    """Yield the gaps of the MirrorProxy document."""
    if settings.workers != 1:
        yield "workers: start Envoy with --concurrency"
    yield "drain: start Envoy with --drain-time-s; it has no delay before it stops accepting"
    if settings.admin.token_file is not None:
        yield "admin.tokenFile: Envoy's admin knows no token; keep it on loopback"
    if settings.metrics is not None:
        yield f"metrics: Envoy's admin serves /stats/prometheus; nothing listens on {settings.metrics}"
    if settings.access_log is not None:
        yield "accessLog: in Envoy's own format; shadows leave no line"
    if settings.sticky is not None:
        yield "mirroring.sampling: weights stick to who asks, but by Envoy's own hash; each mirror is drawn at random"
    if settings.exact:
        yield "mirroring.sampling: Envoy draws each mirror at random, also where exact is said"
    if settings.compare.is_on:
        yield "compare: Envoy throws the answers of mirrors away"
    if settings.tracing.otlp_endpoint:
        yield "tracing: Envoy's own tracers say it"
    if settings.limits.max_connections != Limits().max_connections:
        yield "limits.maxConnections: of the process in Envoy, not of each worker"
    yield from _all_mirrors_gaps(settings, [mirror for route in routes for mirror in route.mirrors])


def _all_mirrors_gaps(settings: Settings, mirrors: list[MirrorPolicy]) -> Iterator[str]:
    """Yield the gaps of the limits on every mirror."""
    if not mirrors:
        return
    yield "mirroring.maxLagBytes: in Envoy a slow shadow slows the client"
    yield "mirroring.maxBufferedBytes: Envoy sets no bound to what all shadows hold together"
    yield "mirroring.shed: Envoy goes on mirroring however late it is"
    if any(mirror.host_suffix for mirror in mirrors):
        yield "shadowHostSuffix: Envoy appends -shadow to IP addresses too"
    yield "mirroring.timeout: in Envoy it runs from the start of the copy"
    yield "mirroring: Envoy's shadows have no x-mirror-proxy-via; proxies that mirror to each other loop"
    if settings.upgrades:
        yield f"upgrades: Envoy mirrors the handshake of {', '.join(sorted(settings.upgrades))}"


def _route_gaps(route: Route) -> Iterator[str]:
    """Yield the gaps of one route."""
    if any(one.invert for match in route.matches for one in match.query):
        yield f"{route.name}: a query parameter that must not match"
    if route.redirect is not None and route.redirect.port == FROM_PROTOCOL and not route.redirect.scheme:
        yield f"{route.name}: the port of the request's scheme; Envoy's redirect keeps the request's port"
    for mirror in route.mirrors:
        yield from _mirror_gaps(mirror)


def _mirror_gaps(mirror: MirrorPolicy) -> Iterator[str]:
    """Yield the gaps of one mirror."""
    mirroring = mirror.mirroring
    yield (
        f"{mirror.name}: breaker, open after {mirroring.breaker.consecutive_failures} failures; "
        "outlierDetection in the mirror's DestinationRule comes near"
    )
    if mirroring.max_per_second:
        yield f"{mirror.name}: maxPerSecond {mirroring.max_per_second:g}"
    if mirroring.max_bytes_per_second:
        yield f"{mirror.name}: maxBytesPerSecond {mirroring.max_bytes_per_second}"
    if mirroring.max_body_bytes is not None:
        yield f"{mirror.name}: maxBodyBytes {mirroring.max_body_bytes}"
    if mirroring.path:
        yield f"{mirror.name}: path; Envoy's shadows have the primary's path"
    if not mirroring.body:
        yield f"{mirror.name}: body; Envoy's shadows have the primary's body"
    if mirror.trace_share is not None and mirror.trace_share.numerator:
        yield f"{mirror.name}: tracing.mirrors; Envoy samples the traces of all shadows or none"
    if mirroring.mark:
        yield f"{mirror.name}: mark; Envoy's shadows have no x-mirror-proxy-shadow"
    if mirror.denominator not in DENOMINATORS:
        share = f"{mirror.numerator} of {mirror.denominator}"
        yield f"{mirror.name}: {share} is rounded down to a whole number of {MILLION}"
