"""Follow a chunked body (RFC 9112 §7.1) strictly enough to forward it as it came.

Bytes are handed on only after they were checked, so a malformed chunk never reaches a peer. Chunk extensions
are taken out (nobody downstream of us may read them otherwise than we do), trailer fields that would change
framing or routing as well.
"""

from __future__ import annotations

import re

from proxy.errors import BadMessageError

_SIZE_LINE = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(;[\t\x20-\x7e\x80-\xff]*)?")
_TRAILER_LINE = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[\t\x20-\x7e\x80-\xff]*")
_NOT_IN_TRAILERS = frozenset(
    {
        b"transfer-encoding", b"content-length", b"host", b"connection", b"keep-alive", b"te", b"trailer", b"upgrade",
        b"proxy-connection", b"authorization", b"cookie", b"set-cookie", b"content-encoding", b"content-type",
        b"content-range", b"x-forwarded-for", b"x-forwarded-proto", b"x-request-id", b"x-mirror-proxy-shadow",
    }
)  # fmt: skip
_MAX_SIZE_LINE = 4096
_MAX_TRAILERS = 16 * 1024

_SIZE, _DATA, _AFTER_DATA, _TRAILER, _DONE = range(5)


class ChunkedReader:
    """Where we are in one chunked body."""

    __slots__ = ("_left", "_line", "_payload_only", "_state", "_status", "_trailer_bytes", "pieces")

    def __init__(self, *, payload_only: bool = False, status: int = 400) -> None:
        self._payload_only = payload_only
        self._status = status
        self._state = _SIZE
        self._left = 0
        self._line = b""
        self._trailer_bytes = 0
        self.pieces: list[bytes] = []

    def feed(self, data: bytes) -> int:
        """Take the next bytes; return where in them the body ends, or -1 while it goes on.

        `pieces` then holds what to forward: wire bytes, or only the payload with `payload_only`. Raises
        `BadMessageError`; nothing of `data` may be forwarded then.
        """
        pieces: list[bytes] = []
        clean = not self._line
        size = len(data)
        at = 0
        while at < size and self._state != _DONE:
            if self._state == _DATA:
                end = at + self._left
                pieces.append(data if at == 0 and end >= size else data[at:end])
                taken = min(end, size) - at
                self._left -= taken
                at += taken
                if self._left == 0:
                    self._state = _AFTER_DATA
                continue
            newline = data.find(b"\n", at)
            line = self._line + data[at : newline if newline >= 0 else size]
            if len(line) > _MAX_SIZE_LINE:
                raise BadMessageError(self._status, "chunk header or trailer field too long")
            if newline < 0:
                if b"\r" in line[:-1]:
                    raise BadMessageError(self._status, "bare CR in chunked body")
                if self._state == _AFTER_DATA and line != b"\r":
                    raise BadMessageError(self._status, "chunk longer than its size")
                self._line = line
                clean = False
                break
            if not line.endswith(b"\r"):
                raise BadMessageError(self._status, "bare LF in chunked body")
            self._line = b""
            at = newline + 1
            clean &= self._on_line(line[:-1], pieces)
        end = at if self._state == _DONE else -1
        if clean and not self._payload_only:
            self.pieces = [data if end < 0 or end == size else data[:end]]
        else:
            self.pieces = pieces
        return end

    def _on_line(self, line: bytes, pieces: list[bytes]) -> bool:
        """Take one complete line; return False when it may not be forwarded as it is."""
        if self._state == _SIZE:
            return self._on_size(line, pieces)
        if self._state == _AFTER_DATA:
            if line:
                raise BadMessageError(self._status, "chunk longer than its size")
            self._state = _SIZE
            if not self._payload_only:
                pieces.append(b"\r\n")
            return True
        return self._on_trailer(line, pieces)

    def _on_size(self, line: bytes, pieces: list[bytes]) -> bool:
        match = _SIZE_LINE.fullmatch(line)
        if match is None:
            raise BadMessageError(self._status, "malformed chunk size")
        self._left = int(match[1], 16)
        self._state = _DATA if self._left else _TRAILER
        if not self._payload_only:
            pieces.append(match[1] + b"\r\n")
        return len(match[1]) == len(line)

    def _on_trailer(self, line: bytes, pieces: list[bytes]) -> bool:
        keep = not self._payload_only
        if not line:
            self._state = _DONE
            if keep:
                pieces.append(b"\r\n")
            return True
        match = _TRAILER_LINE.fullmatch(line)
        self._trailer_bytes += len(line)
        if match is None:
            raise BadMessageError(self._status, "malformed trailer field")
        if self._trailer_bytes > _MAX_TRAILERS:
            raise BadMessageError(431 if self._status == 400 else self._status, "trailer fields too large")
        if match[1].lower() in _NOT_IN_TRAILERS:
            return False
        if keep:
            pieces.append(line + b"\r\n")
        return True
