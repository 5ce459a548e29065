"""What the data plane counts in: plain integers, with labels that stay bounded."""

from __future__ import annotations

from http import HTTPStatus

import pytest

from mirror_proxy.telemetry.metrics import LATENCY_BUCKETS
from mirror_proxy.telemetry.stats import DestinationStats, Histogram, MirrorStats, code_label


def test_a_value_on_a_bound_is_counted_below_it() -> None:
    histogram = Histogram()
    for bound in LATENCY_BUCKETS:
        histogram.observe(bound)
    assert histogram.counts == [1] * len(LATENCY_BUCKETS) + [0]


def test_a_value_above_every_bound_is_counted_in_the_last_bucket() -> None:
    histogram = Histogram()
    histogram.observe(LATENCY_BUCKETS[-1] + 0.001)
    assert histogram.counts == [0] * len(LATENCY_BUCKETS) + [1]


def test_a_sample_is_the_buckets_and_then_the_sum() -> None:
    histogram = Histogram()
    histogram.observe(0.0)
    histogram.observe(0.75)
    histogram.observe(20.0)
    expected = [0.0] * (len(LATENCY_BUCKETS) + 1)
    expected[0] = expected[LATENCY_BUCKETS.index(1.0)] = expected[-1] = 1
    assert histogram.sample() == [*expected, 20.75]


def test_a_sample_stays_as_it_was_taken() -> None:
    histogram = Histogram()
    sample = histogram.sample()
    histogram.observe(1.0)
    assert sum(sample) == 0


def test_a_destination_counts_each_status_and_how_long_it_took() -> None:
    stats = DestinationStats()
    for status in (200, 503, 200):
        stats.count(status, 0.25)
    assert stats.codes == {200: 2, 503: 1}
    assert stats.duration.sum == 0.75


def test_a_mirror_knows_every_outcome_before_the_first_request() -> None:
    assert MirrorStats(("completed", "timeout")).outcomes == {"completed": 0, "timeout": 0}


def test_a_pair_is_counted_by_both_statuses_and_by_which_was_faster() -> None:
    stats = MirrorStats(())
    stats.count_pair(200, 200, 0.5)
    stats.count_pair(200, 500, -0.25)
    stats.count_pair(200, 500, 0.0)
    assert stats.pairs == {(200, 200): 1, (200, 500): 2}
    assert (sum(stats.slower.counts), stats.slower.sum) == (2, 0.5)
    assert (sum(stats.faster.counts), stats.faster.sum) == (1, 0.25)


@pytest.mark.parametrize("status", [status for status in HTTPStatus if status >= 200 or status == 101])
def test_a_registered_final_status_is_its_own_label(status: HTTPStatus) -> None:
    assert code_label(status) == str(status.value)


def test_labels_stay_few_whatever_an_upstream_invents() -> None:
    labels = {code_label(status) for status in range(1, 1000)}
    assert "other" in labels
    assert len(labels) < 80


def test_a_client_that_left_without_an_answer_has_the_label_0() -> None:
    assert code_label(0) == "0"
