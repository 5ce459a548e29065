"""Read a worker's counters: as a `Report` for metrics, as plain rows for the admin's tables."""

from __future__ import annotations

from proxy.holdings import Held, Holdings
from proxy.telemetry.metrics import Report, Samples, merge
from proxy.telemetry.stats import DownstreamStats, Histogram, code_label

Row = dict[str, object]


def report(holdings: Holdings, generation: int, downstream: DownstreamStats) -> Report:
    """Every counter of the families that the data plane knows, also of what is configured no more."""
    return {
        **_destinations(holdings),
        **_mirrors(holdings),
        **_clusters(holdings),
        **_downstream(downstream),
        "config_generation": {(): generation},
    }


def _destinations(holdings: Holdings) -> Report:
    out: Report = {"requests_total": {}, "request_duration_seconds": {}}
    for labels, stats in holdings.destinations.items():
        for code, count in stats.codes.items():
            _add(out, "requests_total", (*labels, code_label(code)), count)
        out["request_duration_seconds"][labels] = stats.duration.sample()
    return out


def _mirrors(holdings: Holdings) -> Report:
    outcomes: Samples = {
        (*labels, outcome): count
        for labels, mirror in holdings.mirrors.items()
        for outcome, count in mirror.stats.outcomes.items()
    }
    out: Report = {"mirror_requests_total": outcomes, "mirror_responses_total": {}, "status_pairs_total": {}}
    for (_, name), mirror in holdings.mirrors.items():  # one that is configured no more may have had the name
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
        _add(out, "mirror_in_flight", (name,), len(mirror.live))
        _add(out, "mirror_buffered_bytes", (name,), mirror.buffered_bytes)
        _add(out, "mirror_breaker_open", (name,), int(mirror.breaker.is_open))
    return out


def steered(held: Held) -> Report:
    """The families that say how mirrors are steered: those that are configured, and none that is gone."""
    return {
        "mirror_percent": {
            (name,): 100 * mirror.numerator / mirror.denominator
            for (_, name), mirror in held.mirrors.items()
            if not mirror.is_baseline
        },
        "mirror_paused": {(name,): int(mirror.paused) for (_, name), mirror in held.mirrors.items()},
    }


def _clusters(holdings: Holdings) -> Report:
    out: Report = {}
    for name, stats in holdings.cluster_stats.items():
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
    for name, cluster in holdings.all_clusters():
        _add(out, "upstream_requests_active", (name,), cluster.requests_active)
    for name, cluster in holdings.clusters.items():
        _add(out, "upstream_endpoints", (name,), len(cluster.endpoints))
        ejected = sum(endpoint.is_ejected for endpoint in cluster.endpoints)
        _add(out, "upstream_endpoints_ejected", (name,), ejected)
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


def clusters(holdings: Holdings) -> list[Row]:
    """One row per cluster, for `/clusters`."""
    return [
        {
            "name": name,
            "host": cluster.config.host,
            "connections_active": cluster.stats.connections_active,
            "requests_active": cluster.requests_active,
            "connect_failures": cluster.stats.connect_failures,
            "endpoints": [
                {
                    "address": endpoint.label,
                    "active": endpoint.active,
                    "idle": len(endpoint.idle),
                    "ejected": endpoint.is_ejected,
                }
                for endpoint in cluster.endpoints
            ],
        }
        for name, cluster in holdings.clusters.items()
    ]


def mirrors(held: Held) -> list[Row]:
    """One row per mirror, for `/mirrors`."""
    return [
        {
            "name": mirror.config.name,
            "route": route,
            "cluster": mirror.config.cluster,
            "in_flight": len(mirror.live),
            "buffered_bytes": mirror.buffered_bytes,
            "breaker": "open" if mirror.breaker.is_open else "closed",
        }
        for (route, _), mirror in held.mirrors.items()
    ]
