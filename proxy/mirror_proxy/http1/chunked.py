"""Read a chunked body (RFC 9112 §7.1): return its payload, never its framing.

Forwarded bodies are framed anew (`serializer.chunk`), so a peer that parses sizes, extensions or trailers differently
from this proxy never sees the original ones. Work is bounded twice: one call reads at most `SLICE_LINES` lines, and a
body whose framing outweighs its payload is refused.
"""

from __future__ import annotations

import re
from typing import cast

from mirror_proxy.errors import BadMessageError

#: Lines that one call reads (a chunk has two): about 0.1 ms (`python -m benchmarks.hostile --kind chunks_1`).
SLICE_LINES = 256

_SIZE_LINE = re.compile(rb"(?=[0-9A-Fa-f])0*+([0-9A-Fa-f]{0,8}+)[ \t]*+(?:;[\t\x20-\x7e\x80-\xff]*+)?\r\n")
_TRAILER_LINE = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[ \t]*([\t\x20-\x7e\x80-\xff]*)\r\n")
#: Trailers may not frame, route, authenticate or describe a message (RFC 9110 §6.5.1), nor set what proxies set.
_NOT_IN_TRAILERS = re.compile(
    rb"(?i:transfer-encoding|content-(?:length|encoding|type|range)|host|connection|keep-alive|te|trailer|upgrade"
    rb"|proxy-.*|authorization|cookie|set-cookie|expect|x-request-id|x-(?:forwarded|envoy|mirror-proxy)-.*)"
)
_MAX_SIZE = 2**31 - 1
_MAX_LINE = 4096
_MAX_TRAILER_BYTES = 16 * 1024
_MAX_TRAILER_LINES = 100
#: Framing beyond `_FREE_OVERHEAD` bytes and twice the payload of each chunk, over a whole body. Go's rule
#: (net/http/internal/chunked.go): one byte a chunk always passes, extensions that carry data of their own do not.
_MAX_EXCESS = 16 * 1024
_FREE_OVERHEAD = 16
#: A larger piece is a view, not a copy, until the pieces of a read are joined.
_WORTH_A_VIEW = 4096

_SIZE, _DATA, _AFTER_DATA, _TRAILER = range(4)


class ChunkedReader:
    """The position in one chunked body.

    After `feed`, `payload` is the payload of the bytes just read. Once `is_done`, `trailers` are the fields that may be
    forwarded, as lines that each end with CRLF.
    """

    __slots__ = (
        "_excess", "_left", "_line", "_state", "_status", "_trailer_bytes", "_trailer_lines", "is_done", "payload",
        "trailers",
    )  # fmt: skip

    def __init__(self, status: int = 400) -> None:
        """Begin a body; `status` is the status of the error that a malformed body raises."""
        self._status = status
        self._state = _SIZE
        self._left = self._excess = self._trailer_bytes = self._trailer_lines = 0
        self._line = b""
        self.is_done = False
        self.payload = self.trailers = b""

    def feed(self, data: bytes | bytearray, at: int = 0) -> int:
        """Read `data` from `at` on; return where reading stopped.

        Reading stops at the end of `data`, at the body's end (`is_done`), or after `SLICE_LINES` lines; the caller
        then feeds the rest again. Raises `BadMessageError`; no payload of that call may be forwarded.
        """
        parts: list[bytes | bytearray | memoryview] = []
        stop = self._read(data, at, parts)
        if len(parts) == 1 and isinstance(data, bytes):
            self.payload = cast("bytes", parts[0])  # or a view: callers only measure, cut and write it
        else:
            self.payload = b"".join(parts)
        return stop

    def _read(self, data: bytes | bytearray, at: int, parts: list[bytes | bytearray | memoryview]) -> int:
        size, lines = len(data), SLICE_LINES
        while at < size and lines > 0 and not self.is_done:
            if self._state == _DATA:
                end = min(at + self._left, size)
                parts.append(memoryview(data)[at:end] if end - at > _WORTH_A_VIEW else data[at:end])
                self._left -= end - at
                at = end
                if not self._left:
                    self._state = _AFTER_DATA
                continue
            match = (
                _SIZE_LINE.match(data, at, at + _MAX_LINE)
                if self._state == _SIZE and not self._line
                else None
            )
            if match is None:
                at = self._read_line(data, at)
                lines -= 1
                continue
            start = match.end()
            self._begin_chunk(match[1], start - at)
            end = start + self._left
            if self._left <= _WORTH_A_VIEW and data[end : end + 2] == b"\r\n" and self._left:
                parts.append(
                    data[start:end]
                )  # a small chunk in one piece: what a flood of chunks consists of
                self._state, self._left = _SIZE, 0
                at = end + 2
            else:
                at = start
            lines -= 2
        return at

    def _read_line(self, data: bytes | bytearray, at: int) -> int:
        """Read a line, or its part in `data`; return where reading stopped."""
        newline = data.find(b"\n", at, at + _MAX_LINE)
        end = newline + 1 if newline >= 0 else len(data)
        if len(self._line) + end - at > _MAX_LINE:
            raise BadMessageError(self._status, "chunk header or trailer field too long")
        line = self._line + data[at:end]
        if newline < 0:
            if b"\r" in line[:-1]:
                raise BadMessageError(self._status, "bare CR in chunked body")
            if self._state == _AFTER_DATA and line != b"\r":
                raise BadMessageError(self._status, "chunk longer than its size")
            self._line = line
            return end
        self._line = b""
        if not line.endswith(b"\r\n"):
            raise BadMessageError(self._status, "bare LF in chunked body")
        self._on_line(line)
        return end

    def _on_line(self, line: bytes) -> None:
        if self._state == _SIZE:
            match = _SIZE_LINE.fullmatch(line)
            if match is None:
                raise BadMessageError(self._status, "malformed chunk size")
            self._begin_chunk(match[1], len(line))
        elif self._state == _TRAILER:
            self._on_trailer(line)
        elif line == b"\r\n":
            self._state = _SIZE
        else:
            raise BadMessageError(self._status, "chunk longer than its size")

    def _begin_chunk(self, digits: bytes, line_bytes: int) -> None:
        size = self._left = int(digits or b"0", 16)
        if size > _MAX_SIZE:
            raise BadMessageError(self._status, "chunk size over 2^31-1")
        self._excess = max(self._excess + line_bytes + 2 - _FREE_OVERHEAD - 2 * size, 0)
        if self._excess > _MAX_EXCESS:
            raise BadMessageError(self._status, "chunked body with more framing than payload")
        self._state = _DATA if size else _TRAILER

    def _on_trailer(self, line: bytes) -> None:
        if line == b"\r\n":
            self.is_done = True
            return
        match = _TRAILER_LINE.fullmatch(line)
        if match is None:
            raise BadMessageError(self._status, "malformed trailer field")
        self._trailer_bytes += len(line)
        self._trailer_lines += 1
        if self._trailer_bytes > _MAX_TRAILER_BYTES or self._trailer_lines > _MAX_TRAILER_LINES:
            raise BadMessageError(431 if self._status == 400 else self._status, "trailer fields too large")
        if not _NOT_IN_TRAILERS.fullmatch(match[1]):
            self.trailers += b"%b: %b\r\n" % (match[1], match[2].rstrip(b" \t"))
