"""HTTP/1.1 messages as a peer of the proxy sees them: read strictly, kept as the bytes they came in.

Written apart from the proxy's own parser, so that a mistake there cannot hide here.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field


@dataclass
class Message:
    """A request or response: `start` line, header `lines` and the body as far as it came."""

    start: bytes
    lines: list[bytes]
    received: bytearray = field(default_factory=bytearray)
    chunks: int = 0
    trailers: list[bytes] = field(default_factory=list)
    is_complete: bool = False

    @property
    def body(self) -> bytes:
        """What came of the body, without its chunks' frames."""
        return bytes(self.received)

    @property
    def status(self) -> int:
        """A response's status."""
        return int(self.start.split(b" ")[1])

    @property
    def method(self) -> bytes:
        """A request's method."""
        return self.start.split(b" ")[0]

    @property
    def target(self) -> bytes:
        """A request's target."""
        return self.start.split(b" ")[1]

    def all(self, name: bytes) -> list[bytes]:
        """Every value of a field, in order."""
        found = (line.partition(b":") for line in self.lines)
        return [value.strip() for have, _, value in found if have.lower() == name]

    def get(self, name: bytes) -> bytes | None:
        """Give the only value of a field, or None; more than one fails the test."""
        values = self.all(name)
        assert len(values) < 2, values
        return values[0] if values else None


async def read_head(reader: asyncio.StreamReader) -> Message:
    """Read a start line and header lines; `IncompleteReadError` when the peer closes before."""
    head = await reader.readuntil(b"\r\n\r\n")
    start, *lines = head[:-4].split(b"\r\n")
    return Message(start, lines)


async def read_body(reader: asyncio.StreamReader, message: Message, *, until_close: bool = False) -> None:
    """Read what the head announces; `IncompleteReadError` when the peer closes before its end."""
    length = message.get(b"content-length")
    if message.get(b"transfer-encoding") is not None:
        assert length is None
        await _read_chunks(reader, message)
    elif length is not None:
        await _read_bytes(reader, message, int(length))
    elif until_close:
        while piece := await reader.read(65536):
            message.received += piece
    message.is_complete = True


async def read_response(reader: asyncio.StreamReader, method: bytes = b"GET") -> Message:
    """Read a response to `method`, interim ones as well."""
    message = await read_head(reader)
    if method == b"HEAD" or message.status < 200 or message.status in (204, 304):
        message.is_complete = True
    else:
        await read_body(reader, message, until_close=True)
    return message


async def _read_bytes(reader: asyncio.StreamReader, message: Message, count: int) -> None:
    while count:
        piece = await reader.read(min(count, 65536))
        if not piece:
            raise asyncio.IncompleteReadError(bytes(message.received[-100:]), count)
        message.received += piece
        count -= len(piece)


async def _read_chunks(reader: asyncio.StreamReader, message: Message) -> None:
    while size := int(await _line(reader), 16):
        await _read_bytes(reader, message, size)
        message.chunks += 1
        assert await _line(reader) == b""
    while line := await _line(reader):
        message.trailers.append(line)


async def _line(reader: asyncio.StreamReader) -> bytes:
    line = await reader.readuntil(b"\r\n")
    return line[:-2]
