"""An upgraded connection: bytes both ways, back-pressure, half-close. Nothing of it is mirrored."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic

from mirror_proxy import flow
from mirror_proxy.downstream.connection import DownstreamConnection
from mirror_proxy.http1.response import ResponseHead
from mirror_proxy.upstream.connection import UpstreamConnection


class Tunnel:
    """Couples a client connection and an upstream connection until both sides are closed."""

    __slots__ = (
        "_done", "_down", "_down_open", "_idle_s", "_on_end", "_up", "_up_open", "received_bytes", "sent_bytes",
    )  # fmt: skip

    def __init__(
        self,
        down: DownstreamConnection,
        up: UpstreamConnection,
        on_end: Callable[[int, int], None],
        idle_s: float,
    ) -> None:
        self._down = down
        self._up = up
        self._on_end = on_end
        self._idle_s = idle_s
        self._down_open = self._up_open = True
        self._done = False
        self.received_bytes = self.sent_bytes = 0

    def on_downstream_data(self, data: bytes) -> None:
        """Pass the client's bytes on."""
        self.received_bytes += len(data)
        self._up.transport.write(data)
        self._up.set_deadline(monotonic() + self._idle_s)

    def on_upstream_data(self, data: bytes) -> None:
        """Pass the upstream's bytes on."""
        self.sent_bytes += len(data)
        self._down.write(data)
        self._up.set_deadline(monotonic() + self._idle_s)

    def on_downstream_eof(self) -> bool:
        """Half-close towards the upstream, keep the other direction."""
        self._down_open = False
        return self._half_close(self._up.transport.write_eof)

    def on_upstream_eof(self) -> bool:
        """Half-close towards the client, keep the other direction."""
        self._up_open = False
        return self._half_close(self._down.transport.write_eof)

    def on_client_gone(self) -> None:
        """The client's connection is closed."""
        self._end()

    def on_upstream_gone(self) -> None:
        """The upstream's connection is closed."""
        self._end()

    def on_client_pressure(self, full: bool) -> None:
        """Slow the upstream to the client's pace."""
        if full:
            self._up.pause()
        else:
            self._up.resume()

    def on_upstream_pressure(self, full: bool) -> None:
        """Slow the client to the upstream's pace."""
        if full:
            self._down.pause(flow.PEER_FULL)
        else:
            self._down.resume(flow.PEER_FULL)

    def on_client_idle(self, uploading: bool) -> None:  # noqa: ARG002 - the stream's signature
        """The client took nothing for the idle time."""
        self._cut()

    def on_deadline(self) -> None:
        """Nothing moved for the idle time."""
        self._cut()

    def _half_close(self, write_eof: Callable[[], None]) -> bool:
        """Pass a FIN on; False once nothing is left to carry (TLS knows no half-close, on either side)."""
        can_half_close = self._down.transport.can_write_eof() and self._up.transport.can_write_eof()
        if can_half_close and (self._down_open or self._up_open):
            write_eof()
            return True
        self._end()
        return False

    def _end(self) -> None:
        if self._done:
            return
        self._done = True
        self._down.close()
        self._up.transport.close()
        self._on_end(self.received_bytes, self.sent_bytes)

    def _cut(self) -> None:
        """End it and do not wait for what is unsent."""
        self._end()
        self._down.transport.abort()
        self._up.transport.abort()


def open_tunnel(
    down: DownstreamConnection,
    up: UpstreamConnection,
    head: ResponseHead,
    data: bytes,
    on_end: Callable[[int, int], None],
    idle_s: float,
) -> None:
    """Forward the upstream's 101 (`head`) and couple the two connections; `data` came with it.

    The tunnel is closed when nothing has moved for `idle_s`.
    """
    down.write(
        b"%b%bconnection: Upgrade\r\nupgrade: %b\r\n\r\n" % (head.status_line, head.fields, head.upgrade)
    )
    tunnel = Tunnel(down, up, on_end, idle_s)
    up.start_tunnel(tunnel)
    up.set_deadline(monotonic() + idle_s)
    down.start_tunnel(tunnel)
    if data:
        tunnel.on_upstream_data(data)
