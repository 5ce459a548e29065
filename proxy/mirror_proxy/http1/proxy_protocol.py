"""Read and write the header of the PROXY protocol, versions 1 and 2, which a proxy sends before a client's bytes.

Strict: what the specification (https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt) does not allow is refused,
and so are UDP and unix clients. Contents of TLVs are not used, but must be framed.
"""

from __future__ import annotations

import re
import struct
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Literal, NamedTuple

SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"
MAX_V1_BYTES = 107
#: With TLVs; the specification's own is 64 KiB more than any sender needs.
MAX_V2_BYTES = 4096

_V1_START = b"PROXY "
_FIXED = 16  # bytes of version 2 before its addresses
_VERSION, _LOCAL, _PROXY = 0x20, 0x20, 0x21
_UNSPEC, _TCP4, _TCP6 = 0x00, 0x11, 0x21
#: Bytes of two addresses and two ports.
_ADDRESS_BYTES = {_UNSPEC: 0, _TCP4: 12, _TCP6: 36}
_V1 = re.compile(rb"PROXY (TCP[46]) ([0-9A-Fa-f:.]+) ([0-9A-Fa-f:.]+) (0|[1-9]\d{0,4}) (0|[1-9]\d{0,4})\r\n")
_V1_UNKNOWN = re.compile(rb"PROXY UNKNOWN(?: [^\r\n]*)?\r\n")
_MAX_PORT = 65535

ProxyVersion = Literal["V1", "V2"]
IpAddress = IPv4Address | IPv6Address


class ClientAddresses(NamedTuple):
    """Both ends of a client's connection: IP addresses and ports, an IPv4 address within IPv6 as IPv4."""

    source: str
    source_port: int
    destination: str
    destination_port: int


class BadProxyHeaderError(Exception):
    """The bytes are no header of the PROXY protocol; the text says why."""


def belonging(data: bytes) -> tuple[int, bool]:
    """Return how many of the first bytes of a connection belong to its header, and whether that is all of it.

    Raises `BadProxyHeaderError` as soon as they cannot become one.
    """
    if data.startswith((SIGNATURE, _V1_START)):
        return _belonging_v2(data) if data.startswith(SIGNATURE) else _belonging_v1(data)
    if SIGNATURE.startswith(data) or _V1_START.startswith(data):
        return len(data), False
    raise BadProxyHeaderError("no PROXY header")


def client_of(header: bytes) -> ClientAddresses | None:
    """Return the addresses in a complete header, None where it names none: those of the sender itself then count.

    Raises `BadProxyHeaderError`.
    """
    return _client_of_v2(header) if header.startswith(SIGNATURE) else _client_of_v1(header)


def write(version: ProxyVersion, client: ClientAddresses | None) -> bytes:
    """Return a header; None: without addresses (`UNKNOWN` in version 1, `LOCAL` in version 2)."""
    if client is None:
        return (
            b"PROXY UNKNOWN\r\n" if version == "V1" else SIGNATURE + struct.pack(">BBH", _LOCAL, _UNSPEC, 0)
        )
    ends = (ip_address(end.partition("%")[0]) for end in (client.source, client.destination))
    source, destination = _of_one_family(*ends)
    ports = (client.source_port, client.destination_port)
    if version == "V1":
        texts = f"{_text(source)} {_text(destination)} {ports[0]} {ports[1]}"
        return f"PROXY TCP{source.version} {texts}\r\n".encode("ascii")
    addresses = source.packed + destination.packed + struct.pack(">HH", *ports)
    family = _TCP4 if source.version == 4 else _TCP6
    return SIGNATURE + struct.pack(">BBH", _PROXY, family, len(addresses)) + addresses


def _of_one_family(one: IpAddress, other: IpAddress) -> tuple[IpAddress, IpAddress]:
    """Return both addresses as IPv4, or both as IPv6: a header has one family for both."""
    if one.version == other.version:
        return one, other
    return _as_ipv6(one), _as_ipv6(other)


def _as_ipv6(address: IpAddress) -> IPv6Address:
    return IPv6Address(f"::ffff:{address}") if isinstance(address, IPv4Address) else address


def _belonging_v1(data: bytes) -> tuple[int, bool]:
    end = data.find(b"\r\n", 0, MAX_V1_BYTES) + 2
    if end >= len(_V1_START):
        return end, True
    if len(data) >= MAX_V1_BYTES:
        raise BadProxyHeaderError(f"longer than {MAX_V1_BYTES} bytes")
    return len(data), False


def _belonging_v2(data: bytes) -> tuple[int, bool]:
    if len(data) < _FIXED:
        return len(data), False
    size = _FIXED + int.from_bytes(data[14:16], "big")
    if size > MAX_V2_BYTES:
        raise BadProxyHeaderError(f"longer than {MAX_V2_BYTES} bytes")
    return min(size, len(data)), len(data) >= size


def _client_of_v1(header: bytes) -> ClientAddresses | None:
    if _V1_UNKNOWN.fullmatch(header):
        return None
    found = _V1.fullmatch(header)
    if found is None:
        raise BadProxyHeaderError("malformed version 1")
    kind, source, destination, *digits = (part.decode("ascii") for part in found.groups())
    ports = [int(port) for port in digits]
    if max(ports) > _MAX_PORT:
        raise BadProxyHeaderError("port out of range")
    family = IPv4Address if kind == "TCP4" else IPv6Address
    try:
        return ClientAddresses(_plain(family(source)), ports[0], _plain(family(destination)), ports[1])
    except ValueError as error:
        raise BadProxyHeaderError("malformed address") from error


def _client_of_v2(header: bytes) -> ClientAddresses | None:
    command, family = header[12], header[13]
    if command & 0xF0 != _VERSION:
        raise BadProxyHeaderError(f"unknown version {command >> 4}")
    if command not in (_LOCAL, _PROXY):
        raise BadProxyHeaderError(f"unknown command {command & 0x0F}")
    if command == _LOCAL:  # a health check of the sender's own; whatever follows is ignored
        return None
    if family not in _ADDRESS_BYTES:
        raise BadProxyHeaderError(f"unsupported family and protocol 0x{family:02x}")
    end = _FIXED + _ADDRESS_BYTES[family]
    if len(header) < end:
        raise BadProxyHeaderError("addresses are cut short")
    if family == _UNSPEC:
        return None
    _check_tlvs(header[end:])
    kind, size = (IPv4Address, 4) if family == _TCP4 else (IPv6Address, 16)
    source, destination = (_plain(kind(header[at : at + size])) for at in (_FIXED, _FIXED + size))
    source_port, destination_port = struct.unpack(">HH", header[end - 4 : end])
    return ClientAddresses(source, source_port, destination, destination_port)


def _check_tlvs(data: bytes) -> None:
    """Raise unless `data` is a list of types, lengths and values."""
    at = 0
    while at < len(data):
        at += 3 + int.from_bytes(data[at + 1 : at + 3], "big")
        if at > len(data):
            raise BadProxyHeaderError("a TLV is cut short")


def _text(address: IpAddress) -> str:
    """Write an address; an IPv4 address within IPv6 with dots, as Python does from 3.13 on."""
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return f"::ffff:{mapped}" if mapped is not None else str(address)


def _plain(address: IpAddress) -> str:
    """Write an address; an IPv4 address within IPv6 as IPv4."""
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return str(mapped or address)
