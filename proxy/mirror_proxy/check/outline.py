"""Outline: a whole configuration in a table, in the order in which requests meet it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from mirror_proxy.check import words
from mirror_proxy.config.model import (
    Cluster,
    Compare,
    Config,
    Listener,
    MirrorPolicy,
    Route,
    Settings,
    VirtualHost,
)
from mirror_proxy.text import as_line, format_count, format_duration, format_number, format_percent, plural

HEADER = ("route", "takes", "goes to", "share", "where")
MAX_ADDRESSES = 4

Row = tuple[str, ...]


def outline(config: Config) -> str:
    """Render `config`: its listeners, and each virtual host with its routes in order."""
    clusters = {cluster.name: cluster for cluster in config.clusters}
    parts = [_settings(config.settings), *(_virtual_host(host, clusters) for host in config.virtual_hosts)]
    return "\n\n".join("\n".join(map(as_line, part)) for part in parts) + "\n"


def addresses(cluster: Cluster) -> str:
    """Render the endpoints of a cluster."""
    if not cluster.endpoints:
        return "nowhere"
    shown = [
        str(endpoint.address) if endpoint.weight == 1 else f"{endpoint.address} (weight {endpoint.weight})"
        for endpoint in cluster.endpoints[:MAX_ADDRESSES]
    ]
    more = len(cluster.endpoints) - MAX_ADDRESSES
    over = [f"and {more} more"] if more > 0 else []
    how = " over TLS" if cluster.tls else ""
    how += f" with PROXY {cluster.proxy_protocol}" if cluster.proxy_protocol else ""
    return ", ".join([*shown, *over]) + how


def aligned(rows: Sequence[Row]) -> Iterator[str]:
    """Align columns, the shares to the right; a row of one cell is a line of its own, under the second column."""
    tables = [row for row in rows if len(row) > 1]
    widths = [max(map(len, column)) for column in zip(*tables, strict=True)]
    for row in rows:
        if len(row) == 1:
            yield f"{'':{widths[0]}}  {row[0]}"
            continue
        cells = [
            cell.rjust(width) if HEADER[index] == "share" else cell.ljust(width)
            for index, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        yield "  ".join(cells).rstrip()


def _listener(listener: Listener) -> str:
    parts = ["TLS"] * bool(listener.tls)
    if listener.proxy_protocol is not None:
        senders = ", ".join(listener.proxy_protocol.networks) or "every client"
        parts.append(f"the PROXY protocol required from {senders}")
    return f"{listener.address} with {' and '.join(parts)}" if parts else str(listener.address)


def _settings(settings: Settings) -> Iterator[str]:
    listeners = ", ".join(map(_listener, settings.listeners))
    yield f"listens on {listeners}; admin on {settings.admin.address}"
    if settings.sticky is not None:
        key = words.key(settings.sticky)
        yield f"draws by {key}: the same one gets the same destination and mirrors"

    if settings.exact:
        yield "each mirror gets exactly its share of any 100 requests of a route, in each worker"
    if settings.compare.is_on:
        yield from _compare(settings.compare)
    if settings.tracing.otlp_endpoint:
        yield f"sends spans to {settings.tracing.otlp_endpoint}"


def _compare(compare: Compare) -> Iterator[str]:
    shares = [
        f"{format_percent(100 * compare.share.numerator / compare.share.denominator)} of what is copied"
    ]
    shares += [
        f"{format_percent(100 * share.numerator / share.denominator)} on {route}"
        for route, share in compare.shares
    ]
    yield f"compares answers: {', '.join(shares)}"
    if compare.label:
        yield f"runs of compared pairs are labelled {compare.label}"
    if compare.endpoints:
        source = f", with those of {compare.openapi}" if compare.openapi else ""
        yield f"counts by endpoint: {plural(len(compare.endpoints), 'template')}{source}, and what requests show"
    if compare.repeat_safe:
        rules = ", ".join(
            " ".join(filter(None, (one.method, one.path, *one.operations))) for one in compare.repeat_safe
        )
        yield f"sends to baselines too, although unsafe: {rules}"


def _virtual_host(host: VirtualHost, clusters: Mapping[str, Cluster]) -> Iterator[str]:
    hosts = "every host" if "*" in host.domains else ", ".join(host.domains)
    yield f"virtual host {host.name} takes {hosts}"
    rows: list[Row] = [HEADER]
    for route in host.routes:
        rows += _route(route, clusters)
    for line in aligned(rows):
        yield f"  {line}"


def _route(route: Route, clusters: Mapping[str, Cluster]) -> Iterator[Row]:
    """Yield a route's rows: its matches with their destinations, then its other actions."""
    taken, sent = words.takes(route), list(_destinations(route, clusters))
    for index in range(max(len(taken), len(sent))):
        takes = taken[index] if index < len(taken) else ""
        prefix = "or " if index and takes else ""
        goes = sent[index] if index < len(sent) else ("", "", "")
        yield (route.name if index == 0 else "", prefix + takes, *goes)
    for text in words.extras(route):
        yield (text,)
    for destination in route.destinations:
        if (check := clusters[destination.cluster].health_check) is not None:
            every = format_duration(check.interval_s)
            yield (f"health check of {destination.name}: {words.health_check(check)}, every {every}",)
    for mirror in route.mirrors:
        yield (f"mirror {mirror.name}: {safety(mirror)}",)


def _destinations(route: Route, clusters: Mapping[str, Cluster]) -> Iterator[Row]:
    if route.redirect is not None:
        yield (words.redirect(route.redirect), "", "the client")
    if route.direct_response is not None:
        yield (f"answer {route.direct_response.status}", "", "the client")
    weights = words.shares(route.destinations)
    total = sum(weights) or 1
    for destination, weight in zip(route.destinations, weights, strict=True):
        yield destination.name, format_percent(100 * weight / total), addresses(clusters[destination.cluster])
    for mirror in route.mirrors:
        share = format_percent(100 * mirror.numerator / mirror.denominator)
        what = "of what is compared, for" if mirror.is_baseline else "copy for"
        yield f"{what} {mirror.name}", share, addresses(clusters[mirror.cluster])


def safety(mirror: MirrorPolicy) -> str:
    """Render the limits of a mirror."""
    settings = mirror.mirroring
    methods = "every method" if settings.methods is None else " ".join(sorted(settings.methods)) + " only"
    parts = [
        methods,
        f"timeout {format_duration(settings.timeout_s)}",
        f"at most {format_count(settings.max_in_flight)} at once",
    ]
    if settings.max_per_second:
        parts.append(f"{format_number(settings.max_per_second)} a second")
    if settings.max_bytes_per_second:
        parts.append(f"{format_count(settings.max_bytes_per_second)} bytes a second")
    if settings.max_body_bytes is not None:
        parts.append(f"bodies of at most {format_count(settings.max_body_bytes)} bytes")
    if not settings.body:
        parts.append("no bodies")
    if settings.host != "primary":
        parts.append(f"Host: {'its own address' if settings.host == 'upstream' else settings.host}")
    if isinstance(settings.path, tuple):
        parts.append("path: {} becomes {}".format(*settings.path))
    elif settings.path:
        parts.append(f"path: {settings.path} before it")
    if settings.headers:
        parts.append(f"headers: {words.header_changes(settings.headers)}")
    if mirror.host_suffix:
        parts.append("Host gets -shadow")
    return ", ".join(parts)
