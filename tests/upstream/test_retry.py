"""The one table of retries."""

from __future__ import annotations

import itertools

import pytest

from proxy import errors
from proxy.errors import Failure
from proxy.upstream.retry import back_off_s, reason_to_retry

METHODS = (
    b"GET",
    b"HEAD",
    b"OPTIONS",
    b"TRACE",
    b"PUT",
    b"DELETE",
    b"POST",
    b"PATCH",
    b"CONNECT",
    b"PROPFIND",
)
NOT_IDEMPOTENT = (b"POST", b"PATCH", b"CONNECT", b"PROPFIND")
EVERY_FAILURE = tuple(value for value in vars(errors).values() if isinstance(value, Failure))


def test_every_failure_is_in_this_table() -> None:
    assert len(EVERY_FAILURE) == 10


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    "failure", [errors.CONNECT_FAILURE, errors.CONNECT_TIMEOUT], ids=lambda one: one.kind
)
def test_where_nothing_was_sent_any_method_is_tried_again_as_often_as_allowed(
    failure: Failure, method: bytes
) -> None:
    reasons = [
        reason_to_retry(failure, method, reused=False, retries=retries, attempts=2) for retries in range(4)
    ]
    assert reasons == ["connect_failure", "connect_failure", None, None]


def test_no_attempts_are_no_retry() -> None:
    assert reason_to_retry(errors.CONNECT_FAILURE, b"GET", reused=False, retries=0, attempts=0) is None


@pytest.mark.parametrize("method", METHODS)
def test_a_reset_on_a_kept_connection_is_tried_again_where_the_method_is_idempotent(method: bytes) -> None:
    expected = None if method in NOT_IDEMPOTENT else "stale_connection"
    assert reason_to_retry(errors.RESET, method, reused=True, retries=0, attempts=0) == expected
    assert reason_to_retry(errors.RESET, method, reused=False, retries=0, attempts=2) is None


def test_nothing_else_is_ever_tried_again() -> None:
    retried = (errors.CONNECT_FAILURE, errors.CONNECT_TIMEOUT, errors.RESET)
    others = [failure for failure in EVERY_FAILURE if failure not in retried]
    assert errors.NO_HEALTHY_UPSTREAM in others
    for failure, method, reused in itertools.product(others, METHODS, (False, True)):
        assert reason_to_retry(failure, method, reused=reused, retries=0, attempts=2) is None


@pytest.mark.parametrize(("retries", "most_s"), [(0, 0.025), (1, 0.075), (2, 0.175), (3, 0.25), (60, 0.25)])
def test_the_back_off_is_a_share_of_envoy_s_with_a_cap(retries: int, most_s: float) -> None:
    waits = [back_off_s(retries) for _ in range(300)]
    assert 0.0 <= min(waits) < most_s / 3
    assert most_s * 2 / 3 < max(waits) <= most_s
