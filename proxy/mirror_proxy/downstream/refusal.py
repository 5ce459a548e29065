"""Refuse a client connection over the limit with one 503 response.

The response waits for the request, since a client may treat a response before its request as a connection error. A
client that sends nothing for `PATIENCE_S` gets the response anyway.
"""

from __future__ import annotations

import asyncio
from time import monotonic
from typing import TYPE_CHECKING, cast

from mirror_proxy.clock import NEVER
from mirror_proxy.http1 import serializer

if TYPE_CHECKING:
    from mirror_proxy.downstream.state import DownstreamState

#: Time for a client to send its request, and then to read the response.
PATIENCE_S = 1.0

#: The header is the one that Envoy's overload manager sets.
_OVERLOADED = serializer.local_reply(
    503, b"too many connections\n", keep_alive=False, lines=(b"x-envoy-local-overloaded: true",)
)


class RefusedConnection(asyncio.Protocol):
    """Owns one client transport until the response is sent; whatever the client sends is dropped."""

    __slots__ = ("_downstream", "_has_responded", "_transport", "alarm", "deadline")

    def __init__(self, downstream: DownstreamState) -> None:
        self._downstream = downstream
        self._has_responded = False
        self._transport: asyncio.Transport
        self.deadline = self.alarm = NEVER

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wait for the request."""
        self._transport = cast("asyncio.Transport", transport)
        self._downstream.wheel.set(self, monotonic() + PATIENCE_S)

    def data_received(self, data: bytes) -> None:  # noqa: ARG002 - asyncio's signature
        """Respond to the first bytes, and read on, so that no reset overtakes the response."""
        self._respond()

    def eof_received(self) -> bool:
        """Respond to a client that has sent its FIN; then close."""
        self._respond()
        return False

    def on_deadline(self) -> None:
        """Respond to a silent client; abort a connection that is still open after the response."""
        if self._has_responded:
            self._transport.abort()
        else:
            self._respond()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        """Make room for the next refusal."""
        self._downstream.wheel.forget(self)
        self._downstream.on_refused()

    def _respond(self) -> None:
        if self._has_responded:
            return
        self._has_responded = True
        self._transport.write(_OVERLOADED)
        if self._transport.can_write_eof():
            self._transport.write_eof()
        else:
            self._transport.close()
        self._downstream.wheel.set(self, monotonic() + PATIENCE_S)
