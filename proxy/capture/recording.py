"""One response as it comes from its upstream: the head, the body's beginning by reference, its size in full.

The body of a request is kept in the same way.
"""

from __future__ import annotations

from proxy.capture.outlet import Outlet
from proxy.compare.pair import Answer
from proxy.http1 import framing
from proxy.http1.chunked import ChunkedReader
from proxy.http1.request import RequestHead
from proxy.http1.response import ResponseHead

#: What a piece takes in memory besides its bytes: an upstream may send very small ones.
_PIECE_BYTES = 48


class Recording:
    """Keeps up to `most` bytes of a body, without the chunks it came in: where those are cut means nothing.

    `is_whole`: the response came to its end. `is_lost`: it was given up, for captures held too much.
    """

    __slots__ = (
        "_chunked", "_fields", "_held", "_length", "_minor", "_most", "_outlet", "_pieces", "_size", "_status",
        "is_lost", "is_whole",
    )  # fmt: skip

    def __init__(self, outlet: Outlet, most: int, minor: int) -> None:
        """`minor` is the version of the request: to one of HTTP/1.0, bodies come without their chunks."""
        self._outlet = outlet
        self._most = most
        self._minor = minor
        self._status = self._size = self._held = 0
        self._length = -1
        self._fields = b""
        self._chunked: ChunkedReader | None = None
        self._pieces: list[bytes] = []
        self.is_lost = self.is_whole = False

    def begin(self, head: ResponseHead, pieces: list[bytes], end: bool) -> None:
        """Take the head, before it is changed, and the body if all of it came along; else `add` gets it."""
        self._status = head.status
        self._fields = head.fields
        self._length = head.length
        if head.framing == framing.CHUNKED and self._minor:
            self._chunked = ChunkedReader(payload_only=True, status=502)
        self.hold(len(head.fields))
        if end:
            self.add(pieces, end)

    def begin_request(self, head: RequestHead) -> None:
        """Take how long the body of a request is, and how it comes; `add` gets it."""
        self._length = head.length
        if head.framing == framing.CHUNKED:
            self._chunked = ChunkedReader(payload_only=True)

    def add(self, pieces: list[bytes], end: bool) -> None:
        """Take more of the body, as it was forwarded; nothing after its end."""
        if self.is_whole:
            return
        self.is_whole = end
        for piece in pieces:
            if self._chunked is None:
                self._take(piece)
                continue
            self._chunked.feed(piece)
            for part in self._chunked.pieces:
                self._take(part)

    def answer(self, duration_s: float) -> Answer:
        """Return what was kept; of a body that was cut off, the size is as said in its head, or the least it can be."""
        size = self._size if self.is_whole else max(self._length, self._size + 1)
        return Answer(self._status, self._fields[2:], b"".join(self._pieces), size, duration_s)

    def hold(self, size: int) -> None:
        """Account for `size` more bytes; give the response up when that is too much."""
        if self.is_lost:
            return
        outlet = self._outlet
        self._held += size
        outlet.held += size
        if outlet.held > outlet.limit:
            self.release()
            self.is_lost = True

    def release(self) -> None:
        """Let go of what was kept."""
        self._outlet.held -= self._held
        self._held = 0
        self._pieces = []

    def _take(self, piece: bytes) -> None:
        left = self._most - self._size
        self._size += len(piece)
        if left > 0 and not self.is_lost:
            kept = piece if len(piece) <= left else bytes(piece[:left])
            self._pieces.append(kept)
            self.hold(len(kept) + _PIECE_BYTES)
