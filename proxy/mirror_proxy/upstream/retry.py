"""Decide if a failed attempt is followed by another: the one table.

| failure                           | retried when                                                  | reason           |
|-----------------------------------|---------------------------------------------------------------|------------------|
| no connection                     | `connect-failure`, or a word of the row below; any method     | connect_failure  |
| reset, malformed response         | `reset`, `5xx`, `gateway-error`                               | reset            |
| a try's own timeout               | the same                                                      | per_try_timeout  |
| reset, malformed response or 408  | once, idempotent methods, whatever the policy: the upstream   | stale_connection |
| first on a reused connection      | had given the connection up before the request came           |                  |
| 5xx                               | `5xx`                                                         | 5xx              |
| 502, 503, 504                     | `gateway-error`                                               | gateway_error    |
| 409                               | `retriable-4xx`                                               | retriable_4xx    |
| one of the policy's status codes  | `retriable-status-codes`                                      | retriable_status |
| a response `x-envoy-ratelimited`  | `envoy-ratelimited`, and by no other word                     | ratelimited      |
| no endpoint, too many requests,   | never                                                         |                  |
| the request's own timeout         |                                                               |                  |

The rules are Envoy's (`source/common/router/retry_state_impl.cc`); all but `stale_connection` use up one of the
policy's attempts. With `reset-before-request` a failure to connect is retried too. `refused-stream` and gRPC's words
speak of HTTP/2, which no upstream is spoken to, and `retriable-headers` of headers that Istio cannot name: they never
apply. A body is sent again only from what was kept of it (`limits.retryBufferBytes`).
"""

from __future__ import annotations

import random
from typing import NamedTuple

from mirror_proxy import errors
from mirror_proxy.config.model import RetryPolicy
from mirror_proxy.errors import Failure

#: RFC 9110 §9.2.2.
IDEMPOTENT = frozenset({b"GET", b"HEAD", b"OPTIONS", b"TRACE", b"PUT", b"DELETE"})

_ON_RESET = frozenset({"reset", "5xx", "gateway-error"})
_ON_CONNECT = _ON_RESET | {"connect-failure", "reset-before-request"}
_BY_STATUS = {
    "5xx": (frozenset(range(500, 600)), "5xx"),
    "gateway-error": (frozenset({502, 503, 504}), "gateway_error"),
    "retriable-4xx": (frozenset({409}), "retriable_4xx"),
}
_ON_STATUS = frozenset(_BY_STATUS) | {"retriable-status-codes", "envoy-ratelimited"}

#: What a kept connection does that the upstream had given up: it closes, or says so (a 408, garbage) and closes.
_ON_STALE = frozenset({errors.RESET, errors.PROTOCOL_ERROR})
_BY_FAILURE = {
    errors.CONNECT_FAILURE: (_ON_CONNECT, "connect_failure"),
    errors.CONNECT_TIMEOUT: (_ON_CONNECT, "connect_failure"),
    errors.RESET: (_ON_RESET, "reset"),
    errors.PROTOCOL_ERROR: (_ON_RESET, "reset"),
    errors.TIMEOUT: (_ON_RESET, "per_try_timeout"),
}

#: Envoy's cap on the back-off, in base intervals.
_MAX_BASES = 10

STALE = "stale_connection"


class Retry(NamedTuple):
    """Another attempt: the `reason`, as metrics name it, and the time to wait before."""

    reason: str
    wait_s: float


def decide(
    policy: RetryPolicy, failure: Failure, method: bytes, *, is_stale: bool, retries: int
) -> Retry | None:
    """Decide on a retry after a failure before the response's head.

    `retries` were made already, without those for `STALE`. `errors.TIMEOUT` stands for a try's own timeout here.
    """
    if is_stale and failure in _ON_STALE and method in IDEMPOTENT:
        return Retry(STALE, 0.0)
    words, reason = _BY_FAILURE.get(failure, (frozenset(), None))
    if reason is None or retries >= policy.attempts or not policy.on & words:
        return None
    return Retry(reason, _back_off_s(policy, retries))


def watches_status(policy: RetryPolicy) -> bool:
    """Return whether any status can lead to a retry: if not, `decide_on_response` need not be called."""
    return policy.attempts > 0 and bool(policy.on & _ON_STATUS)


def decide_on_response(policy: RetryPolicy, status: int, fields: bytes, *, retries: int) -> Retry | None:
    """Decide on a retry after a response's head; `fields` as in `ResponseHead`."""
    reason = _reason_in_response(policy, status, fields) if retries < policy.attempts else None
    return Retry(reason, _back_off_s(policy, retries)) if reason is not None else None


def _reason_in_response(policy: RetryPolicy, status: int, fields: bytes) -> str | None:
    on = policy.on
    if b"\r\nx-envoy-ratelimited:" in fields.lower():
        return "ratelimited" if "envoy-ratelimited" in on else None
    for word, (statuses, reason) in _BY_STATUS.items():
        if status in statuses and word in on:
            return reason
    listed = status in policy.status_codes and "retriable-status-codes" in on
    return "retriable_status" if listed else None


def _back_off_s(policy: RetryPolicy, retries: int) -> float:
    """Return the back-off in seconds after `retries` retries: a random share of 2^n - 1 bases, at most of ten."""
    return random.uniform(0.0, policy.back_off_s * min((1 << (retries + 1)) - 1, _MAX_BASES))  # noqa: S311 - jitter
