"""One health check: a connection of its own, and with HTTP a request and the response's status."""

from __future__ import annotations

import asyncio
from typing import NamedTuple, cast

from mirror_proxy.config.model import Cluster, HttpHealthCheck
from mirror_proxy.errors import BadMessageError
from mirror_proxy.http1 import framing
from mirror_proxy.http1.chunked import ChunkedReader
from mirror_proxy.http1.response import ResponseHead, end_of_head, may_begin, read_response

PASSED, UNEXPECTED_STATUS, NETWORK_FAILURE, TIMEOUT = (
    "success", "unexpected_status", "network_failure", "timeout",
)  # fmt: skip

#: Of a longer body the rest is not awaited: the status decides.
MAX_BODY_BYTES = 64 * 1024


class CheckResult(NamedTuple):
    """The result of a check; `kind` is a label of the metric, `reason` is for people."""

    kind: str
    reason: str = ""


SUCCESS = CheckResult(PASSED)


def request_of(check: HttpHealthCheck, cluster: Cluster) -> bytes:
    """Serialize the request; the connection ends with its response."""
    return (
        f"GET {check.path} HTTP/1.1\r\nhost: {cluster.authority}\r\n"
        "user-agent: mirror-proxy-health-check\r\nconnection: close\r\n\r\n"
    ).encode()


def result_of(check: HttpHealthCheck, status: int) -> CheckResult:
    """Judge the status of a response."""
    if status in check.expected_statuses:
        return SUCCESS
    return CheckResult(UNEXPECTED_STATUS, f"status {status}")


class HealthCheckConnection(asyncio.Protocol):
    """Carries one check; `response` becomes the status of a whole response, or the reason why there is none."""

    def __init__(self, max_head_bytes: int, max_headers: int) -> None:
        self.response: asyncio.Future[int | str] = asyncio.get_running_loop().create_future()
        self.transport: asyncio.Transport | None = None
        self._max_head_bytes = max_head_bytes
        self._max_headers = max_headers
        self._buffer = bytearray()
        self._head_bytes = 0
        self._head: ResponseHead | None = None
        self._chunked: ChunkedReader | None = None
        self._body_bytes = 0

    def send(self, request: bytes) -> None:
        """Send the request."""
        if self.transport is not None:
            self.transport.write(request)

    def abort(self) -> None:
        """Close the connection, if there is one."""
        if self.transport is not None:
            self.transport.abort()

    # --- connection callbacks ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by the loop once connected (and, with TLS, shaken hands)."""
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Called by the loop with the bytes of one read."""
        if self.response.done():
            return
        try:
            if self._head is None:
                self._read_head(data)
            else:
                self._read_body(self._head, data)
        except BadMessageError as error:
            self._end(error.reason)

    def eof_received(self) -> None:
        """Called by the loop at the upstream's FIN."""
        if self._head is not None and self._head.framing == framing.UNTIL_CLOSE:
            self._end(self._head.status)
        else:
            self._end("the connection was closed before the response was complete")

    def connection_lost(self, exc: Exception | None) -> None:
        """Called by the loop when the connection is closed, by either side."""
        self._end(f"the connection was lost: {exc}" if exc else "the connection was closed")

    # --- reading ---

    def _end(self, response: int | str) -> None:
        if not self.response.done():
            self.response.set_result(response)

    def _read_head(self, data: bytes) -> None:
        """Read heads until a final one; 1xx are skipped, and count towards the limit of a head."""
        searched = len(self._buffer)
        self._buffer += data
        while (end := end_of_head(self._buffer, searched)) >= 0:
            self._head_bytes += end
            if self._head_bytes > self._max_head_bytes:
                break
            head = read_response(bytes(self._buffer[:end]), b"GET", self._max_headers)
            del self._buffer[:end]
            searched = 0
            if head.status >= 200 or head.status == 101:
                self._begin_body(head)
                return
        if self._head_bytes + len(self._buffer) > self._max_head_bytes:
            self._end("response head too large")
        elif not may_begin(self._buffer):
            self._end("malformed status line")

    def _begin_body(self, head: ResponseHead) -> None:
        self._head = head
        if head.framing == framing.CHUNKED:
            self._chunked = ChunkedReader(502)
        rest = bytes(self._buffer)
        self._buffer.clear()
        self._read_body(head, rest)

    def _read_body(self, head: ResponseHead, data: bytes) -> None:
        self._body_bytes += len(data)
        is_whole = self._body_bytes > MAX_BODY_BYTES or head.framing == framing.NONE
        if head.framing == framing.LENGTH:
            is_whole |= self._body_bytes >= head.length
        elif self._chunked is not None and not is_whole:
            at = 0
            while at < len(data) and not self._chunked.is_done:
                at = self._chunked.feed(data, at)
            is_whole = self._chunked.is_done
        if is_whole:
            self._end(head.status)
