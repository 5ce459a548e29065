"""What a client connection calls: an exchange, or a tunnel once the connection is upgraded."""

from __future__ import annotations

from typing import Protocol

from mirror_proxy.errors import BadMessageError


class DownstreamStream(Protocol):
    """The exchange, as its client connection sees it."""

    def on_request_data(self, data: bytes, end: bool) -> None:
        """More of the body's payload; `end` once, with the last of it (which may be empty)."""

    def on_request_broken(self, error: BadMessageError) -> None:
        """The body is malformed; the connection closes once this has responded or returned."""

    def on_client_gone(self) -> None:
        """The client left, or was cut off; nothing can be written any more."""

    def on_client_pressure(self, full: bool) -> None:
        """The client reads more slowly than we write (`full`), or has caught up."""

    def on_client_idle(self, uploading: bool) -> None:
        """Nothing moved for the idle time; `uploading`: the client owes us body."""


class DownstreamTunnel(Protocol):
    """A tunnel, as its client connection sees it."""

    def on_downstream_data(self, data: bytes) -> None:
        """Bytes from the client."""

    def on_downstream_eof(self) -> bool:
        """Handle the client's half-close; True keeps our side open."""

    def on_client_gone(self) -> None:
        """The client left."""

    def on_client_pressure(self, full: bool) -> None:
        """See `DownstreamStream`."""

    def on_client_idle(self, uploading: bool) -> None:
        """See `DownstreamStream`."""
