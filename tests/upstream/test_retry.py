"""The table of retries, row by row."""

from __future__ import annotations

import random

import pytest

from proxy import errors
from proxy.errors import Failure
from proxy.upstream.retry import IDEMPOTENT, back_off_s, reason_to_retry

FAILURES = [value for value in vars(errors).values() if isinstance(value, Failure)]
UNSENT = [errors.CONNECT_FAILURE, errors.CONNECT_TIMEOUT]
SENT = [failure for failure in FAILURES if failure not in UNSENT]
METHODS = [b"GET", b"HEAD", b"OPTIONS", b"TRACE", b"PUT", b"DELETE", b"POST", b"PATCH"]


def _kind(failure: Failure) -> str:
    return failure.kind


@pytest.mark.parametrize("failure", UNSENT, ids=_kind)
@pytest.mark.parametrize("method", METHODS)
def test_a_request_of_which_nothing_was_sent_is_tried_again_whatever_its_method(
    failure: Failure, method: bytes
) -> None:
    reasons = [
        reason_to_retry(failure, method, reused=False, retries=retries, attempts=2) for retries in range(4)
    ]
    assert reasons == ["connect_failure", "connect_failure", None, None]


@pytest.mark.parametrize("failure", UNSENT, ids=_kind)
def test_a_route_without_attempts_tries_nothing_again(failure: Failure) -> None:
    assert reason_to_retry(failure, b"GET", reused=False, retries=0, attempts=0) is None


@pytest.mark.parametrize("method", METHODS)
def test_a_reset_on_a_kept_connection_is_worth_another_try_for_idempotent_methods(method: bytes) -> None:
    reason = reason_to_retry(errors.RESET, method, reused=True, retries=0, attempts=0)
    assert reason == ("stale_connection" if method in IDEMPOTENT else None)


@pytest.mark.parametrize("method", METHODS)
def test_a_reset_on_a_new_connection_is_the_upstreams_answer(method: bytes) -> None:
    assert reason_to_retry(errors.RESET, method, reused=False, retries=0, attempts=2) is None


@pytest.mark.parametrize("failure", [one for one in SENT if one is not errors.RESET], ids=_kind)
@pytest.mark.parametrize("reused", [False, True])
def test_no_other_failure_is_tried_again(failure: Failure, reused: bool) -> None:
    assert reason_to_retry(failure, b"GET", reused=reused, retries=0, attempts=2) is None


def test_idempotent_methods_are_those_of_rfc_9110() -> None:
    assert [method for method in METHODS if method not in IDEMPOTENT] == [b"POST", b"PATCH"]


@pytest.mark.parametrize(("retries", "most_s"), [(0, 0.025), (1, 0.075), (2, 0.175), (3, 0.25), (60, 0.25)])
def test_the_wait_is_a_random_share_of_envoys_back_off(retries: int, most_s: float) -> None:
    random.seed(retries)
    waits = [back_off_s(retries) for _ in range(500)]
    assert 0.0 <= min(waits) < most_s * 0.05
    assert most_s * 0.95 < max(waits) <= most_s
