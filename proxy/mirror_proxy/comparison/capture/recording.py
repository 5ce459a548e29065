"""One response as it comes from its upstream: the head, the body's beginning by reference, its size in full.

The body of a request is kept in the same way.
"""

from __future__ import annotations

from mirror_proxy.comparison.capture.pair_sender import PairSender
from mirror_proxy.comparison.diff.pair import CapturedResponse
from mirror_proxy.flow import Pieces
from mirror_proxy.http1.request import RequestHead
from mirror_proxy.http1.response import ResponseHead


class Recording:
    """Keeps up to `most` bytes of a body.

    `is_whole`: the response came to its end. `is_lost`: it was given up, for captures held too much.
    """

    __slots__ = (
        "_body", "_fields", "_held", "_length", "_most", "_pair_sender", "_size", "_status", "is_lost", "is_whole",
    )  # fmt: skip

    def __init__(self, pair_sender: PairSender, most: int) -> None:
        self._pair_sender = pair_sender
        self._most = most
        self._status = self._size = self._held = 0
        self._length = -1
        self._fields = b""
        self._body = Pieces()
        self.is_lost = self.is_whole = False

    def begin(self, head: ResponseHead, data: bytes, end: bool) -> None:
        """Take the head, before it is changed, and the body if all of it came along; else `add` gets it."""
        self._status = head.status
        self._fields = head.fields
        self._length = head.length
        self.hold(len(head.fields))
        if end:
            self.add(data, end)

    def begin_request(self, head: RequestHead) -> None:
        """Take how long the body of a request is; `add` gets it."""
        self._length = head.length

    def add(self, data: bytes, end: bool) -> None:
        """Take more of the body's payload; nothing after its end."""
        if self.is_whole:
            return
        self.is_whole = end
        left = self._most - self._size
        self._size += len(data)
        if data and left > 0 and not self.is_lost:
            kept = data if len(data) <= left else bytes(data[:left])
            self._body.add(kept)
            self.hold(len(kept))

    def response(self, duration_s: float) -> CapturedResponse:
        """Return what was kept; of a body that was cut off, the size is as said in its head, or the least it can be."""
        size = self._size if self.is_whole else max(self._length, self._size + 1)
        return CapturedResponse(self._status, self._fields[2:], bytes(self._body.joined()), size, duration_s)

    def hold(self, size: int) -> None:
        """Account for `size` more bytes; give the response up when that is too much."""
        if self.is_lost:
            return
        pair_sender = self._pair_sender
        self._held += size
        pair_sender.held += size
        if pair_sender.held > pair_sender.limit:
            self.release()
            self.is_lost = True

    def release(self) -> None:
        """Let go of what was kept."""
        self._pair_sender.held -= self._held
        self._held = 0
        self._body = Pieces()
