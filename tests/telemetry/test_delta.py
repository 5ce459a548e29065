"""The buckets of paired differences: symmetric, close to what was counted, bounded."""

import math

import pytest

from mirror_proxy.telemetry.delta import MOST, bucket_of, middle_of, percentile


@pytest.mark.parametrize("seconds", [0.0005, 0.003, 0.02, 0.7, 4.0, 60.0])
def test_a_bucket_s_middle_is_close_to_what_fell_into_it(seconds: float) -> None:
    for value in (seconds, -seconds):
        assert abs(middle_of(bucket_of(value)) - value) <= max(0.026 * seconds, 1e-5)


def test_what_is_next_to_nothing_is_none() -> None:
    assert bucket_of(0.0) == bucket_of(9e-6) == bucket_of(-9e-6) == 0
    assert middle_of(0) == 0.0


def test_no_difference_is_beyond_the_last_bucket() -> None:
    assert bucket_of(1e9) == MOST
    assert bucket_of(-1e9) == -MOST


def test_buckets_keep_the_order_of_what_they_count() -> None:
    values = [sign * math.exp(power / 10) for sign in (-1, 1) for power in range(-120, 60)]
    buckets = [bucket_of(value) for value in sorted(values)]
    assert buckets == sorted(buckets)


def test_a_percentile_is_where_so_many_lie_below() -> None:
    counts = [(bucket_of(0.001), 98), (bucket_of(0.5), 1), (bucket_of(-0.2), 1)]
    half, most = percentile(counts, 0.5), percentile(counts, 0.995)
    assert half is not None
    assert most is not None
    assert half == pytest.approx(0.001, rel=0.03)
    assert most == pytest.approx(0.5, rel=0.03)


def test_of_nothing_there_is_no_percentile() -> None:
    assert percentile([], 0.5) is None
