"""Pictures of the HTML report, as coordinates of an SVG that the template draws."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from mirror_proxy.comparison.judgement.place import Judgement
from mirror_proxy.comparison.report.figures import PERCENTILES, Figure
from mirror_proxy.telemetry import delta
from mirror_proxy.text import format_difference, format_latency, format_share, plural

WIDTH, HEIGHT = 420.0, 210.0
_LEFT, _RIGHT = 8.0, WIDTH - 8.0
#: Above the bars stand the marks' labels, a row for each; below them the axis.
_TOP, _BOTTOM, _ROW = 54.0, HEIGHT - 24.0, 16.0
_BINS = 56
#: Labels of the axis are no nearer to each other.
_APART = 46.0
_TICKS_S = (0.0, 1e-3, 1e-2, 1e-1, 1.0, 1e1, 1e2, 1e3, 1e-4)
_LEAST_REACH = delta.bucket_of(1e-3)
#: A mark's label is no longer.
_LABEL = 104.0


@dataclass(frozen=True, slots=True)
class HistogramBar:
    """A bin's bar; `side` says where its differences lie: the mirror is `faster`, `slower` or the `same`."""

    x: float
    y: float
    width: float
    height: float
    side: str
    label: str


@dataclass(frozen=True, slots=True)
class HistogramMark:
    """A line at `x` with a label; `anchor` is SVG's: where the label lies from `label_x` and `label_y`."""

    x: float
    label: str
    anchor: str = "middle"
    label_x: float = 0.0
    label_y: float = 0.0


@dataclass(frozen=True, slots=True)
class DeltaHistogram:
    """The paired difference; its axis grows with the size of a difference, to either side of 0."""

    bars: tuple[HistogramBar, ...]
    ticks: tuple[HistogramMark, ...]
    marks: tuple[HistogramMark, ...]
    top: float = _TOP
    bottom: float = _BOTTOM


@dataclass(frozen=True, slots=True)
class RateInterval:
    """A rate and the ends of its confidence interval, from 0 to 100 of the width of the picture."""

    low: float
    rate: float
    high: float

    @property
    def width(self) -> float:
        """Return how wide the interval is; at least 0.5, to be visible."""
        return max(0.5, self.high - self.low)


def histogram(deltas: Mapping[int, int], figures: Mapping[str, Figure]) -> DeltaHistogram | None:
    """Draw the paired differences, counted by bucket of `telemetry.delta`; None: there are none."""
    if not deltas:
        return None
    low = min(-_LEAST_REACH, *deltas) - 2
    high = max(_LEAST_REACH, *deltas) + 2
    scale = (_RIGHT - _LEFT) / (high - low)

    def x_of(bucket: float) -> float:
        return _LEFT + (bucket - low) * scale

    size = -(-(high - low) // _BINS)
    placed = tuple(replace(bar, x=x_of(bar.x)) for bar in _bars(deltas, size, scale))
    ticks = _apart(
        (x_of(delta.bucket_of(sign * value)), format_latency(sign * value) if value else "0")
        for value in _TICKS_S
        for sign in ((1,) if not value else (1, -1))
        if low <= delta.bucket_of(sign * value) <= high
    )
    found = [
        (x_of(delta.bucket_of(value)), f"{name} {format_difference(value)}")
        for name in PERCENTILES
        if (value := figures[f"{name}_delta"].value) is not None
    ]
    return DeltaHistogram(placed, ticks, _marks(found))


def intervals(judgement: Judgement) -> tuple[RateInterval, RateInterval | None]:
    """Draw a field's raw rate, and that of its noise, on one scale; None: there is no baseline."""
    has_noise = judgement.noise_rate is not None
    most = max(judgement.raw_high, judgement.noise_high if has_noise else 0.0) or 1.0
    raw = RateInterval(
        *(100 * end / most for end in (judgement.raw_low, judgement.raw_rate, judgement.raw_high))
    )
    if judgement.noise_rate is None:
        return raw, None
    ends = judgement.noise_low, judgement.noise_rate, judgement.noise_high
    return raw, RateInterval(*(100 * end / most for end in ends))


def share_interval(rate: float, low: float, high: float) -> RateInterval:
    """Draw a rate on a scale from 0 to 100 %."""
    return RateInterval(100 * low, 100 * rate, 100 * high)


def _bars(deltas: Mapping[int, int], size: int, scale: float) -> list[HistogramBar]:
    """Return bars whose `x` is still a bucket. No bin holds both sides of 0, where the middle one lies."""
    bins: dict[int, int] = {}
    for bucket, number in deltas.items():
        place = (
            int((bucket + size // 2 if bucket >= 0 else bucket - size // 2) / size) if size > 1 else bucket
        )
        bins[place] = bins.get(place, 0) + number
    most = max(bins.values())
    total = sum(bins.values())
    found = []
    for place, number in sorted(bins.items()):
        height = max(1.0, (_BOTTOM - _TOP) * number / most)
        middle = format_difference(delta.middle_of(place * size))
        label = f"about {middle}: {plural(number, 'pair')}, {format_share(number / total)}"
        side = "slower" if place > 0 else "faster" if place < 0 else "same"
        left = place * size - size / 2
        width = max(1.0, size * scale - 0.6)
        found.append(HistogramBar(left, _BOTTOM - height, width, height, side, label))
    return found


def _apart(places: Iterable[tuple[float, str]]) -> tuple[HistogramMark, ...]:
    """Keep each tick that is not too near to one before it."""
    kept: list[HistogramMark] = []
    for x, label in places:
        edge = 18.0 if _LEFT + 18.0 <= x <= _RIGHT - 18.0 else 0.0
        if edge and all(abs(x - mark.x) >= _APART for mark in kept):
            kept.append(HistogramMark(x, label, label_x=x, label_y=HEIGHT - 6))
    return tuple(kept)


def _marks(found: Sequence[tuple[float, str]]) -> tuple[HistogramMark, ...]:
    """Place the labels, a row each, so that none lies across another mark's line, which begins in its label's row.

    Where the last is far to the right, labels lie to the left of their lines, if there is room.
    """
    is_left = bool(found) and found[-1][0] > WIDTH * 0.6
    after = [HistogramMark(x, label, "start", x + 4) for x, label in found if not is_left or x <= _LABEL]
    before = [HistogramMark(x, label, "end", x - 4) for x, label in found if is_left and x > _LABEL]
    return tuple(
        replace(mark, label_y=12 + row * _ROW) for row, mark in enumerate([*after, *reversed(before)])
    )
