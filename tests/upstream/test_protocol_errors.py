"""What of an upstream's protocol errors is logged and counted."""

from __future__ import annotations

import pytest

from mirror_proxy.clock import DeadlineWheel
from mirror_proxy.config.model import Address
from mirror_proxy.flow import Backlog
from mirror_proxy.upstream.cluster import PROTOCOL_ERROR_EVERY_S, ProtocolErrorLog, UpstreamCluster
from tests.support.plane import cluster_at


def test_one_line_in_ten_seconds_names_cluster_and_rule_and_counts_the_others(
    caplog: pytest.LogCaptureFixture,
) -> None:
    protocol_errors = ProtocolErrorLog()
    for now in (100.0, 100.0, 103.0, 100.0 + PROTOCOL_ERROR_EVERY_S, 100.0 + PROTOCOL_ERROR_EVERY_S + 1):
        protocol_errors.log("v1", f"rule {now:g}", now)
    protocol_errors.log("v1", "the last", 100.0 + 2 * PROTOCOL_ERROR_EVERY_S)
    assert [record.getMessage() for record in caplog.records] == [
        'upstream broke HTTP cluster=v1 rule="rule 100" unlogged=0',
        'upstream broke HTTP cluster=v1 rule="rule 110" unlogged=2',
        'upstream broke HTTP cluster=v1 rule="the last" unlogged=1',
    ]


def test_what_would_break_a_log_line_is_logged_as_an_escape(caplog: pytest.LogCaptureFixture) -> None:
    ProtocolErrorLog().log("v1\n", "a\x1b[31m\r\nb", 0.0)
    [record] = caplog.records
    assert record.getMessage().isprintable()


def test_each_cluster_is_logged_and_counted_by_itself(caplog: pytest.LogCaptureFixture) -> None:
    clusters = [
        UpstreamCluster(cluster_at(name, Address("10.0.0.1", 80)), DeadlineWheel(), Backlog())
        for name in ("v1", "v2")
    ]
    for cluster in (clusters[0], clusters[0], clusters[1]):
        cluster.on_protocol_error("malformed status line")
    assert [cluster.stats.protocol_errors for cluster in clusters] == [2, 1]
    assert [record.getMessage().partition(" rule=")[0] for record in caplog.records] == [
        "upstream broke HTTP cluster=v1",
        "upstream broke HTTP cluster=v2",
    ]
