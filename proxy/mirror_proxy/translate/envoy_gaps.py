"""What a configuration says that Envoy has no words for, a line each: nothing is dropped in silence."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

from mirror_proxy.config.model import Config, Limits, MirrorPolicy, Route, Settings
from mirror_proxy.translate.envoy_action import FROM_PROTOCOL
from mirror_proxy.translate.envoy_value import DENOMINATORS, MILLION


def gaps(config: Config) -> list[str]:
    """Name everything that the bootstrap does not say, in the order of the configuration."""
    routes = list(config.without_baselines().routes())
    return list(
        dict.fromkeys(chain(_settings(config.settings, routes), *(_route(route) for route in routes)))
    )


def _settings(settings: Settings, routes: list[Route]) -> Iterator[str]:
    """Tell of the MirrorProxy document."""
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
    yield from _all_mirrors(settings, [mirror for route in routes for mirror in route.mirrors])


def _all_mirrors(settings: Settings, mirrors: list[MirrorPolicy]) -> Iterator[str]:
    """Tell of what every mirror of this proxy is held to."""
    if not mirrors:
        return
    yield "mirroring.maxLagBytes: in Envoy a slow shadow slows the client"
    yield "mirroring.maxBufferedBytes: Envoy sets no bound to what all shadows hold together"
    yield "mirroring.shed: Envoy goes on mirroring however late it is"
    yield "mirroring.timeout: in Envoy it runs from the start of the copy"
    yield "mirroring: Envoy's shadows have no x-mirror-proxy-via; proxies that mirror to each other loop"
    if settings.upgrades:
        yield f"upgrades: Envoy mirrors the handshake of {', '.join(sorted(settings.upgrades))}"


def _route(route: Route) -> Iterator[str]:
    """Tell of one route."""
    if any(one.invert for match in route.matches for one in match.query):
        yield f"{route.name}: a query parameter that must not match"
    if route.redirect is not None and route.redirect.port == FROM_PROTOCOL and not route.redirect.scheme:
        yield f"{route.name}: the port of the request's scheme; Envoy's redirect keeps the request's port"
    for mirror in route.mirrors:
        yield from _mirror(mirror)


def _mirror(mirror: MirrorPolicy) -> Iterator[str]:
    """Tell of one mirror."""
    mirroring = mirror.mirroring
    yield (
        f"{mirror.name}: breaker, open after {mirroring.breaker.consecutive_failures} failures; "
        "outlierDetection in the mirror's DestinationRule comes near"
    )
    if mirroring.max_per_second:
        yield f"{mirror.name}: maxPerSecond {mirroring.max_per_second:g}"
    if mirroring.mark:
        yield f"{mirror.name}: mark; Envoy's shadows have no x-mirror-proxy-shadow"
    if mirror.denominator not in DENOMINATORS:
        share = f"{mirror.numerator} of {mirror.denominator}"
        yield f"{mirror.name}: {share} is rounded down to a whole number of {MILLION}"
