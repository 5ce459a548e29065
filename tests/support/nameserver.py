"""A name server on loopback, over UDP and TCP, that answers from dictionaries which a test may change."""

from __future__ import annotations

import asyncio
import functools
import socket
import struct
from collections.abc import Iterator
from itertools import pairwise

import aiodns
import pytest

A, CNAME, SOA, AAAA = 1, 5, 6, 28
NOERROR, SERVFAIL, NXDOMAIN = 0, 2, 3

_FAMILIES = {A: socket.AF_INET, AAAA: socket.AF_INET6}
_TRUNCATED = 0x0200
#: As a zone's file: a resolver that caches keeps a positive answer for a minute, a negative one for a day.
_TTL, _NEGATIVE_TTL = 60, 86400


class NameServer(asyncio.DatagramProtocol):
    """`names` holds addresses of both families by name, `aliases` canonical names.

    A name in neither does not exist; a name without an address of the family asked for has no data. Both responses bear
    the zone's SOA. `silent` names get no response; the record types in `failing` by name get `SERVFAIL`; names in
    `truncated` are answered over TCP only.
    """

    def __init__(self) -> None:
        self.names: dict[str, list[str]] = {}
        self.aliases: dict[str, str] = {}
        self.silent: set[str] = set()
        self.failing: dict[str, set[int]] = {}
        self.truncated: set[str] = set()
        self.asked: list[str] = []
        self.asked_by_tcp: list[str] = []
        self.port = 0
        self._transport: asyncio.DatagramTransport
        self._tcp: asyncio.Server

    async def start(self) -> NameServer:
        """Listen on a free port of UDP, and on the same of TCP."""
        loop = asyncio.get_running_loop()
        self._tcp = await asyncio.start_server(self._on_stream, "127.0.0.1", 0)
        self.port = self._tcp.sockets[0].getsockname()[1]
        address = ("127.0.0.1", self.port)
        self._transport, _ = await loop.create_datagram_endpoint(lambda: self, address)
        return self

    def serve(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Have every query of the test's process come here."""
        ask = functools.partial(
            aiodns.DNSResolver, nameservers=["127.0.0.1"], udp_port=self.port, tcp_port=self.port
        )
        monkeypatch.setattr(aiodns, "DNSResolver", ask)

    def close(self) -> None:
        """Answer no more."""
        self._transport.close()
        self._tcp.close()

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """Answer one question over UDP."""
        name, _ = _question(data)
        self.asked.append(name)
        if name not in self.silent:
            self._transport.sendto(self._respond(data, is_udp=True), addr)

    async def _on_stream(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                (length,) = struct.unpack("!H", await reader.readexactly(2))
                data = await reader.readexactly(length)
                self.asked_by_tcp.append(_question(data)[0])
                response = self._respond(data, is_udp=False)
                writer.write(struct.pack("!H", len(response)) + response)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    def _respond(self, data: bytes, *, is_udp: bool) -> bytes:
        """Build the response to one question (RFC 1035 §4.1)."""
        name, kind = _question(data)
        chain = list(self._chain(name))
        is_failing = kind in self.failing.get(name, set())
        exists = chain[-1] in self.names
        records = [] if is_failing else list(self._records(chain, kind))
        code = SERVFAIL if is_failing else NOERROR if exists else NXDOMAIN
        flags = 0x8180 | code
        authority = [] if is_failing or any(one[1] == kind for one in records) else [_soa()]
        if is_udp and name in self.truncated:
            flags, records, authority = flags | _TRUNCATED, [], []
        sections = struct.pack("!HHHHH", flags, 1, len(records), len(authority), 0)
        question = data[12 : data.index(b"\0", 12) + 5]
        return data[:2] + sections + question + b"".join(map(_record, (*records, *authority)))

    def _chain(self, name: str) -> Iterator[str]:
        yield name
        while name in self.aliases:
            name = self.aliases[name]
            yield name

    def _records(self, chain: list[str], kind: int) -> Iterator[tuple[str, int, bytes]]:
        for owner, target in pairwise(chain):
            yield owner, CNAME, _wire(target)
        family = _FAMILIES.get(kind)
        for address in self.names.get(chain[-1], []) if family else []:
            if (":" in address) == (kind == AAAA):
                yield chain[-1], kind, socket.inet_pton(family or 0, address)


def _question(data: bytes) -> tuple[str, int]:
    end = data.index(b"\0", 12)
    labels, at = [], 12
    while at < end:
        labels.append(data[at + 1 : at + 1 + data[at]].decode())
        at += 1 + data[at]
    (kind,) = struct.unpack_from("!H", data, end + 1)
    return ".".join(labels).lower(), kind


def _wire(name: str) -> bytes:
    return b"".join(bytes([len(label)]) + label.encode() for label in name.split(".")) + b"\0"


def _soa() -> tuple[str, int, bytes]:
    times = struct.pack("!IIIII", 1, 7200, 3600, 1209600, _NEGATIVE_TTL)
    return "test", SOA, _wire("ns.test") + _wire("root.test") + times


def _record(record: tuple[str, int, bytes]) -> bytes:
    owner, kind, content = record
    ttl = _NEGATIVE_TTL if kind == SOA else _TTL
    return _wire(owner) + struct.pack("!HHIH", kind, 1, ttl, len(content)) + content
