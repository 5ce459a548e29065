"""Quantiles of latencies that were counted in buckets."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from mirror_proxy.telemetry.metrics import LATENCY_BUCKETS


def quantile(counts: Sequence[float], q: float) -> float | None:
    """Estimate a quantile in seconds, on a straight line within its bucket (PromQL's `histogram_quantile`).

    `counts` has a number for each of `LATENCY_BUCKETS`, then that of +Inf. None: nothing was observed; beyond the
    last bound, that bound.
    """
    rank = q * sum(counts)
    if not rank:
        return None
    for count, (low, high) in zip(counts, pairwise((0.0, *LATENCY_BUCKETS)), strict=False):
        if rank <= count:
            return low + (high - low) * rank / count
        rank -= count
    return LATENCY_BUCKETS[-1]
