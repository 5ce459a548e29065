from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from mirror_proxy.comparison.diff.totals import Totals
from mirror_proxy.comparison.judgement.judge import judge
from mirror_proxy.comparison.judgement.place import Place
from mirror_proxy.comparison.report.figures import Figure, figures
from mirror_proxy.comparison.report.pictures import HEIGHT, WIDTH, DeltaHistogram, histogram, intervals
from mirror_proxy.config.model import Thresholds
from mirror_proxy.telemetry.delta import MOST

counts = st.dictionaries(st.integers(-MOST, MOST), st.integers(1, 10_000), min_size=1, max_size=60)
_CHARACTER = 7.5


def drawn(deltas: dict[int, int]) -> DeltaHistogram:
    totals = Totals({("delta", "m", str(bucket)): number for bucket, number in deltas.items()})
    picture = histogram(deltas, figures(totals, Thresholds()))
    assert picture is not None
    return picture


@given(counts)
def test_every_bar_is_in_the_picture_and_none_lies_on_another(deltas: dict[int, int]) -> None:
    picture = drawn(deltas)
    for bar in picture.bars:
        assert bar.x >= 0
        assert bar.x + bar.width <= WIDTH
        assert picture.top <= round(bar.y, 6)
        assert round(bar.y + bar.height, 6) == picture.bottom
    for left, right in pairwise(picture.bars):
        assert left.x + left.width <= right.x + 0.5
    assert max(bar.height for bar in picture.bars) == picture.bottom - picture.top


@given(counts)
def test_slower_and_faster_never_share_a_bar(deltas: dict[int, int]) -> None:
    sides = [bar.side for bar in drawn(deltas).bars]
    assert sides == sorted(sides, key=["faster", "same", "slower"].index)
    assert ("slower" in sides) >= any(bucket > MOST // 20 for bucket in deltas)
    assert ("faster" in sides) >= any(bucket < -MOST // 20 for bucket in deltas)


@given(counts)
def test_labels_lie_within_the_picture_and_apart(deltas: dict[int, int]) -> None:
    picture = drawn(deltas)
    xs = sorted(tick.x for tick in picture.ticks)
    assert all(right - left >= 40 for left, right in pairwise(xs))
    assert "0" in {tick.label for tick in picture.ticks}
    assert len({mark.label_y for mark in picture.marks}) == 3
    for mark in picture.marks:
        length = len(mark.label) * _CHARACTER
        start = mark.label_x - (length if mark.anchor == "end" else 0)
        assert start >= -1
        assert start + length <= WIDTH + 1
        assert 0 < mark.label_y < HEIGHT


def test_of_nothing_there_is_no_picture() -> None:
    assert histogram({}, {"p50_delta": Figure("p50_delta", None, 0)}) is None


@given(st.integers(0, 1000), st.integers(0, 1000), st.integers(1, 1000), st.integers(0, 1000))
def test_intervals_of_a_field_and_of_its_noise_are_on_one_scale(
    raw: int, noise: int, compared: int, noise_compared: int
) -> None:
    place = Place("r", "GET /", "$.a", "value", raw, compared, noise, noise_compared)
    [judgement] = judge([place], Thresholds())
    ours, theirs = intervals(judgement)
    assert (theirs is None) == (noise_compared == 0)
    ends = [ours.low, ours.rate, ours.high] + ([theirs.low, theirs.rate, theirs.high] if theirs else [])
    assert min(ends) >= 0
    assert round(max(ends), 6) == 100
