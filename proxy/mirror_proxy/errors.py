"""Expected failures: of an upstream, of a message, of an operator's request.

The table of upstream failures is the one place that has the status, flag and text that a client gets. Statuses,
response flags and wording follow Envoy (`source/common/router/router.cc`, `source/common/http/utility.cc`,
`docs/.../access_log/usage`: response flags).
"""

from __future__ import annotations

from dataclasses import dataclass


class RefusedError(Exception):
    """An operator's request cannot be met, and nothing has changed; `more` lists, by name, what is possible."""

    def __init__(self, message: str, **more: object) -> None:
        super().__init__(message)
        self.more = more


class BadMessageError(Exception):
    """A message that HTTP/1.1 framing or our limits refuse; `status` is for a request's sender."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Failure:
    """An expected fault of an upstream, as a value.

    `kind` names it in logs, `outcome` is what it is called when it befell a shadow, and `unsent` says that
    nothing of the request can have reached the upstream, so that any request may be tried again.
    """

    kind: str
    status: int
    flag: str
    body: bytes
    outcome: str
    unsent: bool = False


_RESET_TEXT = b"upstream connect error or disconnect/reset before headers. reset reason: "

BAD_PATH = Failure("bad_path", 400, "DPE", b"NUL in path\n", "no_primary")
NO_ROUTE = Failure("no_route", 404, "NR", b"", "no_primary")
NO_HEALTHY_UPSTREAM = Failure(
    "no_healthy_upstream", 503, "UH", b"no healthy upstream", "no_endpoint", unsent=True
)
CONNECT_FAILURE = Failure(
    "connect_failure", 503, "UF", _RESET_TEXT + b"remote connection failure", "connect_error", unsent=True
)
CONNECT_TIMEOUT = Failure(
    "connect_timeout", 503, "UF", _RESET_TEXT + b"connection timeout", "connect_error", unsent=True
)
OVERFLOW = Failure("overflow", 503, "UO", _RESET_TEXT + b"overflow", "over_in_flight")
#: No descriptor is left for a connection: our fault, and no upstream's.
DESCRIPTORS = Failure("descriptors", 503, "UO", _RESET_TEXT + b"overflow", "over_in_flight")
RESET = Failure("reset", 503, "UC", _RESET_TEXT + b"connection termination", "reset")
PROTOCOL_ERROR = Failure("protocol_error", 502, "UPE", _RESET_TEXT + b"protocol error", "protocol_error")
TIMEOUT = Failure("timeout", 504, "UT", b"upstream request timeout", "timeout")
STREAM_IDLE = Failure("stream_idle", 504, "SI", b"stream timeout", "timeout")
REQUEST_IDLE = Failure("request_idle", 408, "SI", b"stream timeout", "client_aborted")
