"""Outcomes: what may become of a request on a mirrored route, for each mirror exactly one."""

from __future__ import annotations

OUTCOMES = (
    "completed", "timeout", "connect_error", "reset", "protocol_error", "lagged", "not_sampled", "disabled", "paused",
    "method", "upgrade", "connection_auth", "loop", "over_in_flight", "over_buffer", "over_rate", "breaker_open",
    "no_endpoint", "client_aborted", "no_primary", "shed", "draining",
)  # fmt: skip

#: Those of copies that were sent, or were to be, and failed; they count against a mirror's breaker.
FAILURES = frozenset({"connect_error", "timeout", "reset", "lagged", "protocol_error"})
