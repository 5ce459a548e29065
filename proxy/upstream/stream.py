"""Who sends over an upstream connection: an exchange or a shadow, or once upgraded a tunnel."""

from __future__ import annotations

from typing import Protocol

from proxy.errors import Failure
from proxy.http1.response import ResponseHead


class UpstreamStream(Protocol):
    """Whoever sends a request over the connection: an exchange or a shadow."""

    def on_informational(self, head: ResponseHead) -> None:
        """A 1xx other than 101."""

    def on_response(self, head: ResponseHead, pieces: list[bytes], end: bool) -> None:
        """The final response's head, with what came of its body; `end`: that was all."""

    def on_response_data(self, pieces: list[bytes], end: bool) -> None:
        """More of the response's body."""

    def on_upgraded(self, head: ResponseHead, data: bytes) -> None:
        """A 101; the connection is a tunnel now, `data` its first bytes."""

    def on_upstream_failure(self, failure: Failure, reused: bool) -> None:
        """The response will not be complete; `reused`: not the connection's first request."""

    def on_upstream_pressure(self, full: bool) -> None:
        """The upstream takes the request more slowly than it comes (`full`), or has caught up."""

    def on_deadline(self) -> None:
        """The connection's deadline, which the stream set, has passed."""


class Passage(Protocol):
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
