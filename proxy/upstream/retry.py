"""Whether a failed attempt is worth another: the one table.

| failure                       | retried when                                              | reason             |
|-------------------------------|-----------------------------------------------------------|--------------------|
| nothing was sent              | attempts are left (Istio's default: two more), any method | connect_failure    |
| reset on a reused connection  | once, idempotent methods: the idle close crossed with us  | stale_connection   |
| anything else                 | never                                                     |                    |

A body is sent again only from what was kept of it (`limits.retryBufferBytes`).
"""

from __future__ import annotations

import random

from proxy import errors
from proxy.errors import Failure

#: RFC 9110 §9.2.2.
IDEMPOTENT = frozenset({b"GET", b"HEAD", b"OPTIONS", b"TRACE", b"PUT", b"DELETE"})

#: Envoy's retry back-off: a random share of (2^n - 1) x 25 ms, at most 250 ms.
_BASE_S = 0.025
_MAX_S = 0.25


def reason_to_retry(
    failure: Failure, method: bytes, *, reused: bool, retries: int, attempts: int
) -> str | None:
    """Say why to try again, or None. `retries` were made already, `attempts` are allowed."""
    if failure.unsent and failure is not errors.NO_HEALTHY_UPSTREAM and retries < attempts:
        return "connect_failure"
    if failure is errors.RESET and reused and method in IDEMPOTENT:
        return "stale_connection"
    return None


def back_off_s(retries: int) -> float:
    """Seconds to wait before the retry after `retries` others."""
    return random.uniform(0.0, min(((1 << (retries + 1)) - 1) * _BASE_S, _MAX_S))  # noqa: S311 - jitter
