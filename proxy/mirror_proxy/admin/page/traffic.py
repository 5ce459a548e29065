"""The traffic panel: requests and shadows per second, now and over the last minutes, as numbers and curves."""

from __future__ import annotations

from dataclasses import dataclass

from mirror_proxy.admin.page import history
from mirror_proxy.admin.page.data import PageData
from mirror_proxy.admin.page.history import SPAN_S, TrafficRate

WIDTH, HEIGHT = 600, 120
_RECENT_S = 5.0


@dataclass(frozen=True, slots=True)
class TrafficPanel:
    """Rates per second (None: not known yet), and the points of both curves in `WIDTH` x `HEIGHT`, scaled to `top`."""

    recent: TrafficRate | None
    requests: int
    copies: int
    top: float
    request_curve: str
    copy_curve: str
    span_s: float


def of(data: PageData) -> TrafficPanel:
    """Return the panel as of the newest point."""
    found = history.rates(data.points)
    top = _round_up(max((max(rate.requests, rate.copies) for rate in found), default=0.0))
    newest = data.points[-1]
    return TrafficPanel(
        history.recent(data.points, _RECENT_S),
        newest.requests,
        newest.copies,
        top,
        _curve([(rate, rate.requests) for rate in found], newest.time, top),
        _curve([(rate, rate.copies) for rate in found], newest.time, top),
        SPAN_S,
    )


def _curve(values: list[tuple[TrafficRate, float]], end: float, top: float) -> str:
    """Return the points of a polyline: each rate at the middle of its time; the right edge is `end`."""
    return " ".join(
        f"{max(0.0, WIDTH - (end - (rate.start + rate.end) / 2) / SPAN_S * WIDTH):.1f},"
        f"{HEIGHT * (1 - height / top):.1f}"
        for rate, height in values
    )


def _round_up(most: float) -> float:
    """Return the next of 1, 2, 5, 10, 20, 50, ... that is not less than `most`."""
    step = 1.0
    while True:
        for digit in (1, 2, 5):
            if most <= digit * step:
                return digit * step
        step *= 10
