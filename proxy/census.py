"""Read a worker's counters: as a `Report` for metrics, as plain rows for the admin's tables."""

from __future__ import annotations

from proxy.snapshot import Snapshot
from proxy.telemetry.metrics import Report
from proxy.telemetry.stats import ClusterStats, DownstreamStats, code_label

Row = dict[str, object]


def report(snapshot: Snapshot, downstream: DownstreamStats) -> Report:
    """Every counter of the families that the data plane knows."""
    return {
        **_routes(snapshot),
        **_mirrors(snapshot),
        **_clusters(snapshot),
        **_downstream(downstream),
        "config_generation": {(): snapshot.generation},
    }


def _routes(snapshot: Snapshot) -> Report:
    out: Report = {"requests_total": {}, "request_duration_seconds": {}}
    for route in snapshot.routes:
        for destination in route.destinations:
            labels = (route.name, destination.name)
            for code, count in destination.stats.codes.items():
                _add(out, "requests_total", (*labels, code_label(code)), count)
            out["request_duration_seconds"][labels] = destination.stats.duration.sample()
    return out


def _mirrors(snapshot: Snapshot) -> Report:
    out: Report = {"mirror_responses_total": {}, "status_pairs_total": {}}
    for route in snapshot.routes:
        for mirror in route.mirrors:
            name, stats = mirror.config.name, mirror.stats
            for outcome, count in stats.outcomes.items():
                _add(out, "mirror_requests_total", (route.name, name, outcome), count)
            for code, count in stats.codes.items():
                _add(out, "mirror_responses_total", (name, code_label(code)), count)
            for (primary, shadow), count in stats.pairs.items():
                _add(out, "status_pairs_total", (name, code_label(primary), code_label(shadow)), count)
            for family, histogram in (
                ("mirror_duration_seconds", stats.duration),
                ("mirror_slower_seconds", stats.slower),
                ("mirror_faster_seconds", stats.faster),
            ):
                out.setdefault(family, {})[(name,)] = histogram.sample()
            _add(out, "mirror_in_flight", (name,), len(mirror.live))
            _add(out, "mirror_buffered_bytes", (name,), mirror.buffered_bytes)
            _add(out, "mirror_breaker_open", (name,), int(mirror.breaker.is_open))
    return out


def _clusters(snapshot: Snapshot) -> Report:
    out: Report = {}
    for name, cluster in snapshot.clusters.items():
        stats: ClusterStats = cluster.stats
        for family, value in (
            ("upstream_connections_active", stats.connections_active),
            ("upstream_connections_total", stats.connections),
            ("upstream_connect_failures_total", stats.connect_failures),
            ("upstream_requests_active", cluster.requests_active),
            ("upstream_retry_refused_total", stats.retry_refused),
            ("upstream_pending_overflow_total", stats.pending_overflow),
            ("upstream_resolve_failures_total", stats.resolve_failures),
            ("upstream_endpoints", len(cluster.endpoints)),
        ):
            _add(out, family, (name,), value)
        for reason, count in stats.retries.items():
            _add(out, "upstream_retries_total", (name, reason), count)
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


def clusters(snapshot: Snapshot) -> list[Row]:
    """One row per cluster, for `/clusters`."""
    return [
        {
            "name": name,
            "host": cluster.config.host,
            "connections_active": cluster.stats.connections_active,
            "requests_active": cluster.requests_active,
            "connect_failures": cluster.stats.connect_failures,
            "endpoints": [
                {"address": endpoint.label, "active": endpoint.active, "idle": len(endpoint.idle)}
                for endpoint in cluster.endpoints
            ],
        }
        for name, cluster in snapshot.clusters.items()
    ]


def mirrors(snapshot: Snapshot) -> list[Row]:
    """One row per mirror, for `/mirrors`."""
    return [
        {
            "name": mirror.config.name,
            "route": route.name,
            "cluster": mirror.config.cluster,
            "percent": 100 * mirror.config.numerator / mirror.config.denominator,
            "in_flight": len(mirror.live),
            "buffered_bytes": mirror.buffered_bytes,
            "breaker": "open" if mirror.breaker.is_open else "closed",
            "outcomes": {name: count for name, count in mirror.stats.outcomes.items() if count},
        }
        for route in snapshot.routes
        for mirror in route.mirrors
    ]
