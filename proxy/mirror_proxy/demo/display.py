"""Display: the proxy's counters as a table refreshed in place on a terminal, as plain lines anywhere else.

Reads the merged `Report` that `/metrics` is made of, for one route with one destination and one mirror; baselines are
left out.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

from mirror_proxy.telemetry.metrics import LATENCY_BUCKETS, Report
from mirror_proxy.telemetry.quantile import quantile
from mirror_proxy.text import format_count, format_latency

_MIRROR = "mirror"  # as the command line calls it
_HEADINGS = ("", "answers", "p50", "p99")


class Display(logging.Handler):
    """Writes whole lines to `offer`, without the end of the last one.

    As a log handler it notices lines logged below the refreshed lines, and leaves both in place.
    """

    def __init__(self, offer: Callable[[bytes], None], *, is_live: bool) -> None:
        super().__init__()
        self._offer = offer
        self._refreshed_lines = 0
        self.is_live = is_live

    def print_lines(self, *lines: str) -> None:
        """Write lines that stay."""
        self._refreshed_lines = 0
        self._write("", lines)

    def refresh(self, lines: Sequence[str]) -> None:
        """Write `lines` over those of the last refresh."""
        back = f"\x1b[{self._refreshed_lines}F\x1b[J" if self._refreshed_lines else ""
        self._refreshed_lines = len(lines)
        self._write(back, lines)

    def emit(self, record: logging.LogRecord) -> None:  # noqa: ARG002 that there is one is enough
        """Note that the refreshed lines are no longer the last (logging)."""
        self._refreshed_lines = 0

    def _write(self, back: str, lines: Sequence[str]) -> None:
        self._offer((back + "\n".join(lines)).encode())


def table(report: Report) -> list[str]:
    """Render counts and latencies of primary and mirror, outcomes of shadow requests, and pairs of statuses."""
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
        f"{format_latency(quantile(primary[:-1], q))} / {format_latency(quantile(mirror[:-1], q))}"
        for q in (0.5, 0.99)
    )
    return (
        f"{format_count(sum(primary[:-1]))} requests: {_outcomes(report)}; "
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
    p50, p99 = (format_latency(quantile(histogram[:-1], q)) for q in (0.5, 0.99))
    return format_count(sum(histogram[:-1])), p50, p99


def _outcomes(report: Report) -> str:
    counts = {
        outcome: count
        for (_, mirror, outcome), count in report.get("mirror_requests_total", {}).items()
        if count and mirror == _MIRROR
    }
    in_flight = report.get("mirror_in_flight", {}).get((_MIRROR,), 0)
    if in_flight:
        counts["(in flight)"] = in_flight
    return ", ".join(f"{outcome} {count:,.0f}" for outcome, count in counts.items()) or "-"


def _status_pairs(report: Report) -> str:
    pairs = sorted(report.get("status_pairs_total", {}).items())
    return ", ".join(f"{primary}/{shadow} {count:,.0f}" for (_, primary, shadow), count in pairs) or "-"
