"""Retries: words and status codes, Istio's defaults, and what is refused."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from mirror_proxy.config.model import Config, RetryPolicy, Route
from tests.config.istio.conftest import Told, routed, virtual_service

CODES = "retriable-status-codes"
DEFAULT = frozenset(("connect-failure", "refused-stream", "unavailable", "cancelled"))


@pytest.mark.parametrize(
    ("retries", "policy"),
    [
        ("~", RetryPolicy(2, on=DEFAULT)),
        ("{}", RetryPolicy(0)),
        ("{attempts: 0}", RetryPolicy(0)),
        ("{attempts: 3}", RetryPolicy(3, on=DEFAULT)),
        ("{attempts: 1, retryOn: ''}", RetryPolicy(1, on=DEFAULT)),
        ("{attempts: 1, retryOn: '5xx,reset'}", RetryPolicy(1, on=frozenset(("5xx", "reset")))),
        (
            "{attempts: 1, retryOn: 'connect-failure,503,429'}",
            RetryPolicy(1, on=frozenset(("connect-failure", CODES)), status_codes=frozenset((503, 429))),
        ),
        (
            "{attempts: 1, perTryTimeout: 2s, backoff: 50ms, retryIgnorePreviousHosts: false}",
            RetryPolicy(1, 2.0, ignore_previous_hosts=False, back_off_s=0.05),
        ),
        ("{attempts: 1, per_try_timeout: 2s, retryRemoteLocalities: true}", RetryPolicy(1, 2.0)),
    ],
)
def test_retries_are_read(config: Callable[..., Config], retries: str, policy: RetryPolicy) -> None:
    loaded = config(virtual_service(routed(f"retries: {retries}")))
    assert loaded.virtual_hosts[0].routes[0].retries == policy


@pytest.mark.parametrize(
    ("retries", "problem"),
    [
        ("{attempts: -1}", ".attempts: attempts cannot be negative"),
        *(
            (f"{{{field}}}", ": http retry policy configured when attempts are set to 0 (disabled)")
            for field in ("perTryTimeout: 1s", "retryOn: 5xx", "retryRemoteLocalities: false")
        ),
        ("{attempts: 1, retryOn: 'reset, 5xx'}", '.retryOn: " 5xx" is not a valid retryOn policy'),
        ("{attempts: 1, retryOn: 'reset,'}", '.retryOn: "" is not a valid retryOn policy'),
        ("{attempts: 1, retryOn: '599'}", '.retryOn: "599" is not a valid retryOn policy'),
        ("{attempts: 1, retryOn: never}", '.retryOn: "never" is not a valid retryOn policy'),
        ("{attempts: 1, perTryTimeout: 0s}", ".perTryTimeout: duration must be greater than 1ms"),
        ("{attempts: 1, backoff: 1us}", ".backoff: only durations to ms precision are supported"),
        ("{attempts: a}", '.attempts: must be of type integer: "string"'),
    ],
)
def test_wrong_retries_are_refused_in_istios_words(refused: Told, retries: str, problem: str) -> None:
    assert refused(virtual_service(routed(f"retries: {retries}"))) == [f"spec.http[0].retries{problem}"]


HASHED = """
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: v1}
spec: {host: v1, trafficPolicy: {loadBalancer: {consistentHash: {useSourceIp: true}}}}
---
"""


def test_where_a_hash_says_which_host_it_is_a_retry_may_go_to_it_again(
    config: Callable[..., Config],
) -> None:
    def route_of(text: str) -> Route:
        return config(text).virtual_hosts[0].routes[0]

    text = virtual_service(routed(""))
    assert route_of(text).retries.ignore_previous_hosts
    assert not route_of(HASHED + text).retries.ignore_previous_hosts
