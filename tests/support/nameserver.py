"""A name server on loopback that answers A questions from a dictionary, which a test may change."""

from __future__ import annotations

import asyncio
import socket
import struct


class NameServer(asyncio.DatagramProtocol):
    """`names` holds IPv4 addresses by name; a name without an entry does not exist; `silent` ones get no answer."""

    def __init__(self) -> None:
        self.names: dict[str, list[str]] = {}
        self.silent: set[str] = set()
        self.asked: list[str] = []
        self.port = 0
        self._transport: asyncio.DatagramTransport

    async def start(self) -> NameServer:
        """Listen on a free UDP port."""
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.create_datagram_endpoint(lambda: self, ("127.0.0.1", 0))
        self.port = self._transport.get_extra_info("sockname")[1]
        return self

    def close(self) -> None:
        """Answer no more."""
        self._transport.close()

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """Answer one question (RFC 1035 §4.1)."""
        end = data.index(b"\0", 12)
        labels, at = [], 12
        while at < end:
            labels.append(data[at + 1 : at + 1 + data[at]].decode())
            at += 1 + data[at]
        name = ".".join(labels).lower()
        (kind,) = struct.unpack_from("!H", data, end + 1)
        self.asked.append(name)
        if name in self.silent:
            return
        known = self.names.get(name)
        found = known if known and kind == 1 else []
        flags = 0x8180 if known else 0x8183  # an answer, or that there is no such name
        out = data[:2] + struct.pack("!HHHHH", flags, 1, len(found), 0, 0) + data[12 : end + 5]
        for address in found:
            out += b"\xc0\x0c" + struct.pack("!HHIH", 1, 1, 0, 4) + socket.inet_aton(address)
        self._transport.sendto(out, addr)
