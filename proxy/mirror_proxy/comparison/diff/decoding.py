"""Undo Content-Encoding, with a bound on the decoded size. The only module that imports brotli and zstd.

A body that was cut short is decoded as far as it goes. One that is broken stays as it came, coded.
"""

from __future__ import annotations

import sys
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol

import brotli

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

#: No more comes out of a body; more than 16 times what is captured by default.
MAX_DECODED = 1 << 20

#: More codings on top of each other are not decoded.
_MAX_CODINGS = 4
#: Gzip members or zstd frames in a row; a body of thousands of empty ones would take long and give nothing.
_MAX_MEMBERS = 16
#: No window of zstd is larger in HTTP (RFC 9659).
_ZSTD: dict[int, int] = {zstd.DecompressionParameter.window_log_max: 23}

Bound = Literal["encoding", "bomb", "unknown_coding"]


@dataclass(frozen=True, slots=True)
class Decoded:
    """`body` is no longer coded if `bound` is None, or its beginning if that is `bomb`; else it is as it came."""

    body: bytes
    bound: Bound | None = None


def decode(body: bytes, codings: str, is_whole: bool = True) -> Decoded:
    """Undo `codings`, the value of Content-Encoding, the last one first."""
    names = [name for part in codings.split(",") if (name := part.strip().lower()) not in ("", "identity")]
    if not body or not names:
        return Decoded(body)
    if len(names) > _MAX_CODINGS or not _READERS.keys() >= set(names):
        return Decoded(body, "unknown_coding")
    try:
        return _undo(body, names, is_whole)
    except (zlib.error, brotli.error, zstd.ZstdError, EOFError):
        return Decoded(body, "encoding")


def _undo(body: bytes, names: list[str], is_whole: bool) -> Decoded:
    bound: Bound | None = None
    for name in reversed(names):
        body, is_ended = _READERS[name](body)
        if len(body) > MAX_DECODED:
            body, bound = body[:MAX_DECODED], "bomb"
        elif not is_ended and is_whole and bound is None:
            raise EOFError
    return Decoded(body, bound)


def _gzip(body: bytes) -> tuple[bytes, bool]:
    """Return what comes out, and whether that is all; so do those below."""
    return _in_a_row(body, lambda: zlib.decompressobj(16 + zlib.MAX_WBITS))


def _zstd(body: bytes) -> tuple[bytes, bool]:
    return _in_a_row(body, lambda: zstd.ZstdDecompressor(options=_ZSTD))


def _deflate(body: bytes) -> tuple[bytes, bool]:
    """With zlib's frame, as it is defined, or without, as some send it."""
    try:
        return _one(zlib.decompressobj(), body)
    except zlib.error:
        return _one(zlib.decompressobj(-zlib.MAX_WBITS), body)


def _brotli(body: bytes) -> tuple[bytes, bool]:
    """A body that was cut is decoded in pieces, by repeated calls."""
    reader = brotli.Decompressor()
    out, piece = bytearray(), reader.process(body, output_buffer_limit=MAX_DECODED + 1)
    while piece:
        out += piece
        is_ended = reader.is_finished() or len(out) > MAX_DECODED
        piece = b"" if is_ended else reader.process(b"", output_buffer_limit=MAX_DECODED + 1)
    return bytes(out), reader.is_finished()


def _in_a_row(body: bytes, reader: Callable[[], _Reader]) -> tuple[bytes, bool]:
    out = bytearray()
    for _ in range(_MAX_MEMBERS):
        member = reader()
        out += member.decompress(body, MAX_DECODED + 1 - len(out))
        body = member.unused_data
        if not member.eof or not body or len(out) > MAX_DECODED:
            return bytes(out), member.eof and not body
    raise EOFError


def _one(reader: _Reader, body: bytes) -> tuple[bytes, bool]:
    out = reader.decompress(body, MAX_DECODED + 1)
    if reader.unused_data:
        raise zlib.error("data behind the end")
    return out, reader.eof


class _Reader(Protocol):
    """A decompressor of the standard library's kind."""

    @property
    def eof(self) -> bool: ...

    @property
    def unused_data(self) -> bytes: ...

    def decompress(self, data: bytes, max_length: int, /) -> bytes: ...


_READERS: dict[str, Callable[[bytes], tuple[bytes, bool]]] = {
    "gzip": _gzip,
    "x-gzip": _gzip,
    "deflate": _deflate,
    "br": _brotli,
    "zstd": _zstd,
}
