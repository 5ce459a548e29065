"""The paired difference, shadow's time less the primary's, counted in buckets that grow with its size.

A bucket is a whole number: 0 up to 10 µs either way; then each is 5 % wider than the one before it, below zero as
above. So a percentile read from the buckets is within 2.5 % or 10 µs of the true one. An hour has the number 342,
and nothing one above `MOST`: the table is bounded whatever is counted.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import copysign, log1p

_UNIT_S = 1e-5
_GROWTH = 0.05
_PER_LOG = 1 / log1p(_GROWTH)
_STEEPNESS = _GROWTH / _UNIT_S
MOST = 400


def bucket_of(difference_s: float) -> int:
    """Return the number of the bucket that `difference_s` falls into."""
    size = difference_s if difference_s >= 0 else -difference_s  # every pair comes by: calls are dear here
    number = min(int(log1p(size * _STEEPNESS) * _PER_LOG), MOST)
    return number if difference_s >= 0 else -number


def middle_of(bucket: int) -> float:
    """Return the difference in seconds that stands for a bucket: its middle."""
    size = abs(bucket)
    low, high = (((1 + _GROWTH) ** edge - 1) / _GROWTH * _UNIT_S for edge in (size, size + 1))
    return 0.0 if not bucket else copysign((low + high) / 2, bucket)


def percentile(counts: Iterable[tuple[int, int]], share: float) -> float | None:
    """Return the difference in seconds below which `share` (0 to 1) of all lie; None: there are none."""
    ordered = sorted(counts)
    total = sum(count for _, count in ordered)
    rank, seen = share * total, 0
    for bucket, count in ordered:
        seen += count
        if seen >= rank and seen:
            return middle_of(bucket)
    return None
