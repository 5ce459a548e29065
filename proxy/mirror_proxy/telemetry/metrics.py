"""The one table of metric families: name, kind, help, labels, buckets.

Workers fill a `Report` from plain integers; the supervisor adds reports up and `exposition` renders them.
A family that is not in this table cannot be exposed, and a test holds the documentation against it.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

PREFIX = "mirror_proxy_"

#: Seconds; the same bounds for primary and mirror, so that they can be laid side by side.
LATENCY_BUCKETS = (
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
)  # fmt: skip

#: label values -> a number, or for a histogram the count of each bucket (the last is +Inf) and then the sum.
Samples = dict[tuple[str, ...], float | list[float]]

#: family name without prefix -> its samples.
Report = dict[str, Samples]


@dataclass(frozen=True, slots=True)
class Family:
    """One metric family; `name` is without the prefix and, for counters, with `_total`."""

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    help: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = LATENCY_BUCKETS
    merge: Literal["sum", "max", "min"] = "sum"
    is_exposed: bool = True


FAMILIES: dict[str, Family] = {
    family.name: family
    for family in (
        Family("requests_total", "counter", "Requests by the status the client got.",
               ("route", "destination", "code")),
        Family("request_duration_seconds", "histogram", "From the request's head to the end of its response.",
               ("route", "destination")),
        Family("mirror_requests_total", "counter", "What became of each request on a mirrored route.",
               ("route", "mirror", "outcome")),
        Family("mirror_duration_seconds", "histogram", "From the request's head to the end of the shadow's response.",
               ("mirror",)),
        Family("mirror_responses_total", "counter", "Shadow responses by status, those cut off included.",
               ("mirror", "code")),
        Family("mirror_slower_seconds", "histogram", "How much later the shadow answered than its primary.",
               ("mirror",)),
        Family("mirror_faster_seconds", "histogram", "How much earlier the shadow answered than its primary.",
               ("mirror",)),
        Family("status_pairs_total", "counter", "Primary's and shadow's status for the same request.",
               ("mirror", "primary", "shadow")),
        Family("mirror_delta_total", "counter", "The paired difference by bucket (see telemetry.delta).",
               ("mirror", "bucket"), is_exposed=False),
        Family("mirror_percent", "gauge", "The share of its route's requests that a mirror gets at present.",
               ("mirror",), merge="max"),
        Family("mirror_paused", "gauge", "1 while a mirror is paused.", ("mirror",), merge="max"),
        Family("workers_shedding", "gauge", "Workers that mirror nothing because they are late."),
        Family("mirror_work_seconds_total", "counter", "Time that workers spent on a mirror's responses.", ("mirror",)),
        Family("mirror_in_flight", "gauge", "Shadows under way.", ("mirror",)),
        Family("mirror_buffered_bytes", "gauge", "Bytes held for shadows that are behind.", ("mirror",)),
        Family("mirror_breaker_open", "gauge", "1 while a worker's breaker for the mirror is open.", ("mirror",)),
        Family("upstream_connections_active", "gauge", "Open connections to a cluster.", ("cluster",)),
        Family("upstream_connections_total", "counter", "Connections made to a cluster.", ("cluster",)),
        Family("upstream_connect_failures_total", "counter", "Connections that could not be made.", ("cluster",)),
        Family("upstream_protocol_errors_total", "counter", "Responses that broke HTTP; the log names the rule.",
               ("cluster",)),
        Family("upstream_requests_active", "gauge", "Requests a cluster is working on.", ("cluster",)),
        Family("upstream_retries_total", "counter", "Requests sent again, by reason.", ("cluster", "reason")),
        Family("upstream_retry_refused_total", "counter", "Retries given up because the body was not kept.",
               ("cluster",)),
        Family("upstream_pending_overflow_total", "counter", "Requests refused because too many were under way or "
               "waited for a connection.", ("cluster",)),
        Family("upstream_resolve_failures_total", "counter", "Failed look-ups of a cluster's name.", ("cluster",)),
        Family("upstream_endpoints", "gauge", "Addresses a cluster has.", ("cluster",), merge="max"),
        Family("upstream_endpoints_ejected", "gauge", "Addresses left out by outlier detection.", ("cluster",),
               merge="max"),
        Family("upstream_ejections_total", "counter", "Addresses left out by outlier detection, by reason.",
               ("cluster", "reason")),
        Family("upstream_endpoints_unhealthy", "gauge", "Addresses left out by health checks, and those not checked "
               "yet.", ("cluster",), merge="max"),
        Family("upstream_health_checks_total", "counter", "Health checks by result: success, unexpected_status, "
               "network_failure or timeout.", ("cluster", "result")),
        Family("upstream_panic", "gauge", "1 while a cluster uses endpoints that are left out, as too few are healthy.",
               ("cluster",), merge="max"),
        Family("downstream_connections_active", "gauge", "Open client connections."),
        Family("downstream_connections_total", "counter", "Client connections accepted."),
        Family("downstream_connections_rejected_total", "counter", "Clients past maxConnections "
               "that got 503 because no connection was idle."),
        Family("downstream_requests_active", "gauge", "Requests being served."),
        Family("downstream_bad_requests_total", "counter", "Requests refused before routing, by status.", ("code",)),
        Family("downstream_tunnels_active", "gauge", "Open upgraded connections."),
        Family("certificate_expiry_seconds", "gauge", "Time until the first certificate of a file in use expires, "
               "negative once it has: those of listeners and client certificates.", ("file",), merge="min"),
        Family("descriptors_exhausted_total", "counter", "Calls that failed because no file descriptor was left."),
        Family("worker_loop_lag_seconds", "gauge", "How late the worker's clock tick came, at worst since the last "
               "report.", merge="max"),
        Family("workers", "gauge", "Workers that serve."),
        Family("worker_restarts_total", "counter", "Workers replaced, by reason.", ("reason",)),
        Family("config_generation", "gauge", "Generation of the configuration in force.", merge="max"),
        Family("config_reload_failures_total", "counter", "Configurations that were refused at reload."),
        Family("compare_pairs_total", "counter", "Pairs of answers that were compared, by result: same or different.",
               ("mirror", "result")),
        Family("compare_noise_pairs_total", "counter", "Pairs of answers of one version that were compared.",
               ("route",)),
        Family("compare_dropped_total", "counter", "Pairs that were captured and not compared, by reason.",
               ("reason",)),
        Family("compare_capped_total", "counter", "Pairs of which not everything could be compared, by reason.",
               ("reason",)),
        Family("compare_store_failures_total", "counter", "Writes that the store of comparisons refused."),
        Family("compare_store_full_total", "counter", "Times that a full store deleted its oldest rows."),
        Family("compare_store_lost_total", "counter", "Times that the store's file was deleted or replaced."),
        Family("comparer_restarts_total", "counter", "Comparers replaced, by reason.", ("reason",)),
        Family("spans_total", "counter", "Trace spans, by what became of them: exported, dropped or failed.",
               ("result",)),
        Family("access_log_dropped_total", "counter", "Access log lines dropped because the writer was behind."),
        Family("admin_connections_active", "gauge", "Open connections to the admin and metrics listeners.",
               ("listener",)),
        Family("admin_connections_ended_total", "counter", "Admin connections closed or refused by the proxy, by "
               "reason: over_limit or timeout.", ("listener", "reason")),
        Family("log_dropped_total", "counter", "Log lines dropped because nobody read standard error."),
        Family("task_failures_total", "counter", "Background tasks that ended in an unforeseen error.", ("task",)),
        Family("build_info", "gauge", "1, with the version as label.", ("version",), merge="max"),
    )
}  # fmt: skip

_COMBINE: dict[str, Callable[[float, float], float]] = {"sum": operator.add, "max": max, "min": min}


def merge(into: Report, report: Report) -> Report:
    """Add `report` to `into`, family by family, and return `into`."""
    for name, samples in report.items():
        mine = into.setdefault(name, {})
        combine = _COMBINE[FAMILIES[name].merge]
        for labels, value in samples.items():
            have = mine.get(labels)
            if isinstance(value, list):
                mine[labels] = (
                    [a + b for a, b in zip(have, value, strict=True)]
                    if isinstance(have, list)
                    else list(value)
                )
            elif isinstance(have, (int, float)):
                mine[labels] = combine(have, value)
            else:
                mine[labels] = value
    return into
