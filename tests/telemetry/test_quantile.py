from __future__ import annotations

import pytest

from mirror_proxy.telemetry.metrics import LATENCY_BUCKETS
from mirror_proxy.telemetry.quantile import quantile


def counts(**by_bound_ms: int) -> list[float]:
    """Count so many values in the bucket up to `le_<milliseconds>`."""
    bounds = {f"le_{bound * 1000:g}": index for index, bound in enumerate(LATENCY_BUCKETS)}
    made = [0.0] * (len(LATENCY_BUCKETS) + 1)
    for name, count in by_bound_ms.items():
        made[bounds[name]] = count
    return made


@pytest.mark.parametrize(
    ("counted", "q", "seconds"),
    [
        ({"le_5": 100}, 0.5, 0.00375),
        ({"le_1": 50, "le_10": 50}, 0.5, 0.001),
        ({"le_1": 50, "le_10": 50}, 0.75, 0.0075),
        ({"le_0.5": 10}, 1.0, 0.0005),
    ],
)
def test_a_quantile_lies_on_a_straight_line_within_its_bucket(
    counted: dict[str, int], q: float, seconds: float
) -> None:
    assert quantile(counts(**counted), q) == pytest.approx(seconds)


def test_a_quantile_beyond_the_last_bound_is_that_bound() -> None:
    assert quantile([0.0] * len(LATENCY_BUCKETS) + [5.0], 0.5) == LATENCY_BUCKETS[-1]


def test_of_nothing_there_is_no_quantile() -> None:
    assert quantile(counts(), 0.5) is None
