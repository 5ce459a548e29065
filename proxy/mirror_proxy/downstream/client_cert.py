"""Write x-forwarded-client-cert, which describes a client's certificate to upstreams, in Envoy's format.

`forwarded` applies the setting `forwardClientCert` as Envoy's `mutateXfccRequestHeader` does. The details are those
that Istio configures: By (the URIs of the listener's own certificate), Hash, Subject, URI and DNS.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache
from typing import TYPE_CHECKING

from mirror_proxy.config.certificate import DNS, URI, alternative_names, elements, subject

if TYPE_CHECKING:
    from mirror_proxy.downstream.connection import DownstreamConnection

#: Attribute types that RFC 2253 output names, by the DER of their OID; others are dotted.
_SHORT_NAMES = {
    b"\x55\x04\x03": b"CN",
    b"\x55\x04\x04": b"SN",
    b"\x55\x04\x05": b"serialNumber",
    b"\x55\x04\x06": b"C",
    b"\x55\x04\x07": b"L",
    b"\x55\x04\x08": b"ST",
    b"\x55\x04\x09": b"street",
    b"\x55\x04\x0a": b"O",
    b"\x55\x04\x0b": b"OU",
    b"\x55\x04\x0c": b"title",
    b"\x55\x04\x0d": b"description",
    b"\x55\x04\x0f": b"businessCategory",
    b"\x55\x04\x11": b"postalCode",
    b"\x55\x04\x29": b"name",
    b"\x55\x04\x2a": b"GN",
    b"\x55\x04\x2b": b"initials",
    b"\x55\x04\x2c": b"generationQualifier",
    b"\x55\x04\x2e": b"dnQualifier",
    b"\x55\x04\x41": b"pseudonym",
    b"\x2a\x86\x48\x86\xf7\x0d\x01\x09\x01": b"emailAddress",
    b"\x2a\x86\x48\x86\xf7\x0d\x01\x09\x02": b"unstructuredName",
    b"\x09\x92\x26\x89\x93\xf2\x2c\x64\x01\x19": b"DC",
    b"\x09\x92\x26\x89\x93\xf2\x2c\x64\x01\x01": b"UID",
}
#: ASN.1's string types: UTF8, Numeric, Printable, T61, IA5, Visible, Universal and BMP.
_ENCODINGS = {
    0x0C: "utf-8", 0x12: "latin-1", 0x13: "latin-1", 0x14: "latin-1", 0x16: "latin-1", 0x1A: "latin-1",
    0x1C: "utf-32-be", 0x1E: "utf-16-be",
}  # fmt: skip
_SPECIAL = frozenset(b',+"\\<>;')


def forwarded(policy: str, client: DownstreamConnection, came: bytes | None) -> bytes | None:
    """Give the value of x-forwarded-client-cert for upstreams, None for none; `came` is the client's own."""
    connection = client.transport.get_extra_info("ssl_object")
    der = connection.getpeercert(binary_form=True) if connection is not None else None
    if der is None or policy == "sanitize":
        return None
    if policy == "forwardOnly":
        return came
    try:
        details = _details(der, connection.context.own_uris)
    except (ValueError, IndexError):  # says nothing rather than something wrong
        return None
    return b"%b,%b" % (came, details) if came and policy == "appendForward" else details


@lru_cache(maxsize=256)
def _details(der: bytes, own_uris: tuple[bytes, ...]) -> bytes:
    names = [(tag, visible(name)) for tag, name in alternative_names(der)]
    uris = [name for tag, name in names if tag == URI]
    return b";".join(
        [
            *(b"By=" + uri for uri in own_uris),
            b"Hash=" + hashlib.sha256(der).hexdigest().encode(),
            b'Subject="%b"' % _rfc2253(subject(der)),
            *(b"URI=" + uri for uri in uris or [b""]),
            *(b"DNS=" + name for tag, name in names if tag == DNS),
        ]
    )


def _rfc2253(name: bytes) -> bytes:
    """Write a distinguished name as OpenSSL's XN_FLAG_RFC2253 does: the last part first."""
    parts = []
    for _, part, _ in elements(name):
        attributes = [tuple(elements(attribute)) for _, attribute, _ in elements(part)]
        parts.append(b"+".join(_attribute(kind[1], value) for kind, value in reversed(attributes)))
    return b",".join(reversed(parts))


def _attribute(kind: bytes, value: tuple[int, bytes, bytes]) -> bytes:
    tag, text, der = value
    name = _SHORT_NAMES.get(kind)
    encoding = _ENCODINGS.get(tag)
    if name is None or encoding is None:
        return b"%b=#%b" % (name or _dotted(kind), der.hex().upper().encode())
    return b"%b=%b" % (name, _escaped(text.decode(encoding, "replace").encode()))


def _dotted(oid: bytes) -> bytes:
    numbers = [0]
    for byte in oid:
        numbers[-1] = numbers[-1] << 7 | byte & 0x7F
        if not byte & 0x80:
            numbers.append(0)
    first = min(numbers[0] // 40, 2)
    return b".".join(b"%d" % number for number in (first, numbers[0] - 40 * first, *numbers[1:-1]))


def _escaped(text: bytes) -> bytes:
    """Escape a value (RFC 2253 §2.4); what is not printable ASCII becomes hex digits."""
    out = bytearray()
    for at, byte in enumerate(text):
        is_edge_space = byte == 0x20 and at in (0, len(text) - 1)
        if byte in _SPECIAL or is_edge_space or (byte == 0x23 and at == 0):
            out += b"\\%c" % byte
        elif 0x20 <= byte < 0x7F:
            out.append(byte)
        else:
            out += b"\\%02X" % byte
    return bytes(out)


def visible(name: bytes) -> bytes:
    """Percent-encode what would end a header line, or be no part of a URI or DNS name anyway."""
    return b"".join(b"%c" % byte if 0x21 <= byte < 0x7F else b"%%%02X" % byte for byte in name)
