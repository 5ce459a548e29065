"""Write x-forwarded-client-cert, which describes a client's certificate to upstreams, in Envoy's format.

`forwarded` applies the setting `forwardClientCert` as Envoy's `mutateXfccRequestHeader` does. The details are those
that Istio configures: By (the URIs of the listener's own certificate), Hash, Subject, URI and DNS. `ssl` returns a
peer's certificate as DER and never the listener's own, so this module reads the parts it needs. OpenSSL has already
parsed and verified each certificate, so its structure is sound.
"""

from __future__ import annotations

import hashlib
import re
import ssl
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

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
_VERSION, _EXTENSIONS, _OCTETS = 0xA0, 0xA3, 0x04
_SUBJECT = 4  # of a TBSCertificate without its version
_SUBJECT_ALT_NAME = b"\x55\x1d\x11"
_DNS, _URI = 0x82, 0x86
_PEM = re.compile(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)
_SPECIAL = frozenset(b',+"\\<>;')


class ServerContext(ssl.SSLContext):
    """A listener's TLS context that knows the URIs of its own certificate."""

    own_uris: tuple[bytes, ...] = ()

    def load_cert_chain(self, certfile: Any, keyfile: Any = None, password: Any = None) -> None:
        """Use a certificate for new handshakes, as `ssl.SSLContext` does."""
        super().load_cert_chain(certfile, keyfile, password)
        self.own_uris = _uris_in(Path(certfile).read_text("latin-1"))


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


def _uris_in(pem: str) -> tuple[bytes, ...]:
    first = _PEM.search(pem)
    if first is None:
        return ()
    try:
        return tuple(
            name for tag, name in _alternative_names(ssl.PEM_cert_to_DER_cert(first[0])) if tag == _URI
        )
    except (ValueError, IndexError):
        return ()


@lru_cache(maxsize=256)
def _details(der: bytes, own_uris: tuple[bytes, ...]) -> bytes:
    names = list(_alternative_names(der))
    uris = [name for tag, name in names if tag == _URI]
    return b";".join(
        [
            *(b"By=" + uri for uri in own_uris),
            b"Hash=" + hashlib.sha256(der).hexdigest().encode(),
            b'Subject="%b"' % _rfc2253(_body(der)[_SUBJECT][1]),
            *(b"URI=" + uri for uri in uris or [b""]),
            *(b"DNS=" + name for tag, name in names if tag == _DNS),
        ]
    )


def _body(der: bytes) -> list[tuple[int, bytes, bytes]]:
    """Give the elements of a certificate's TBSCertificate (RFC 5280 §4.1), without the version."""
    ((_, certificate, _),) = _elements(der)
    (_, body, _), *_ = _elements(certificate)
    return [element for element in _elements(body) if element[0] != _VERSION]


def _alternative_names(der: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield the kind and value of each DNS name and URI in a certificate's subjectAltName."""
    for tag, wrapped, _ in _body(der):
        if tag != _EXTENSIONS:
            continue
        ((_, extensions, _),) = _elements(wrapped)
        for _, extension, _ in _elements(extensions):
            (_, kind, _), *_, (_, value, _) = _elements(extension)
            if kind == _SUBJECT_ALT_NAME:
                ((_, names, _),) = _elements(value)
                yield from ((tag, _visible(name)) for tag, name, _ in _elements(names) if tag in (_DNS, _URI))


def _elements(der: bytes) -> Iterator[tuple[int, bytes, bytes]]:
    """Yield the tag, the content and the whole of each element of DER."""
    at = 0
    while at < len(der):
        start, tag, size = at, der[at], der[at + 1]
        at += 2
        if size & 0x80:
            digits = size & 0x7F
            size = int.from_bytes(der[at : at + digits], "big")
            at += digits
        yield tag, der[at : at + size], der[start : at + size]
        at += size


def _rfc2253(name: bytes) -> bytes:
    """Write a distinguished name as OpenSSL's XN_FLAG_RFC2253 does: the last part first."""
    parts = []
    for _, part, _ in _elements(name):
        attributes = [tuple(_elements(attribute)) for _, attribute, _ in _elements(part)]
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


def _visible(name: bytes) -> bytes:
    """Percent-encode what would end a header line, or be no part of a URI or DNS name anyway."""
    return b"".join(b"%c" % byte if 0x21 <= byte < 0x7F else b"%%%02X" % byte for byte in name)
