"""A raw client: what a test writes is what the proxy gets."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import struct

from tests.support.message import Message, read_head, read_response


class Client:
    """One connection to the proxy."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @classmethod
    async def connect(
        cls,
        port: int,
        *,
        host: str = "127.0.0.1",
        tls: ssl.SSLContext | None = None,
        server_name: str | None = "localhost",
        receive_buffer: int | None = None,
    ) -> Client:
        """Connect; a small `receive_buffer` makes a client that is slow at once. `server_name` None: no SNI."""
        is_unix = host.startswith("/")
        family = socket.AF_UNIX if is_unix else socket.AF_INET6 if ":" in host else socket.AF_INET
        raw = socket.socket(family)
        if receive_buffer is not None:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        raw.setblocking(False)
        await asyncio.get_running_loop().sock_connect(raw, host if is_unix else (host, port))
        name = (server_name or "") if tls else None
        return cls(*await asyncio.open_connection(sock=raw, ssl=tls, server_hostname=name))

    async def send(self, data: bytes) -> None:
        """Send bytes as they are."""
        self.writer.write(data)
        await self.writer.drain()

    async def head(self) -> Message:
        """Read a response's head only."""
        return await read_head(self.reader)

    async def response(self, method: bytes = b"GET") -> Message:
        """Read a response; `IncompleteReadError` or `ConnectionResetError` when it breaks off."""
        return await read_response(self.reader, method)

    async def ask(self, data: bytes) -> Message:
        """Send a request and read its response."""
        await self.send(data)
        return await self.response(data.partition(b" ")[0])

    async def rest(self) -> bytes:
        """Read until the proxy closes cleanly."""
        return await self.reader.read()

    async def is_closed(self) -> bool:
        """Wait for the end of the connection; False when something came instead."""
        try:
            return await self.reader.read(1) == b""
        except ConnectionError:
            return True

    def half_close(self) -> None:
        """Send a FIN and go on reading."""
        self.writer.write_eof()

    def reset(self) -> None:
        """Leave with a RST."""
        raw = self.writer.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()

    async def close(self) -> None:
        """Leave with a FIN."""
        self.writer.close()
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            await self.writer.wait_closed()


def get(path: bytes = b"/", *lines: bytes, host: bytes = b"shop") -> bytes:
    """Write a GET."""
    return b"\r\n".join([b"GET %b HTTP/1.1" % path, b"host: " + host, *lines, b"", b""])


def post(body: bytes, *lines: bytes, method: bytes = b"POST", target: bytes = b"/upload") -> bytes:
    """Write a request with a Content-Length."""
    start = b"%b %b HTTP/1.1" % (method, target)
    return b"\r\n".join([start, b"host: shop", b"content-length: %d" % len(body), *lines, b"", body])


def chunked(*chunks: bytes, trailers: bytes = b"") -> bytes:
    """Write a body in chunks, complete."""
    written = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks)
    return written + b"0\r\n" + trailers + b"\r\n"
