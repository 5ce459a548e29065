"""The senders over an upstream connection: an exchange or a shadow, or once upgraded a tunnel."""

from __future__ import annotations

from typing import Protocol

from mirror_proxy.errors import Failure
from mirror_proxy.http1.response import ResponseHead


class Meter(Protocol):
    """The account for the time that a connection's callbacks take; `spent_s` is in seconds."""

    spent_s: float


class UpstreamStream(Protocol):
    """The sender of a request over the connection: an exchange or a shadow; with a `meter`, its time is measured."""

    @property
    def meter(self) -> Meter | None:
        """The mirror of a shadow; None for an exchange."""

    def on_informational(self, head: ResponseHead) -> None:
        """A 1xx other than 101."""

    def on_response(self, head: ResponseHead, data: bytes, end: bool) -> None:
        """The final response's head, with what came of its body's payload; `end`: that was all."""

    def on_response_data(self, data: bytes, end: bool) -> None:
        """More of the body's payload; with the end, a chunked response's `trailers` stand in its head."""

    def on_upgraded(self, head: ResponseHead, data: bytes) -> None:
        """A 101; the connection is a tunnel now, `data` its first bytes."""

    def on_upstream_failure(self, failure: Failure, is_stale: bool, detail: str) -> None:
        """The response will not be complete.

        `is_stale`: a kept connection failed before any of a response, as one does that the upstream had given up.
        `detail` names the rule that a malformed response broke, else it is empty.
        """

    def on_upstream_pressure(self, full: bool) -> None:
        """The upstream takes the request more slowly than it comes (`full`), or has caught up."""

    def on_deadline(self) -> None:
        """The connection's deadline, which the stream set, has passed."""


class UpstreamTunnel(Protocol):
    """A tunnel, as its upstream connection sees it."""

    def on_upstream_data(self, data: bytes) -> None:
        """Bytes from the upstream."""

    def on_upstream_eof(self) -> bool:
        """Handle the upstream's half-close; True keeps our side open."""

    def on_upstream_gone(self) -> None:
        """The upstream closed or reset."""

    def on_upstream_pressure(self, full: bool) -> None:
        """See `UpstreamStream`."""

    def on_deadline(self) -> None:
        """See `UpstreamStream`."""
