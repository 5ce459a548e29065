"""Active health checks on a clock that the test moves: which endpoints are used, and when they are checked."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from mirror_proxy import descriptors
from mirror_proxy.clock import DeadlineWheel
from mirror_proxy.config.model import Address, Endpoint, HealthCheck, HttpHealthCheck, OutlierDetection
from mirror_proxy.descriptors import Descriptors, Shares
from mirror_proxy.flow import Backlog
from mirror_proxy.upstream.cluster import UpstreamCluster
from mirror_proxy.upstream.health_check import MAX_BODY_BYTES
from tests.support.plane import cluster_at
from tests.support.playbook import Clock, FakeTransport, PlaybookLoop, Upstream, head_of

#: A check begins within two ticks of the wheel, and here ends within another.
TICKS_S = 0.06
RESPONSE_S = 0.001
HTTP = HttpHealthCheck("/healthz")


def response(status: int) -> bytes:
    return b"HTTP/1.1 %d X\r\ncontent-length: 0\r\n\r\n" % status


class Server(Upstream):
    """An upstream that answers each connection with `response`, None: not at all; `has_fin` closes after it."""

    response: bytes | None = response(200)
    has_fin = False

    async def connect(self, factory: Any) -> tuple[FakeTransport, Any]:
        transport, protocol = await super().connect(factory)
        if self.response is not None:
            self._loop.call_later(RESPONSE_S, transport.deliver, self.response)
        if self.has_fin:
            self._loop.call_later(2 * RESPONSE_S, transport.deliver_eof)
        return transport, protocol

    @property
    def checks(self) -> int:
        """The checks that have connected."""
        return len(self.connections)


class Bench:
    """A cluster whose endpoints are checked, its servers, and the time."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.clock = Clock()
        for name, module in list(sys.modules.items()):
            if name.startswith("mirror_proxy.") and getattr(module, "monotonic", None) is time.monotonic:
                monkeypatch.setattr(module, "monotonic", self.clock)
        self.loop = PlaybookLoop(self.clock)
        self.wheel = DeadlineWheel()
        self.wheel.start(self.loop)
        self.descriptors = Descriptors(descriptors.UNLIMITED)
        self.servers: list[Server] = []
        self.cluster: UpstreamCluster

    def make(self, count: int = 1, *, cluster: dict[str, Any] | None = None, **check: Any) -> Bench:
        """Make a cluster of so many endpoints; nothing is checked before time passes."""
        self.servers = [self.serve(number) for number in range(1, count + 1)]
        health = HealthCheck(**{"http": HTTP, **check})
        addresses = [self.address(number) for number in range(1, count + 1)]
        config = cluster_at("v1", *addresses, health_check=health, **(cluster or {}))
        self.cluster = UpstreamCluster(config, self.wheel, Backlog(), self.descriptors)
        self.loop.run(self.cluster.set_endpoints, config.endpoints)
        return self

    def serve(self, number: int) -> Server:
        address = self.address(number)
        server = self.loop.upstreams[address.host, address.port] = Server(self.loop)
        return server

    @staticmethod
    def address(number: int) -> Address:
        return Address(f"10.0.0.{number}", 80)

    def pass_time(self, seconds: float = TICKS_S) -> None:
        self.loop.pass_time(seconds)

    def pass_checks(self, count: int) -> None:
        """Let so many more checks begin and end."""
        for _ in range(count):
            self.pass_time(5.0 + TICKS_S)

    def reload(self, **changes: Any) -> None:
        self.loop.run(self.cluster.update, replace(self.cluster.config, **changes))

    def used(self) -> list[int]:
        """The numbers of the endpoints that requests go to."""
        balancer = self.cluster._balancer
        numbers = (
            [int(one.resolved.host.rpartition(".")[2]) for one in balancer.endpoints] if balancer else []
        )
        return sorted(numbers)

    def flags(self) -> list[str]:
        return [endpoint.health_flags for endpoint in self.cluster.endpoints]

    def close(self) -> None:
        self.loop.run(self.cluster.close)
        assert self.loop.errors == []
        assert (self.descriptors.upstreams, self.descriptors.checks) == (0, 0)
        assert all(peer.is_closed for server in self.servers for peer in server.connections)
        self.wheel.stop()
        self.loop.close()


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    made = Bench(monkeypatch)
    yield made
    made.close()


# --- thresholds ---


def test_first_check_decides_at_once(bench: Bench) -> None:
    bench.make(2)
    bench.servers[0].refuses = True
    assert bench.flags() == ["/failed_active_hc/pending_active_hc"] * 2
    bench.pass_time()
    assert bench.flags() == ["/failed_active_hc", "healthy"]
    assert bench.used() == [2]
    assert bench.cluster.stats.health_checks == {"network_failure": 1, "success": 1}


@pytest.mark.parametrize("fault", ["refuses", "is_silent"])
def test_network_failures_leave_an_endpoint_out_after_the_unhealthy_threshold(
    bench: Bench, fault: str
) -> None:
    bench.make(2)
    bench.pass_time()
    setattr(bench.servers[0], fault, True)
    bench.pass_checks(2)
    bench.pass_time(1.0)
    assert bench.used() == [1, 2]
    bench.pass_checks(1)
    bench.pass_time(2.0)
    assert bench.used() == [2]


def test_unexpected_status_leaves_an_endpoint_out_at_once(bench: Bench) -> None:
    bench.make(2)
    bench.pass_time()
    bench.servers[0].response = response(503)
    bench.pass_checks(1)
    assert bench.used() == [2]
    assert bench.cluster.stats.health_checks["unexpected_status"] == 1


def test_endpoint_is_used_again_after_the_healthy_threshold(bench: Bench) -> None:
    bench.make(2, healthy_threshold=3)
    bench.servers[0].response = response(500)
    bench.pass_time()
    bench.servers[0].response = response(200)
    bench.pass_checks(2)
    bench.servers[0].response = response(500)  # so they are not in a row
    bench.pass_checks(1)
    bench.servers[0].response = response(200)
    bench.pass_checks(2)
    assert bench.used() == [2]
    bench.pass_checks(1)
    assert bench.used() == [1, 2]


def test_failures_count_only_in_a_row(bench: Bench) -> None:
    bench.make(2, unhealthy_threshold=2)
    bench.pass_time()
    for _ in range(3):
        bench.servers[0].refuses = True
        bench.pass_checks(1)
        bench.servers[0].refuses = False
        bench.pass_checks(1)
    assert bench.used() == [1, 2]


def test_next_check_begins_an_interval_after_the_end_of_the_last(bench: Bench) -> None:
    bench.make(interval_s=5.0, timeout_s=3.0)
    bench.servers[0].response = None
    bench.pass_time()
    assert bench.servers[0].checks == 1
    bench.pass_time(7.9)
    assert bench.servers[0].checks == 1
    bench.pass_time(0.2)
    assert bench.servers[0].checks == 2


def test_check_without_a_response_times_out(bench: Bench) -> None:
    bench.make(timeout_s=2.0)
    bench.servers[0].response = None
    bench.pass_time(1.9)
    assert bench.flags() == ["/failed_active_hc/pending_active_hc"]
    bench.pass_time(0.2)
    assert bench.flags() == ["/failed_active_hc"]
    assert bench.cluster.stats.health_checks == {"timeout": 1}
    assert bench.servers[0].last.is_closed


def test_tcp_check_passes_where_a_connection_is_accepted(bench: Bench) -> None:
    bench.make(2, http=None)
    bench.servers[1].refuses = True
    bench.servers[0].response = None
    bench.pass_time()
    assert bench.used() == [1]
    assert bench.servers[0].last.got() == b""


# --- panic ---


@pytest.mark.parametrize(
    ("failing", "used"),
    [
        ((), [1, 2, 3, 4]),
        ((1,), [2, 3, 4]),
        ((1, 2), [3, 4]),
        ((1, 2, 3), [1, 2, 3, 4]),
        ((1, 2, 3, 4), [1, 2, 3, 4]),
    ],
)
def test_all_endpoints_are_used_where_fewer_than_half_are_healthy(
    bench: Bench, failing: tuple[int, ...], used: list[int]
) -> None:
    bench.make(4)
    for number in failing:
        bench.servers[number - 1].refuses = True
    bench.pass_time()
    assert bench.used() == used
    assert bench.cluster.is_panicking == (len(failing) > 2)


def test_panic_threshold_is_the_one_of_the_outlier_detection_where_there_is_one(bench: Bench) -> None:
    bench.make(2, cluster={"outlier": OutlierDetection(min_health_percent=0)})
    for server in bench.servers:
        server.refuses = True
    assert bench.used() == [1, 2]  # nothing is known yet
    bench.pass_time()
    assert bench.used() == []


def test_ejected_and_unhealthy_endpoints_count_together(bench: Bench) -> None:
    outlier = OutlierDetection(consecutive_5xx=1, max_ejection_percent=100, min_health_percent=50)
    bench.make(4, cluster={"outlier": outlier})
    bench.servers[0].refuses = True
    bench.pass_time()
    monitors = [endpoint.monitor for endpoint in bench.cluster.endpoints]
    for index, used in ((0, [2, 3, 4]), (1, [3, 4]), (2, [1, 2, 3, 4])):
        monitor = monitors[index]
        assert monitor is not None
        bench.loop.run(monitor.on_status, 500)
        assert bench.used() == used
    assert bench.flags()[:2] == ["/failed_active_hc/failed_outlier_check", "/failed_outlier_check"]


# --- endpoints and configurations that change ---


def test_endpoint_that_joins_is_not_used_before_its_first_check_has_passed(bench: Bench) -> None:
    bench.make(1)
    bench.pass_time()
    joined = bench.serve(2)
    both = [Endpoint(bench.address(1)), Endpoint(bench.address(2))]
    bench.loop.run(bench.cluster.set_endpoints, both)
    assert bench.used() == [1]
    bench.pass_time()
    assert bench.used() == [1, 2]
    assert joined.checks == bench.servers[0].checks == 1


def test_endpoint_that_leaves_is_checked_no_more(bench: Bench) -> None:
    bench.make(2)
    bench.servers[1].response = None
    bench.pass_time()
    bench.loop.run(bench.cluster.set_endpoints, [Endpoint(bench.address(1))])
    assert bench.servers[1].last.is_closed
    bench.pass_checks(2)
    assert [server.checks for server in bench.servers] == [3, 1]


def test_changed_check_begins_at_once_and_keeps_the_state(bench: Bench) -> None:
    bench.make(2, interval_s=3600.0)
    bench.servers[0].response = response(503)
    bench.pass_time()
    bench.reload(health_check=HealthCheck(HttpHealthCheck("/ready", frozenset({503})), healthy_threshold=2))
    assert bench.flags() == ["/failed_active_hc", "healthy"]
    bench.pass_time()
    assert bench.flags() == ["/failed_active_hc", "/failed_active_hc"]
    assert head_of(bench.servers[0].last.got())[0] == b"GET /ready HTTP/1.1"
    bench.pass_checks(1)
    assert bench.flags() == ["healthy", "/failed_active_hc"]


def test_endpoints_keep_their_health_when_another_part_of_the_cluster_changes(bench: Bench) -> None:
    bench.make(2)
    bench.servers[0].response = response(503)
    bench.pass_time()
    bench.reload(connect_timeout_s=7.0)
    bench.loop.run(bench.cluster.set_endpoints, bench.cluster.config.endpoints)
    assert bench.flags() == ["/failed_active_hc", "healthy"]
    bench.pass_time(1.0)
    assert bench.servers[0].checks == 1


def test_every_endpoint_is_used_again_once_checks_are_removed(bench: Bench) -> None:
    bench.make(2)
    bench.servers[0].refuses = True
    bench.pass_time()
    bench.reload(health_check=None)
    assert bench.used() == [1, 2]
    assert bench.flags() == ["healthy", "healthy"]
    bench.pass_checks(3)
    assert bench.servers[1].checks == 1


def test_running_cluster_uses_its_endpoints_until_an_added_check_has_ended(bench: Bench) -> None:
    bench.make(2, cluster={"outlier": OutlierDetection(min_health_percent=0)})
    bench.reload(health_check=None)
    bench.reload(health_check=HealthCheck(HTTP))
    assert bench.used() == [1, 2]
    bench.servers[0].refuses = True
    bench.pass_time()
    assert bench.used() == [2]


# --- bounds ---


def test_checks_at_once_are_bounded(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(descriptors, "MAX_CHECKS", 2)
    bench.make(5, timeout_s=1.0)
    for server in bench.servers:
        server.response = None
    bench.pass_time()
    assert (bench.descriptors.checks, bench.descriptors.upstreams) == (2, 2)
    bench.pass_time(4.0)
    assert [server.checks for server in bench.servers] == [1] * 5


def test_check_is_put_off_without_a_result_while_no_descriptor_is_left(bench: Bench) -> None:
    bench.descriptors.shares = Shares(100, 0, 0, 0, 0)
    bench.make(1)
    bench.pass_time(3.0)
    assert bench.cluster.stats.health_checks == {}
    assert bench.servers[0].checks == 0
    bench.descriptors.shares = descriptors.UNLIMITED
    bench.pass_time(0.2)
    assert bench.flags() == ["healthy"]


def test_idle_connection_is_closed_for_a_check_where_no_descriptor_is_left(bench: Bench) -> None:
    searches = []

    def close_idle(for_shadow: bool) -> bool:
        searches.append(for_shadow)
        return len(searches) == 2

    bench.descriptors.shares = Shares(100, 0, 0, 0, 0)
    bench.descriptors.close_idle = close_idle
    bench.make(1, interval_s=60.0)
    bench.pass_time(1.0)
    assert searches == [False, False]
    assert bench.flags() == ["healthy"]


def test_other_family_is_checked_where_an_address_refuses(bench: Bench) -> None:
    bench.make(1)
    bench.servers[0].refuses = True
    other = Address("fd00::1", 80)
    bench.loop.upstreams[other.host, other.port] = Server(bench.loop)
    bench.loop.run(bench.cluster.set_endpoints, bench.cluster.config.endpoints, {bench.address(1): other})
    bench.pass_time()
    assert bench.flags() == ["healthy"]


# --- on the wire ---


def test_request_names_the_cluster_and_closes_its_connection(bench: Bench) -> None:
    bench.make(1)
    bench.pass_time()
    first, fields, body = head_of(bench.servers[0].last.got())
    assert (first, body) == (b"GET /healthz HTTP/1.1", b"")
    assert fields == {
        b"host": b"10.0.0.1:80",
        b"user-agent": b"mirror-proxy-health-check",
        b"connection": b"close",
    }
    assert bench.servers[0].last.is_closed
    stats = bench.cluster.stats
    assert (stats.connections, stats.connections_active, stats.connect_failures) == (0, 0, 0)


@pytest.mark.parametrize(
    ("answer", "has_fin", "result"),
    [
        (b"HTTP/1.1 204 No\r\n\r\n", False, "success"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok", False, "success"),
        (b"HTTP/1.1 100 Go\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", False, "success"),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", False, "success"),
        (b"HTTP/1.0 200 OK\r\n\r\nok", True, "success"),
        (b"HTTP/1.1 200 OK\r\n\r\n" + bytes(MAX_BODY_BYTES + 1), False, "success"),
        (b"HTTP/1.1 101 Up\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n", False, "unexpected_status"),
        (b"HTTP/1.1 404 No\r\ncontent-length: 0\r\n\r\n", False, "unexpected_status"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nok", False, "timeout"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nok", True, "network_failure"),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nx\r\n", False, "network_failure"),
        (b"HTTP/1.1 200 OK\r\nx: " + b"x" * 70_000, False, "network_failure"),
        (b"SSH-2.0-OpenSSH\r\n", False, "network_failure"),
        (b"", True, "network_failure"),
    ],
)
def test_response_is_read_to_its_end(bench: Bench, answer: bytes, has_fin: bool, result: str) -> None:
    bench.make(1, http=HttpHealthCheck("/", frozenset({200, 204})))
    bench.servers[0].response, bench.servers[0].has_fin = answer, has_fin
    bench.pass_time(1.0 + TICKS_S)
    assert bench.cluster.stats.health_checks == {result: 1}


def test_change_of_health_is_logged_once(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "mirror_proxy.upstream.health")
    bench.make(1)
    bench.servers[0].response = response(503)
    bench.pass_time()
    bench.pass_checks(2)
    bench.servers[0].response = response(200)
    bench.pass_checks(3)
    assert [record.getMessage() for record in caplog.records] == [
        'endpoint is unhealthy cluster=v1 endpoint=10.0.0.1:80 reason="status 503"',
        "endpoint is healthy cluster=v1 endpoint=10.0.0.1:80",
    ]
