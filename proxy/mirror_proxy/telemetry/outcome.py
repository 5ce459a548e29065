"""Outcomes: the ends of a request on a mirrored route, exactly one for each mirror."""

from __future__ import annotations

#: In the order of the README's table: responses, failures, refusals by the mirror's settings, limits, the rest.
OUTCOMES = (
    "completed",
    "reply_cut",
    "timeout",
    "connect_error",
    "reset",
    "protocol_error",
    "lagged",
    "not_sampled",
    "disabled",
    "paused",
    "method",
    "upgrade",
    "connection_auth",
    "loop",
    "over_in_flight",
    "over_buffer",
    "over_size",
    "over_rate",
    "breaker_open",
    "no_endpoint",
    "client_aborted",
    "primary_answered_early",
    "no_primary",
    "shed",
    "draining",
)

#: Outcomes of shadows whose response's head came in time.
RESPONDED = frozenset({"completed", "reply_cut"})
#: Outcomes of shadows that failed; they count against a mirror's breaker.
FAILURES = frozenset({"connect_error", "timeout", "reset", "lagged", "protocol_error"})
