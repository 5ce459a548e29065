"""A client connection for which there is no room: it gets one response that says so.

The response waits for the request, as a client may take what comes before it asked for a fault of the connection. A
client that asks nothing for a second gets it all the same.
"""

from __future__ import annotations

import asyncio
from time import monotonic
from typing import TYPE_CHECKING, cast

from proxy.clock import NEVER
from proxy.http1 import serializer

if TYPE_CHECKING:
    from proxy.downstream.door import Door

#: How long a client may take to ask, and then to read the response.
PATIENCE_S = 1.0

#: Envoy's, when its overload manager stops accepting requests.
_OVERLOADED = serializer.local_reply(
    503, b"too many connections\n", keep_alive=False, lines=(b"x-envoy-local-overloaded: true",)
)


class Refusal(asyncio.Protocol):
    """Owns one client transport until it has answered; what the client sends is dropped."""

    __slots__ = ("_door", "_has_answered", "_transport", "alarm", "deadline")

    def __init__(self, door: Door) -> None:
        self._door = door
        self._has_answered = False
        self._transport: asyncio.Transport
        self.deadline = self.alarm = NEVER

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wait for the request."""
        self._transport = cast("asyncio.Transport", transport)
        self._door.wheel.set(self, monotonic() + PATIENCE_S)

    def data_received(self, data: bytes) -> None:  # noqa: ARG002 - asyncio's signature
        """Answer what begins to come, and read on, so that no reset overtakes the response."""
        self._answer()

    def eof_received(self) -> bool:
        """Answer a client that has sent all it will; then close."""
        self._answer()
        return False

    def on_deadline(self) -> None:
        """Answer a client that is silent; cut one off that is not gone yet."""
        if self._has_answered:
            self._transport.abort()
        else:
            self._answer()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        """Make room for another refusal."""
        self._door.wheel.forget(self)
        self._door.on_refused()

    def _answer(self) -> None:
        if self._has_answered:
            return
        self._has_answered = True
        self._transport.write(_OVERLOADED)
        if self._transport.can_write_eof():
            self._transport.write_eof()
        else:
            self._transport.close()
        self._door.wheel.set(self, monotonic() + PATIENCE_S)
