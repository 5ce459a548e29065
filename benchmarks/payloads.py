"""What hostile senders send: requests of a client (`REQUESTS`), responses of a primary or a mirror (`RESPONSES`).

Each is lawful HTTP, or nearly, that costs a proxy far more than its sender. Two are not hostile: `nothing` and `bulk`
(a large body in large chunks) are what the others are read against.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

KIB = 1024
MIB = 1024 * KIB
BLOCK_BYTES = 64 * KIB
MESSAGE_BYTES = 8 * MIB
#: Where a message that has no end is broken off, so that every sender is bounded.
ENDLESS_BYTES = 256 * MIB
#: Just below the limit of heads, 64 KiB, and their limit in lines, 100.
HEAD_BYTES = 63 * KIB
HEAD_LINES = 90

REQUEST_LINE = b"POST /attacked HTTP/1.1\r\nHost: bench\r\n"
STATUS_LINE = b"HTTP/1.1 200 OK\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n"
GET = b"GET /attacked HTTP/1.1\r\nHost: bench\r\n\r\n"
OK = STATUS_LINE + b"Content-Length: 3\r\n\r\nok\n"
LAST_CHUNK = b"0\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Payload:
    """One message: `opening`, `block` so many `times`, `closing`.

    `step` is how many bytes of the opening are written at a time; 0 is all of it. `is_forwarded` tells whether a
    lenient proxy passes it on, so that mirroring and comparing it cost something too.
    """

    title: str
    opening: bytes = b""
    block: bytes = b""
    times: int = 0
    closing: bytes = b""
    step: int = 0
    is_forwarded: bool = False

    def writes(self) -> Iterator[memoryview]:
        """Return what to write, piece by piece."""
        opening = memoryview(self.opening)
        step = self.step or max(1, len(opening))
        for start in range(0, len(opening), step):
            yield opening[start : start + step]
        block = memoryview(self.block)
        for _ in range(self.times):
            yield block
        if self.closing:
            yield memoryview(self.closing)


def _lines(line: bytes, size: int = HEAD_BYTES) -> bytes:
    return line * (size // len(line))


def _message(
    title: str,
    opening: bytes,
    unit: bytes,
    closing: bytes = b"",
    size: int = MESSAGE_BYTES,
    *,
    is_forwarded: bool = False,
) -> Payload:
    """Make a message of about `size` bytes out of equal units."""
    block = _lines(unit, BLOCK_BYTES)
    return Payload(title, opening, block, size // len(block), closing, is_forwarded=is_forwarded)


def _chunk(payload: bytes, extension: bytes = b"") -> bytes:
    return b"%x%b\r\n%b\r\n" % (len(payload), extension, payload)


def _bodies(head: bytes) -> Iterator[tuple[str, Payload]]:
    """Yield what requests and responses have in common: chunked bodies after `head`."""
    opening = head + CHUNKED
    for size in (1, 16, 64):
        name = f"chunks_{size}"
        unit = _chunk(b"x" * size)
        yield name, _message(f"8 MiB in {size}-byte chunks", opening, unit, LAST_CHUNK, is_forwarded=True)
    extended = _chunk(b"xx", b";name=value")
    yield (
        "extensions",
        _message("2-byte chunks with extensions", opening, extended, LAST_CHUNK, is_forwarded=True),
    )
    yield (
        "endless_extension",
        _message("a chunk extension without end", opening + b"1;", b"a", size=ENDLESS_BYTES),
    )
    small = opening + _chunk(b"x") * 8192 + LAST_CHUNK
    yield (
        "small_writes",
        Payload("8 KiB in 1-byte chunks, a write each", small, step=len(_chunk(b"x")), is_forwarded=True),
    )
    ended = opening + _chunk(b"x") + b"0\r\n"
    yield (
        "endless_trailers",
        _message("trailers without end", ended, b"name: value\r\n", size=ENDLESS_BYTES),
    )
    bulk = _chunk(b"x" * BLOCK_BYTES)
    yield (
        "bulk",
        Payload("not hostile: 8 MiB in 64 KiB chunks", opening, bulk, 128, LAST_CHUNK, is_forwarded=True),
    )


def _heads(head: bytes, end: bytes) -> Iterator[tuple[str, Payload]]:
    """Yield what requests and responses have in common: heads that begin with `head`; `end` ends their message."""
    padded = head + b"padding: " + b"a" * (32 * KIB) + b"\r\n" + end
    yield "head_bytes", Payload("a head of 32 KiB, byte by byte", padded, step=1)
    lines = b"".join(b"name-%d: %b\r\n" % (number, b"a" * 680) for number in range(HEAD_LINES))
    yield "header_lines", Payload("heads of 90 lines, 61 KiB", head + lines + end)
    short = head + _lines(b"a:b\r\n")
    yield "short_lines", Payload("heads of 63 KiB in lines of 5 bytes", short + end)
    connection = head + _lines(b"connection: a\r\n")
    yield "connection_lines", Payload("heads of 63 KiB in connection lines", connection + end)
    yield (
        "endless_line",
        _message("a header line without end", head + b"name: ", b"a", size=ENDLESS_BYTES),
    )


def _requests() -> Iterator[tuple[str, Payload]]:
    yield (
        "empty_lines",
        _message("6.8 MiB of empty lines, then a GET", b"", b"\r\n", GET, size=6_800 * KIB),
    )
    yield from _bodies(REQUEST_LINE)
    yield from _heads(b"GET /attacked HTTP/1.1\r\nHost: bench\r\n", b"\r\n")
    yield (
        "pipelined",
        _message("GETs without a pause between them", b"", GET, size=ENDLESS_BYTES, is_forwarded=True),
    )
    yield "garbage", _message("bytes that are no request", b"", b"\x00\xff garbage \x00\r\n\r\n")


def _responses() -> Iterator[tuple[str, Payload]]:
    yield "empty_lines", _message("6.8 MiB of empty lines, then a response", b"", b"\r\n", OK, 6_800 * KIB)
    yield from _bodies(STATUS_LINE)
    yield from _heads(STATUS_LINE, b"Content-Length: 3\r\n\r\nok\n")
    interim = b"HTTP/1.1 103 Early Hints\r\n"
    heavy = interim + _lines(b"connection: a\r\n") + b"\r\n"
    yield "interims_99", Payload("99 x 103 of 63 KiB of connection lines", b"", heavy, 99, OK)
    yield (
        "endless_interims",
        _message("small 103s without end", b"", interim + b"\r\n", size=ENDLESS_BYTES),
    )
    yield "beyond_end", _message("bytes without end after the body", OK, b"x", size=ENDLESS_BYTES)
    yield "garbage", _message("bytes that are no response", b"", b"\x00\xff garbage \x00\r\n\r\n")


NOTHING = "nothing"
CONTROLS = {NOTHING, "bulk"}
REQUESTS: dict[str, Payload] = {NOTHING: Payload("not hostile: nothing is sent"), **dict(_requests())}
RESPONSES: dict[str, Payload] = dict(_responses())

#: Who sends, and what becomes of it.
ROLES = {
    "client": "a client",
    "client-mirrored": "a client whose requests are mirrored to a healthy mirror",
    "client-compared": "a client whose requests are mirrored and compared",
    "primary": "a primary",
    "mirror": "a mirror",
    "mirror-compared": "a mirror whose responses are compared",
}


def kinds_of(role: str) -> dict[str, Payload]:
    """Return the payloads of a role by kind: of mirrored and compared ones, those a proxy may pass on."""
    payloads = REQUESTS if role.startswith("client") else RESPONSES
    is_plain = "-" not in role
    return {kind: payload for kind, payload in payloads.items() if is_plain or payload.is_forwarded}


def payload_of(role: str, kind: str) -> Payload:
    """Return one payload."""
    return kinds_of(role)[kind]
