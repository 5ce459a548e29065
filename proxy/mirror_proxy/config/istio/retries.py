"""Retries: when and how often a request is tried again.

Sources: istio/api HTTPRetry, istio pkg/config/validation/agent/validation.go (`ValidateHTTPRetry`),
pilot/pkg/networking/core/route/retry/retry.go (`ConvertPolicy`).
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from mirror_proxy.config.istio.fields import go_duration
from mirror_proxy.config.model import STATUS_CODES, RetryPolicy
from mirror_proxy.config.schema import BOOLEAN, Field, Ignored, Record, Scalar

WORDS = frozenset(
    (
        *("5xx", "gateway-error", "reset", "reset-before-request", "connect-failure", "retriable-4xx"),
        *("refused-stream", STATUS_CODES, "retriable-headers", "envoy-ratelimited"),
        *("http3-post-connect-failure", "cancelled", "deadline-exceeded", "internal", "resource-exhausted"),
        "unavailable",
    )
)
STATUSES = frozenset(str(int(status)) for status in HTTPStatus)


def _retry_on(text: str) -> dict[str, Any]:
    """Return the words and status codes of `5xx,reset,503`; status codes imply their word."""
    if not text:
        return {}
    parts = frozenset(text.split(","))
    for part in text.split(","):
        if part not in WORDS | STATUSES:
            raise ValueError(f'"{part}" is not a valid retryOn policy')
    codes = frozenset(map(int, parts & STATUSES))
    return {"on": parts & WORDS | ({STATUS_CODES} if codes else frozenset()), "status_codes": codes}


def _attempts(value: int) -> int:
    if value < 0:
        raise ValueError("attempts cannot be negative")
    return value


def _retries(attempts: int = 0, conditions: dict[str, Any] | None = None, **values: Any) -> RetryPolicy:
    is_configured = conditions or "per_try_timeout_s" in values or "localities" in values
    if attempts == 0 and is_configured:
        raise ValueError("http retry policy configured when attempts are set to 0 (disabled)")
    values.pop("localities", None)
    return RetryPolicy(attempts, **(conditions or {}), **values)


RETRIES = Record(
    _retries,
    (
        Field("attempts", "attempts", Scalar(("integer",), _attempts)),
        Field("perTryTimeout", "per_try_timeout_s", go_duration()),
        Field("retryOn", "conditions", Scalar(("string",), _retry_on)),
        Field("backoff", "back_off_s", go_duration()),
        Field("retryIgnorePreviousHosts", "ignore_previous_hosts", BOOLEAN),
        Field("retryRemoteLocalities", "localities", Ignored()),
    ),
    is_proto=True,
    is_whole=True,
)
