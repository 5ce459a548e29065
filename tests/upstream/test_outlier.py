"""Outlier detection on a clock that the test moves: who is left out, for how long, and when nobody is."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from mirror_proxy import errors
from mirror_proxy.clock import TICK_S, DeadlineWheel
from mirror_proxy.config.model import Address, Balancer, OutlierDetection
from mirror_proxy.flow import Backlog
from mirror_proxy.upstream import outlier
from mirror_proxy.upstream.cluster import UpstreamCluster
from mirror_proxy.upstream.outlier import EndpointMonitor
from tests.support.plane import cluster_at

FIVE_XX, GATEWAY, LOCAL = "consecutive_5xx", "consecutive_gateway_failure", "consecutive_local_origin_failure"


class Bench:
    """A cluster of endpoints that never connect, its wheel, and the time."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        monkeypatch.setattr("mirror_proxy.clock.monotonic", lambda: self.now)
        monkeypatch.setattr(outlier, "monotonic", lambda: self.now)
        self.wheel = DeadlineWheel()
        self.cluster: UpstreamCluster

    def make(self, count: int = 2, **config: Any) -> Bench:
        addresses = [Address(f"10.0.0.{number}", 80) for number in range(1, count + 1)]
        rules = OutlierDetection(**{"max_ejection_percent": 100, **config})
        self.cluster = UpstreamCluster(
            cluster_at("v1", *addresses, outlier=rules, balancer=Balancer("round_robin")),
            self.wheel,
            Backlog(),
        )
        self.cluster.set_endpoints(self.cluster.config.endpoints)
        return self

    def monitor(self, index: int) -> EndpointMonitor:
        found = self.cluster.endpoints[index].monitor
        assert found is not None
        return found

    def fail(self, index: int, status: int = 500, times: int = 5) -> None:
        for _ in range(times):
            self.monitor(index).on_status(status)

    def ejected(self) -> list[int]:
        return [index for index, endpoint in enumerate(self.cluster.endpoints) if endpoint.is_ejected]

    def pass_s(self, seconds: float) -> None:
        """Let time pass tick by tick, as it does."""
        end = self.now + seconds
        while self.now < end:
            self.now += TICK_S
            self.wheel.advance(self.now)


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Bench:
    return Bench(monkeypatch)


def test_so_many_5xx_in_a_row_eject_an_endpoint(bench: Bench) -> None:
    bench.make()
    bench.fail(0, times=4)
    assert bench.ejected() == []
    bench.fail(0, times=1)
    assert bench.ejected() == [0]
    assert bench.cluster.stats.ejections == {FIVE_XX: 1}


@pytest.mark.parametrize("status", [200, 404, 499, 101])
def test_anything_else_ends_the_row(bench: Bench, status: int) -> None:
    bench.make()
    for _ in range(3):
        bench.fail(0, times=4)
        bench.fail(0, status, 1)
    assert bench.ejected() == []


def test_gateway_errors_are_counted_on_their_own(bench: Bench) -> None:
    bench.make(consecutive_gateway=3, consecutive_5xx=0)
    bench.fail(0, 502, 2)
    bench.fail(0, 500, 1)
    bench.fail(0, 503, 2)
    assert bench.ejected() == []
    bench.fail(0, 504, 1)
    assert bench.ejected() == [0]
    assert bench.cluster.stats.ejections == {GATEWAY: 1}


def test_a_count_of_zero_is_off(bench: Bench) -> None:
    bench.make(consecutive_5xx=0, consecutive_gateway=0)
    bench.fail(0, 503, 100)
    assert bench.ejected() == []


def test_faults_of_ours_count_as_the_status_they_become(bench: Bench) -> None:
    bench.make(consecutive_gateway=2)
    bench.monitor(0).on_failure()
    bench.monitor(0).on_timeout()
    assert bench.cluster.stats.ejections == {GATEWAY: 1}


def test_faults_of_ours_can_be_counted_apart(bench: Bench) -> None:
    bench.make(splits_local_origin=True, consecutive_local_origin=3, consecutive_5xx=2)
    for _ in range(2):
        bench.monitor(0).on_failure()
        bench.monitor(0).on_timeout()
        bench.fail(0, 500, 1)
        bench.fail(0, 200, 1)
    assert bench.ejected() == []
    for _ in range(3):
        bench.monitor(0).on_failure()
    assert bench.cluster.stats.ejections == {LOCAL: 1}


def test_the_ejected_get_no_request_and_come_back_after_the_base_time(bench: Bench) -> None:
    bench.make(base_ejection_s=30.0, interval_s=10.0)
    bench.fail(0)
    bench.pass_s(29.0)
    assert bench.ejected() == [0]
    bench.pass_s(2.0)
    assert bench.ejected() == []


def test_each_further_ejection_is_longer_and_good_intervals_make_it_shorter(bench: Bench) -> None:
    bench.make(base_ejection_s=10.0, interval_s=1.0)
    for longer_s in (10.0, 20.0, 30.0):
        bench.fail(0)
        bench.pass_s(longer_s - 1.0)
        assert bench.ejected() == [0]
        bench.pass_s(1.5)
        assert bench.ejected() == []
    assert bench.monitor(0).ejections == 3
    bench.pass_s(2.1)
    assert bench.monitor(0).ejections == 1
    bench.pass_s(5.0)
    assert bench.monitor(0).ejections == 0


def test_no_ejection_is_longer_than_five_minutes_or_the_base_time(bench: Bench) -> None:
    bench.make(base_ejection_s=200.0, interval_s=1.0)
    for _ in range(3):
        bench.fail(0)
        bench.pass_s(301.5)
        assert bench.ejected() == []


def test_nothing_is_swept_when_there_is_nothing_to_sweep(bench: Bench) -> None:
    bench.make(base_ejection_s=1.0, interval_s=1.0)
    assert not bench.wheel._slots
    bench.fail(0)
    assert bench.wheel._slots
    bench.pass_s(4.0)
    assert not bench.wheel._slots


@pytest.mark.parametrize(
    ("endpoints", "percent", "most"), [(2, 10, 0), (10, 10, 1), (4, 50, 2), (3, 100, 3), (1, 99, 0)]
)
def test_no_more_than_the_given_share_is_ejected(
    bench: Bench, endpoints: int, percent: int, most: int
) -> None:
    bench.make(endpoints, max_ejection_percent=percent)
    for index in range(endpoints):
        bench.fail(index)
    assert bench.ejected() == list(range(most))


def test_with_all_ejected_there_is_no_healthy_upstream(bench: Bench) -> None:
    bench.make()
    bench.fail(0)
    bench.fail(1)
    assert bench.cluster.take() is None
    assert bench.cluster.wait(Nobody()) is errors.NO_HEALTHY_UPSTREAM


def test_too_few_healthy_ones_mean_panic_and_all_are_used(bench: Bench) -> None:
    bench.make(4, min_health_percent=50)
    chosen = bench.cluster
    bench.fail(0)
    bench.fail(1)
    assert choices(chosen) == {2, 3}
    bench.fail(2)
    assert choices(chosen) == {0, 1, 2, 3}


def choices(cluster: UpstreamCluster) -> set[int]:
    assert cluster._balancer is not None
    return {cluster.endpoints.index(cluster._balancer.choose()) for _ in range(20)}


def test_an_endpoint_that_stays_keeps_its_sentence_and_one_that_goes_takes_its_own_along(
    bench: Bench,
) -> None:
    bench.make(3)
    bench.fail(0)
    bench.fail(1)
    one, _, three = bench.cluster.config.endpoints
    bench.cluster.set_endpoints([one, three])
    assert bench.ejected() == [0]
    bench.cluster.set_endpoints(bench.cluster.config.endpoints)
    assert bench.ejected() == [0]


def test_a_reload_changes_the_rules_and_keeps_what_is_known(bench: Bench) -> None:
    bench.make()
    bench.fail(0)
    config = bench.cluster.config
    assert config.outlier is not None
    bench.cluster.update(replace(config, outlier=replace(config.outlier, base_ejection_s=1.0)))
    assert bench.ejected() == [0]
    bench.pass_s(10.1)
    assert bench.ejected() == []


def test_a_reload_can_switch_it_off_and_on(bench: Bench) -> None:
    bench.make()
    bench.fail(0)
    config = bench.cluster.config
    bench.cluster.update(replace(config, outlier=None))
    assert choices(bench.cluster) == {0, 1}
    assert bench.cluster.endpoints[0].monitor is None
    assert not bench.wheel._slots
    bench.cluster.update(config)
    bench.fail(1)
    assert bench.ejected() == [1]


class Nobody:
    wants_fresh = False

    def on_connection(self, connection: object) -> None:
        raise AssertionError(connection)

    def on_connect_failure(self, failure: errors.Failure, endpoint: object) -> None:
        raise AssertionError(failure, endpoint)
