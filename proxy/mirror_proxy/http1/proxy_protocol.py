"""Read the header of the PROXY protocol, versions 1 and 2, which a load balancer sends before a client's bytes.

Strict: what the specification (https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt) does not allow is refused,
and so are UDP and unix clients. Contents of TLVs are not used, but must be framed.
"""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv6Address

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


def client_of(header: bytes) -> str:
    """Return the client's IP address in a complete header, nothing where it names none: the sender's own then counts.

    Raises `BadProxyHeaderError`.
    """
    return _client_of_v2(header) if header.startswith(SIGNATURE) else _client_of_v1(header)


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


def _client_of_v1(header: bytes) -> str:
    if _V1_UNKNOWN.fullmatch(header):
        return ""
    found = _V1.fullmatch(header)
    if found is None:
        raise BadProxyHeaderError("malformed version 1")
    kind, source, destination, *ports = (part.decode("ascii") for part in found.groups())
    if any(int(port) > _MAX_PORT for port in ports):
        raise BadProxyHeaderError("port out of range")
    family = IPv4Address if kind == "TCP4" else IPv6Address
    try:
        _ = family(destination)
        return _plain(family(source))
    except ValueError as error:
        raise BadProxyHeaderError("malformed address") from error


def _client_of_v2(header: bytes) -> str:
    command, family = header[12], header[13]
    if command & 0xF0 != _VERSION:
        raise BadProxyHeaderError(f"unknown version {command >> 4}")
    if command not in (_LOCAL, _PROXY):
        raise BadProxyHeaderError(f"unknown command {command & 0x0F}")
    if command == _LOCAL:  # a health check of the sender's own; whatever follows is ignored
        return ""
    if family not in _ADDRESS_BYTES:
        raise BadProxyHeaderError(f"unsupported family and protocol 0x{family:02x}")
    end = _FIXED + _ADDRESS_BYTES[family]
    if len(header) < end:
        raise BadProxyHeaderError("addresses are cut short")
    if family == _UNSPEC:
        return ""
    _check_tlvs(header[end:])
    if family == _TCP4:
        return _plain(IPv4Address(header[16:20]))
    return _plain(IPv6Address(header[16:32]))


def _check_tlvs(data: bytes) -> None:
    """Raise unless `data` is a list of types, lengths and values."""
    at = 0
    while at < len(data):
        at += 3 + int.from_bytes(data[at + 1 : at + 3], "big")
        if at > len(data):
            raise BadProxyHeaderError("a TLV is cut short")


def _plain(address: IPv4Address | IPv6Address) -> str:
    """Write an address; an IPv4 address within IPv6 as IPv4."""
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return str(mapped or address)
