"""The table of retries, row by row."""

from __future__ import annotations

import random

import pytest

from mirror_proxy import errors
from mirror_proxy.config.model import RetryPolicy
from mirror_proxy.errors import Failure
from mirror_proxy.upstream.retry import IDEMPOTENT, Retry, decide, decide_on_response, watches_status

FAILURES = [value for value in vars(errors).values() if isinstance(value, Failure)]
CONNECT = [errors.CONNECT_FAILURE, errors.CONNECT_TIMEOUT]
BROKEN = [errors.RESET, errors.PROTOCOL_ERROR]
OTHER = [failure for failure in FAILURES if failure not in (*CONNECT, *BROKEN, errors.TIMEOUT)]
METHODS = [b"GET", b"HEAD", b"OPTIONS", b"TRACE", b"PUT", b"DELETE", b"POST", b"PATCH"]
RESET_WORDS = ["reset", "5xx", "gateway-error"]
WORDS = [
    *("5xx", "gateway-error", "reset", "reset-before-request", "connect-failure", "retriable-4xx"),
    *("refused-stream", "retriable-status-codes", "retriable-headers", "envoy-ratelimited"),
    *("http3-post-connect-failure", "cancelled", "deadline-exceeded", "internal", "resource-exhausted"),
    "unavailable",
]
STATUSES = [200, 301, 404, 409, 429, 500, 501, 502, 503, 504, 505, 599]


def _kind(failure: Failure) -> str:
    return failure.kind


def policy(*words: str, attempts: int = 2, codes: tuple[int, ...] = ()) -> RetryPolicy:
    return RetryPolicy(attempts, on=frozenset(words), status_codes=frozenset(codes))


def after(failure: Failure, rules: RetryPolicy, method: bytes = b"POST", retries: int = 0) -> str | None:
    return reason_of(decide(rules, failure, method, is_stale=False, retries=retries))


def after_response(rules: RetryPolicy, status: int, fields: bytes, *, retries: int = 0) -> str | None:
    return reason_of(decide_on_response(rules, status, fields, retries=retries))


def reason_of(retry: Retry | None) -> str | None:
    return retry.reason if retry is not None else None


def words_for(failure: Failure) -> list[str]:
    return [word for word in WORDS if after(failure, policy(word))]


@pytest.mark.parametrize("failure", CONNECT, ids=_kind)
@pytest.mark.parametrize("method", METHODS)
def test_by_istios_default_a_request_that_got_no_connection_is_tried_twice_more_whatever_its_method(
    failure: Failure, method: bytes
) -> None:
    reasons = [after(failure, RetryPolicy(), method, retries) for retries in range(4)]
    assert reasons == ["connect_failure", "connect_failure", None, None]


@pytest.mark.parametrize("failure", [*BROKEN, errors.TIMEOUT, *OTHER], ids=_kind)
def test_by_istios_default_nothing_else_is_tried_again(failure: Failure) -> None:
    assert after(failure, RetryPolicy(), b"GET") is None


@pytest.mark.parametrize("failure", CONNECT, ids=_kind)
def test_no_connection_is_worth_another_try_for_these_words(failure: Failure) -> None:
    assert words_for(failure) == [*RESET_WORDS[1:], "reset", "reset-before-request", "connect-failure"]


@pytest.mark.parametrize("failure", [*BROKEN, errors.TIMEOUT], ids=_kind)
def test_a_broken_or_late_response_is_worth_another_try_for_these_words(failure: Failure) -> None:
    assert words_for(failure) == ["5xx", "gateway-error", "reset"]
    assert {after(failure, policy(word)) for word in RESET_WORDS} == {
        "per_try_timeout" if failure is errors.TIMEOUT else "reset"
    }


@pytest.mark.parametrize("failure", OTHER, ids=_kind)
@pytest.mark.parametrize("reused", [False, True])
def test_no_other_failure_is_tried_again_whatever_the_policy(failure: Failure, reused: bool) -> None:
    assert decide(policy(*WORDS), failure, b"GET", is_stale=reused, retries=0) is None


@pytest.mark.parametrize("failure", FAILURES, ids=_kind)
def test_a_route_without_attempts_tries_nothing_again(failure: Failure) -> None:
    assert after(failure, policy(*WORDS, attempts=0)) is None


@pytest.mark.parametrize("method", METHODS)
def test_a_reset_on_a_kept_connection_is_worth_another_try_for_idempotent_methods(method: bytes) -> None:
    retry = decide(policy(attempts=0), errors.RESET, method, is_stale=True, retries=0)
    assert retry == (("stale_connection", 0.0) if method in IDEMPOTENT else None)


def test_idempotent_methods_are_those_of_rfc_9110() -> None:
    assert [method for method in METHODS if method not in IDEMPOTENT] == [b"POST", b"PATCH"]


@pytest.mark.parametrize(
    ("word", "statuses", "reason"),
    [
        ("5xx", [500, 501, 502, 503, 504, 505, 599], "5xx"),
        ("gateway-error", [502, 503, 504], "gateway_error"),
        ("retriable-4xx", [409], "retriable_4xx"),
        ("retriable-status-codes", [404, 503], "retriable_status"),
    ],
)
def test_a_word_says_which_statuses_are_tried_again(word: str, statuses: list[int], reason: str) -> None:
    rules = policy(word, codes=(404, 503))
    reasons = {status: after_response(rules, status, b"\r\n", retries=1) for status in STATUSES}
    assert {status: found for status, found in reasons.items() if found} == dict.fromkeys(statuses, reason)
    assert watches_status(rules)


def test_status_codes_count_only_with_their_word() -> None:
    assert after_response(policy("reset", codes=(503,)), 503, b"\r\n", retries=0) is None


def test_no_status_is_tried_again_once_the_attempts_are_used_up() -> None:
    assert after_response(policy("5xx"), 503, b"\r\n", retries=2) is None
    assert after_response(policy("5xx", attempts=0), 503, b"\r\n", retries=0) is None


@pytest.mark.parametrize("name", [b"x-envoy-ratelimited", b"X-Envoy-RateLimited"])
def test_a_response_of_a_rate_limit_is_only_tried_again_by_its_own_word(name: bytes) -> None:
    fields = b"\r\ncontent-length: 0\r\n" + name + b": true\r\n"
    assert after_response(policy("5xx", "retriable-4xx"), 503, fields, retries=0) is None
    assert after_response(policy("envoy-ratelimited"), 429, fields, retries=0) == "ratelimited"
    assert after_response(policy("envoy-ratelimited"), 429, b"\r\n", retries=0) is None


@pytest.mark.parametrize("word", sorted(set(WORDS) - {"5xx", "gateway-error", "retriable-4xx"}))
def test_by_no_other_word_does_a_status_lead_to_a_retry(word: str) -> None:
    statuses = [status for status in STATUSES if after_response(policy(word), status, b"\r\n", retries=0)]
    assert statuses == []
    assert watches_status(policy(word)) == (word in {"retriable-status-codes", "envoy-ratelimited"})


def test_istios_default_looks_at_no_status() -> None:
    assert not watches_status(RetryPolicy())
    assert not watches_status(policy("5xx", attempts=0))


@pytest.mark.parametrize(("retries", "bases"), [(0, 1), (1, 3), (2, 7), (3, 10), (60, 10)])
@pytest.mark.parametrize("base_s", [0.025, 1.0])
def test_the_wait_is_a_random_share_of_envoys_back_off(retries: int, bases: int, base_s: float) -> None:
    random.seed(retries)
    most_s = bases * base_s
    rules = RetryPolicy(attempts=99, back_off_s=base_s)
    found = [
        decide(rules, errors.CONNECT_FAILURE, b"GET", is_stale=False, retries=retries) for _ in range(500)
    ]
    waits = [retry.wait_s for retry in found if retry is not None]
    assert len(waits) == 500
    assert 0.0 <= min(waits) < most_s * 0.05
    assert most_s * 0.95 < max(waits) <= most_s
