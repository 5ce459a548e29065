"""The header of the PROXY protocol: what is read, and what is refused."""

from __future__ import annotations

import struct
from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mirror_proxy.http1.proxy_protocol import (
    MAX_V1_BYTES,
    MAX_V2_BYTES,
    SIGNATURE,
    BadProxyHeaderError,
    ClientAddresses,
    ProxyVersion,
    belonging,
    client_of,
    write,
)

V4 = IPv4Address("192.0.2.1").packed + IPv4Address("198.51.100.2").packed + struct.pack(">HH", 5000, 443)
V6 = IPv6Address("2001:db8::1").packed + IPv6Address("2001:db8::2").packed + struct.pack(">HH", 5000, 443)
MAPPED = IPv6Address("::ffff:192.0.2.1").packed + V6[16:]
TLV = b"\x01\x00\x02h2\xea\x00\x00"


def v2(addresses: bytes = V4, *, command: int = 0x21, family: int = 0x11, rest: bytes = b"") -> bytes:
    return SIGNATURE + struct.pack(">BBH", command, family, len(addresses + rest)) + addresses + rest


FROM_V4 = ClientAddresses("192.0.2.1", 5000, "198.51.100.2", 443)
FROM_V6 = ClientAddresses("2001:db8::1", 5000, "2001:db8::2", 443)
FROM_MAPPED = ClientAddresses("192.0.2.1", 5000, "2001:db8::2", 443)

#: Headers, and the addresses that each names.
GOOD: dict[bytes, ClientAddresses | None] = {
    b"PROXY TCP4 192.0.2.1 198.51.100.2 5000 443\r\n": FROM_V4,
    b"PROXY TCP4 192.0.2.1 198.51.100.2 0 65535\r\n": ClientAddresses("192.0.2.1", 0, "198.51.100.2", 65535),
    b"PROXY TCP6 2001:DB8::1 2001:db8::2 5000 443\r\n": FROM_V6,
    b"PROXY TCP6 ::ffff:192.0.2.1 ::1 5000 443\r\n": ClientAddresses("192.0.2.1", 5000, "::1", 443),
    b"PROXY UNKNOWN\r\n": None,
    b"PROXY UNKNOWN ffff::1 ffff::2 65535 65535\r\n": None,
    b"PROXY UNKNOWN " + b"x" * (MAX_V1_BYTES - 16) + b"\r\n": None,
    v2(): FROM_V4,
    v2(rest=TLV): FROM_V4,
    v2(V6, family=0x21): FROM_V6,
    v2(MAPPED, family=0x21, rest=TLV): FROM_MAPPED,
    v2(b"", family=0x00): None,
    v2(command=0x20): None,
    v2(b"", command=0x20, family=0x00, rest=b"anything"): None,
    v2(rest=b"\x04" + struct.pack(">H", MAX_V2_BYTES - 31) + bytes(MAX_V2_BYTES - 31)): FROM_V4,
}
BAD = {
    "another protocol": b"GET / HTTP/1.1\r\n",
    "lower case": b"proxy TCP4 192.0.2.1 198.51.100.2 1 2\r\n",
    "no family": b"PROXY \r\n",
    "another family": b"PROXY UDP4 192.0.2.1 198.51.100.2 1 2\r\n",
    "no port": b"PROXY TCP4 192.0.2.1 198.51.100.2 1\r\n",
    "two spaces": b"PROXY TCP4  192.0.2.1 198.51.100.2 1 2\r\n",
    "a space at the end": b"PROXY TCP4 192.0.2.1 198.51.100.2 1 2 \r\n",
    "IPv6 in TCP4": b"PROXY TCP4 ::1 ::1 1 2\r\n",
    "IPv4 in TCP6": b"PROXY TCP6 192.0.2.1 198.51.100.2 1 2\r\n",
    "leading zero of an address": b"PROXY TCP4 192.0.2.01 198.51.100.2 1 2\r\n",
    "a bad destination": b"PROXY TCP4 192.0.2.1 198.51.100 1 2\r\n",
    "a zone": b"PROXY TCP6 fe80::1%eth0 fe80::2 1 2\r\n",
    "leading zero of a port": b"PROXY TCP4 192.0.2.1 198.51.100.2 01 2\r\n",
    "a large port": b"PROXY TCP4 192.0.2.1 198.51.100.2 1 65536\r\n",
    "a signed port": b"PROXY TCP4 192.0.2.1 198.51.100.2 +1 2\r\n",
    "a bare LF": b"PROXY UNKNOWN \n GET / HTTP/1.1\r\n",
    "a bare CR": b"PROXY UNKNOWN \r GET / HTTP/1.1\r\n",
    "a word after UNKNOWN": b"PROXY UNKNOWNS\r\n",
    "too long a line": b"PROXY UNKNOWN " + b"x" * MAX_V1_BYTES,
    "a long line": b"PROXY UNKNOWN " + b"x" * (MAX_V1_BYTES - 15) + b"\r\n",
    "version 1 in binary": v2(command=0x11),
    "another command": v2(command=0x22),
    "UDP": v2(family=0x12),
    "a unix client": v2(bytes(216), family=0x31),
    "an unknown family": v2(family=0x41),
    "addresses cut short": v2(V4[:-1]),
    "IPv4 as IPv6": v2(family=0x21),
    "a TLV cut short": v2(rest=b"\x01\x00\x03h2"),
    "a TLV without a length": v2(rest=b"\x01\x00"),
    "too long a header": v2(rest=bytes(MAX_V2_BYTES)),
}


@pytest.mark.parametrize("header", GOOD, ids=lambda header: header[:40].decode("latin-1"))
def test_header_ends_where_it_says_and_names_the_client(header: bytes) -> None:
    for end in range(1, len(header)):
        assert belonging(header[:end]) == (end, False)
    for rest in (b"", b"\r\n", b"GET / HTTP/1.1\r\n", bytes(5000)):
        assert belonging(header + rest) == (len(header), True)
    assert client_of(header) == GOOD[header]


@pytest.mark.parametrize("data", BAD.values(), ids=BAD)
def test_header_that_breaks_the_specification_is_refused(data: bytes) -> None:
    with pytest.raises(BadProxyHeaderError, match=r"."):
        read(data)


def read(data: bytes) -> ClientAddresses | None:
    """Read a header byte by byte; return None while it is not whole."""
    for end in range(1, len(data) + 1):
        size, is_whole = belonging(data[:end])
        if is_whole:
            return client_of(data[:size])
    return None


MUTATED = st.builds(
    lambda header, at, byte, cut: (header[:at] + bytes([byte]) + header[at + 1 :])[: len(header) - cut],
    st.sampled_from([header for header in GOOD if len(header) < 200]),
    st.integers(0, 60),
    st.integers(0, 255),
    st.integers(0, 3),
)


@given(st.one_of(st.binary(max_size=200), st.binary(max_size=200).map(SIGNATURE.__add__), MUTATED))
@example(SIGNATURE + b"\x21\x11\xff\xff")
def test_any_bytes_are_read_alike_in_pieces_and_at_once_or_refused(data: bytes) -> None:
    def outcome(of: object) -> object:
        try:
            return of() if callable(of) else None
        except BadProxyHeaderError:
            return "refused"

    def at_once() -> ClientAddresses | None:
        if not data:
            return None
        size, is_whole = belonging(data)
        assert size <= min(len(data), MAX_V2_BYTES)
        return client_of(data[:size]) if is_whole else None

    assert outcome(at_once) == outcome(lambda: read(data))


WRITTEN = {
    ("V1", FROM_V4): b"PROXY TCP4 192.0.2.1 198.51.100.2 5000 443\r\n",
    ("V1", FROM_V6): b"PROXY TCP6 2001:db8::1 2001:db8::2 5000 443\r\n",
    ("V1", FROM_MAPPED): b"PROXY TCP6 ::ffff:192.0.2.1 2001:db8::2 5000 443\r\n",
    ("V1", None): b"PROXY UNKNOWN\r\n",
    ("V2", FROM_V4): v2(),
    ("V2", FROM_V6): v2(V6, family=0x21),
    ("V2", FROM_MAPPED): v2(MAPPED, family=0x21),
    ("V2", None): v2(b"", command=0x20, family=0x00),
}


@pytest.mark.parametrize(("version", "client"), WRITTEN, ids=str)
def test_header_is_written_in_one_family_and_read_back(
    version: ProxyVersion, client: ClientAddresses | None
) -> None:
    header = write(version, client)
    assert header == WRITTEN[version, client]
    assert client_of(header) == client


def test_zone_of_an_address_is_not_written() -> None:
    client = ClientAddresses("fe80::1%eth0", 1, "fe80::2%eth0", 2)
    assert write("V1", client) == b"PROXY TCP6 fe80::1 fe80::2 1 2\r\n"
