"""Read a worker's counters: as parts of a `Report` for metrics, as plain rows for the admin's tables.

Of a thousand routes and mirrors that takes tens of milliseconds, which no request may wait for: it comes in parts of
`PART_SIZE`, each made on demand; the worker serves between them.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import TypeVar

from mirror_proxy.mirror.policy import Mirror
from mirror_proxy.snapshot.state import Components, Labels, WorkerState
from mirror_proxy.telemetry.metrics import Report, Samples, merge
from mirror_proxy.telemetry.stats import (
    ClusterStats,
    DestinationStats,
    DownstreamStats,
    Histogram,
    code_label,
)
from mirror_proxy.upstream.cluster import UpstreamCluster
from mirror_proxy.upstream.endpoint import UpstreamEndpoint

#: So many routes' destinations, mirrors or clusters are read at a stretch, in about a tenth of a millisecond.
PART_SIZE = 4

Row = dict[str, object]
T = TypeVar("T")


def parts(state: WorkerState, generation: int, downstream: DownstreamStats) -> Iterator[Report]:
    """Yield every counter of the families that the data plane knows, also of what is configured no more.

    The parts are merged into one report. What one mirror's counts add up to is in one part.
    """
    yield {**_downstream(downstream), "config_generation": {(): generation}}
    for destinations in _batches(state.destinations.items()):
        yield _destinations(destinations)
    for mirrors in _batches(state.mirrors.items()):
        yield _mirrors(mirrors)
    for stats in _batches(state.cluster_stats.items()):
        yield _cluster_stats(stats)
    for clusters in _batches(state.clusters.items()):
        yield _clusters(clusters)
    for clusters in _batches(state.all_clusters()):
        yield _requests(clusters)


def _batches(items: Iterable[T]) -> Iterator[list[T]]:
    rest = iter(items)
    while batch := list(islice(rest, PART_SIZE)):
        yield batch


def _destinations(items: list[tuple[Labels, DestinationStats]]) -> Report:
    out: Report = {"requests_total": {}, "request_duration_seconds": {}}
    for labels, stats in items:
        for code, count in stats.codes.items():
            _add(out, "requests_total", (*labels, code_label(code)), count)
        out["request_duration_seconds"][labels] = stats.duration.sample()
    return out


def _mirrors(items: list[tuple[Labels, Mirror]]) -> Report:
    outcomes: Samples = {
        (*labels, outcome): count
        for labels, mirror in items
        for outcome, count in mirror.stats.outcomes.items()
    }
    out: Report = {"mirror_requests_total": outcomes, "mirror_responses_total": {}, "status_pairs_total": {}}
    for (_, name), mirror in items:  # one that is configured no more may have had the name
        stats = mirror.stats
        for code, count in stats.codes.items():
            _add(out, "mirror_responses_total", (name, code_label(code)), count)
        for (primary, shadow), count in stats.pairs.items():
            _add(out, "status_pairs_total", (name, code_label(primary), code_label(shadow)), count)
        for bucket, count in stats.deltas.items():
            _add(out, "mirror_delta_total", (name, str(bucket)), count)
        for family, histogram in (
            ("mirror_duration_seconds", stats.duration),
            ("mirror_slower_seconds", stats.slower),
            ("mirror_faster_seconds", stats.faster),
        ):
            _add_histogram(out, family, (name,), histogram)
        _add(out, "mirror_work_seconds_total", (name,), stats.spent_s)
        _add(out, "mirror_in_flight", (name,), len(mirror.live))
        _add(out, "mirror_buffered_bytes", (name,), mirror.buffered_bytes)
        _add(out, "mirror_breaker_open", (name,), int(mirror.breaker.is_open))
    return out


def steered(components: Components) -> Iterator[Report]:
    """Yield the families that say how mirrors are steered: those that are configured, and none that is gone."""
    for mirrors in _batches(components.mirrors.items()):
        yield {
            "mirror_percent": {
                (name,): 100 * mirror.numerator / mirror.denominator
                for (_, name), mirror in mirrors
                if not mirror.is_baseline
            },
            "mirror_paused": {(name,): int(mirror.paused) for (_, name), mirror in mirrors},
        }


def _cluster_stats(items: list[tuple[str, ClusterStats]]) -> Report:
    out: Report = {}
    for name, stats in items:
        for family, value in (
            ("upstream_connections_active", stats.connections_active),
            ("upstream_connections_total", stats.connections),
            ("upstream_connect_failures_total", stats.connect_failures),
            ("upstream_protocol_errors_total", stats.protocol_errors),
            ("upstream_retry_refused_total", stats.retry_refused),
            ("upstream_pending_overflow_total", stats.pending_overflow),
            ("upstream_resolve_failures_total", stats.resolve_failures),
        ):
            _add(out, family, (name,), value)
        for reason, count in stats.retries.items():
            _add(out, "upstream_retries_total", (name, reason), count)
        for reason, count in stats.ejections.items():
            _add(out, "upstream_ejections_total", (name, reason), count)
        for result, count in stats.health_checks.items():
            _add(out, "upstream_health_checks_total", (name, result), count)
    return out


def _clusters(items: list[tuple[str, UpstreamCluster]]) -> Report:
    out: Report = {}
    for name, cluster in items:
        _add(out, "upstream_endpoints", (name,), len(cluster.endpoints))
        ejected = sum(endpoint.is_ejected for endpoint in cluster.endpoints)
        _add(out, "upstream_endpoints_ejected", (name,), ejected)
        _add(out, "upstream_panic", (name,), int(cluster.is_panicking))
        if cluster.config.health_check is not None:
            unhealthy = sum(endpoint.is_unhealthy for endpoint in cluster.endpoints)
            _add(out, "upstream_endpoints_unhealthy", (name,), unhealthy)
        merge(out, expiries(cluster.expiries))
    return out


def expiries(expiries: Mapping[str, float]) -> Report:
    """Return how long the certificates of some files are valid, of the Unix times at which they expire."""
    if not expiries:
        return {}
    now = time.time()
    return {"certificate_expiry_seconds": {(file,): at - now for file, at in expiries.items()}}


def _requests(items: list[tuple[str, UpstreamCluster]]) -> Report:
    out: Report = {}
    for name, cluster in items:
        _add(out, "upstream_requests_active", (name,), cluster.requests_active)
    return out


def _downstream(stats: DownstreamStats) -> Report:
    return {
        "downstream_connections_active": {(): stats.connections_active},
        "downstream_connections_total": {(): stats.connections},
        "downstream_connections_rejected_total": {(): stats.connections_rejected},
        "downstream_requests_active": {(): stats.requests_active},
        "downstream_tunnels_active": {(): stats.tunnels_active},
        "downstream_bad_requests_total": {
            (code_label(code),): count for code, count in stats.bad_requests.items()
        },
    }


def _add(out: Report, family: str, labels: tuple[str, ...], value: float) -> None:
    samples = out.setdefault(family, {})
    have = samples.get(labels, 0)
    assert isinstance(have, (int, float))  # noqa: S101 - counters and gauges only
    samples[labels] = have + value


def _add_histogram(out: Report, family: str, labels: tuple[str, ...], histogram: Histogram) -> None:
    samples = out.setdefault(family, {})
    if labels in samples:
        merge(out, {family: {labels: histogram.sample()}})
    else:
        samples[labels] = histogram.sample()


def clusters(state: WorkerState) -> Iterator[list[Row]]:
    """Yield a row for each cluster, for `/clusters`, in lists."""
    for batch in _batches(state.clusters.items()):
        yield [_cluster(name, cluster) for name, cluster in batch]


def _cluster(name: str, cluster: UpstreamCluster) -> Row:
    return {
        "name": name,
        "host": cluster.config.host,
        "connections_active": cluster.stats.connections_active,
        "requests_active": cluster.requests_active,
        "connect_failures": cluster.stats.connect_failures,
        "panic": cluster.is_panicking,
        "endpoints": [_endpoint(endpoint) for endpoint in cluster.endpoints],
    }


def _endpoint(endpoint: UpstreamEndpoint) -> Row:
    row: Row = {
        "address": endpoint.label,
        "active": endpoint.active,
        "idle": len(endpoint.idle),
        "ejected": endpoint.is_ejected,
        "health_flags": endpoint.health_flags,
    }
    if endpoint.health is not None and endpoint.health.failure:
        row["check_failure"] = endpoint.health.failure
    return row


def mirrors(components: Components) -> Iterator[list[Row]]:
    """Yield a row for each mirror, for `/mirrors`, in lists."""
    for batch in _batches(components.mirrors.items()):
        yield [_mirror(route, mirror) for (route, _), mirror in batch]


def _mirror(route: str, mirror: Mirror) -> Row:
    return {
        "name": mirror.config.name,
        "route": route,
        "cluster": mirror.config.cluster,
        "in_flight": len(mirror.live),
        "buffered_bytes": mirror.buffered_bytes,
        "breaker": "open" if mirror.breaker.is_open else "closed",
    }
