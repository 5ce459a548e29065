"""Record one response of an upstream: its head, the beginning of its body by reference, and the size of the body.

The body of a request is recorded in the same way.
"""

from __future__ import annotations

from time import monotonic

from mirror_proxy.comparison.capture.pair_sender import PairSender
from mirror_proxy.comparison.diff.pair import CapturedResponse
from mirror_proxy.flow import Pieces
from mirror_proxy.http1.request import RequestHead
from mirror_proxy.http1.response import ResponseHead


class Recording:
    """Keeps up to `most` bytes of a body.

    `is_whole`: the response has ended. `is_lost`: it was dropped, because captures used too much memory.
    """

    __slots__ = (
        "_began", "_body", "_fields", "_length", "_most", "_pair_sender", "_size", "_status", "_used_bytes",
        "is_lost", "is_whole",
    )  # fmt: skip

    def __init__(self, pair_sender: PairSender, most: int) -> None:
        self._pair_sender = pair_sender
        self._most = most
        self._status = self._size = self._used_bytes = 0
        self._length = -1
        self._began = 0.0
        self._fields = b""
        self._body = Pieces()
        self.is_lost = self.is_whole = False

    def begin(self, head: ResponseHead, data: bytes, end: bool) -> None:
        """Record the head, before it is changed, and the body if it is complete; else `add` gets the body."""
        self._began = monotonic()
        self._status = head.status
        self._fields = head.fields
        self._length = head.length
        self.count_bytes(len(head.fields))
        if end:
            self.add(data, end)

    def begin_request(self, head: RequestHead) -> None:
        """Record the length of a request's body; `add` gets the body."""
        self._length = head.length

    def add(self, data: bytes, end: bool) -> None:
        """Record more of the body; nothing after its end."""
        if self.is_whole:
            return
        self.is_whole = end
        left = self._most - self._size
        self._size += len(data)
        if data and left > 0 and not self.is_lost:
            kept = data if len(data) <= left else bytes(data[:left])
            self._body.add(kept)
            self.count_bytes(len(kept))

    def response(self, duration_s: float, started: float) -> CapturedResponse:
        """Return what was recorded of a request that `started` then.

        An unfinished body has the size that its head says, or at least what came.
        """
        size = self._size if self.is_whole else max(self._length, self._size)
        body = bytes(self._body.joined())
        first_byte_s = max(0.0, self._began - started)
        return CapturedResponse(
            self._status, self._fields[2:], body, size, duration_s, not self.is_whole, first_byte_s
        )

    def count_bytes(self, size: int) -> None:
        """Count `size` more bytes; drop the response if that exceeds the limit."""
        if self.is_lost:
            return
        pair_sender = self._pair_sender
        self._used_bytes += size
        pair_sender.used_bytes += size
        if pair_sender.used_bytes > pair_sender.limit:
            self.release()
            self.is_lost = True

    def release(self) -> None:
        """Release what was recorded."""
        self._pair_sender.used_bytes -= self._used_bytes
        self._used_bytes = 0
        self._body = Pieces()
