"""What the demo shows: the proxy's counters as a small table, or as one line for a log.

Reads the merged `Report` that `/metrics` is made of, for one route with one destination and one mirror; who else is
asked, to learn of noise, is left out.
"""

from __future__ import annotations

from mirror_proxy.telemetry.metrics import LATENCY_BUCKETS, Report
from mirror_proxy.telemetry.quantile import quantile

_MIRROR = "mirror"  # as the command line calls it
_HEADINGS = ("", "answers", "p50", "p99")


def table(report: Report) -> list[str]:
    """Render who answered how fast, what became of each request's copy, and how the statuses pair up."""
    rows = (
        _HEADINGS,
        ("primary", *_speeds(report, "request_duration_seconds")),
        ("mirror", *_speeds(report, "mirror_duration_seconds")),
    )
    return [
        *(f"{name:<10}" + "".join(f"{cell:>10}" for cell in cells) for name, *cells in rows),
        f"{'outcomes':<10}  {_outcomes(report)}",
        f"{'statuses':<10}  {_status_pairs(report)}   (primary/mirror)",
    ]


def line(report: Report) -> str:
    """Render the same on one line."""
    primary, mirror = (
        _histogram(report, name) for name in ("request_duration_seconds", "mirror_duration_seconds")
    )
    p50, p99 = (
        f"{_milliseconds(quantile(primary[:-1], q))} / {_milliseconds(quantile(mirror[:-1], q))}"
        for q in (0.5, 0.99)
    )
    return (
        f"{sum(primary[:-1]):.0f} requests: {_outcomes(report)}; "
        f"primary/mirror: statuses {_status_pairs(report)}; p50 {p50}; p99 {p99}"
    )


def _histogram(report: Report, family: str) -> list[float]:
    """Return the family's one histogram, of the primary or of the mirror, or an empty one."""
    samples = report.get(family, {})
    found = [sample for labels, sample in samples.items() if isinstance(sample, list) and _is_shown(labels)]
    return found[0] if found else [0.0] * (len(LATENCY_BUCKETS) + 2)


def _is_shown(labels: tuple[str, ...]) -> bool:
    return len(labels) > 1 or labels == (_MIRROR,)


def _speeds(report: Report, family: str) -> tuple[str, str, str]:
    histogram = _histogram(report, family)
    p50, p99 = (_milliseconds(quantile(histogram[:-1], q)) for q in (0.5, 0.99))
    return f"{sum(histogram[:-1]):.0f}", p50, p99


def _milliseconds(seconds: float | None) -> str:
    return "-" if seconds is None else f"{seconds * 1000:.3g} ms"


def _outcomes(report: Report) -> str:
    counts = {
        outcome: count
        for (_, mirror, outcome), count in report.get("mirror_requests_total", {}).items()
        if count and mirror == _MIRROR
    }
    in_flight = report.get("mirror_in_flight", {}).get((_MIRROR,), 0)
    if in_flight:
        counts["(in flight)"] = in_flight
    return ", ".join(f"{outcome} {count:.0f}" for outcome, count in counts.items()) or "-"


def _status_pairs(report: Report) -> str:
    pairs = sorted(report.get("status_pairs_total", {}).items())
    return ", ".join(f"{primary}/{shadow} {count:.0f}" for (_, primary, shadow), count in pairs) or "-"
