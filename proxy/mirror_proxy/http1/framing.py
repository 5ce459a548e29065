"""How messages are framed, and what requests and responses have in common.

Rules for editing `request` and `response`. One: everything that decides where a message ends stands there
(RFC 9112 §6), in one pass over the lines. Two: what is ambiguous is refused, never repaired; a peer that
disagrees with us about an end is how requests are smuggled. Three: a head stays the bytes it came as, order and
duplicates included; only hop-by-hop fields (RFC 9110 §7.6.1) are cut out.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TypeVar, cast

CRLF = b"\r\n"
END_OF_HEAD = b"\r\n\r\n"

#: How a body ends.
NONE, LENGTH, CHUNKED, UNTIL_CLOSE = range(4)

#: Nominating one of these in Connection would let a client take out what we or the origin rely on.
NOT_NOMINABLE = frozenset(
    {
        b"host", b"content-length", b"transfer-encoding", b"forwarded", b"x-forwarded-for", b"x-forwarded-host",
        b"x-forwarded-port", b"x-forwarded-proto", b"x-request-id", b"x-mirror-proxy-via", b"cookie",
        b"authorization", b"expect", b"close", b"keep-alive", b"upgrade", b"te",
    }
)  # fmt: skip

_EMPTY = frozenset({b""})
_MAX_LENGTH_DIGITS = 18
_WORTH_A_VIEW = 16 * 1024
_BARE_NEWLINE = re.compile(rb"(?<!\r)\n|\r(?!\n|\Z)")  # at the end, LF may still follow

_M = TypeVar("_M")


class Memo(dict[bytes, _M]):
    """Remembers what was found out about a line: most lines of most heads come again and again.

    Only short lines are kept, and all are forgotten when there are too many, so no peer can fill it for good.
    """

    _MAX_LINES = 4096
    _MAX_LINE_BYTES = 128

    def __init__(self, find_out: Callable[[bytes], _M]) -> None:
        super().__init__()
        self._find_out = find_out

    def __missing__(self, line: bytes) -> _M:
        found = self._find_out(line)
        if len(line) <= self._MAX_LINE_BYTES:
            if len(self) >= self._MAX_LINES:
                self.clear()
            self[line] = found
        return found


def has_bare_newline(raw: bytes | bytearray, at: int = 0) -> bool:
    """Return whether a head that is not complete yet has a bare CR or LF from `at` on: it would never be valid."""
    return _BARE_NEWLINE.search(raw, at) is not None


def is_length(value: bytes) -> bool:
    """Return whether `value` is a Content-Length (RFC 9110 §8.6)."""
    return value.isdigit() and len(value) <= _MAX_LENGTH_DIGITS


def tokens_of(value: bytes) -> frozenset[bytes]:
    """Give the members of a list of tokens, lower case; no step of Python for each, of which a head may have 32 000."""
    return frozenset(value.lower().translate(None, b" \t").split(b",")) - _EMPTY


def cut(data: bytes | bytearray, at: int, stop: int) -> bytes:
    """Return `data[at:stop]`, a large piece of bytes as a view.

    Copying 64 KiB costs as much as the rest of its parsing.
    """
    if type(data) is bytearray:
        return bytes(data[at:stop])  # the bytearray will change
    if stop - at > _WORTH_A_VIEW and at:
        return cast("bytes", memoryview(data)[at:stop])  # callers only measure, cut and write it
    return data[at:stop]  # type: ignore[return-value]  # no bytearray; data itself, where that is all of it


def keep(buffer: bytearray, data: bytes | bytearray, at: int) -> None:
    """Keep `data[at:]` in `buffer`, which may be `data` itself."""
    if data is buffer:
        del buffer[:at]
    else:
        buffer += memoryview(data)[at:]


def lines_of(fields: bytes) -> list[bytes]:
    """Cut a block of fields into its lines."""
    return fields[2:-2].split(CRLF) if len(fields) > len(CRLF) else []


def block_of(lines: list[bytes]) -> bytes:
    """Join lines to a block of fields: a line end before, between and after them."""
    return CRLF.join([b"", *lines, b""]) if lines else CRLF


def without(fields: bytes, names: frozenset[bytes]) -> bytes:
    """Take every line out of a block of fields whose name (lower case) is in `names`."""
    return block_of([line for line in lines_of(fields) if line.partition(b":")[0].lower() not in names])
