"""Read the parts of X.509 certificates that `ssl` does not return for a proxy's own certificate.

OpenSSL has already parsed each certificate, so its structure is sound; functions raise `ValueError` or `IndexError`
where it is not.
"""

from __future__ import annotations

import re
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime

DNS, URI = 0x82, 0x86

_VERSION, _EXTENSIONS = 0xA0, 0xA3
#: Of a TBSCertificate without its version.
_VALIDITY, _SUBJECT = 3, 4
_UTC_TIME = 0x17
_SUBJECT_ALT_NAME = b"\x55\x1d\x11"
_COMMON_NAME = b"\x55\x04\x03"
#: A two-digit year from 50 on is of the 20th century (RFC 5280 §4.1.2.5.1).
_CENTURY_TURN = b"50"
_PEM = re.compile(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)


def chain(pem: str) -> list[bytes]:
    """Return the certificates of a PEM file as DER, the server's own first."""
    return [ssl.PEM_cert_to_DER_cert(found) for found in _PEM.findall(pem)]


def elements(der: bytes) -> Iterator[tuple[int, bytes, bytes]]:
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


def subject(der: bytes) -> bytes:
    """Return the content of a certificate's subject."""
    return _body(der)[_SUBJECT][1]


def alternative_names(der: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield the kind and value of each DNS name and URI in a certificate's subjectAltName."""
    for tag, wrapped, _ in _body(der):
        if tag != _EXTENSIONS:
            continue
        ((_, extensions, _),) = elements(wrapped)
        for _, extension, _ in elements(extensions):
            (_, kind, _), *_, (_, value, _) = elements(extension)
            if kind == _SUBJECT_ALT_NAME:
                ((_, names, _),) = elements(value)
                yield from ((tag, name) for tag, name, _ in elements(names) if tag in (DNS, URI))


def server_names(der: bytes) -> list[str]:
    """Return the names for SNI that a certificate bears: its DNS names, else its common name, as Envoy does."""
    names = [name for tag, name in alternative_names(der) if tag == DNS] or list(_common_names(der))
    return [name.decode("latin-1").lower() for name in names]


def expires_at(ders: list[bytes]) -> float:
    """Return the Unix time at which the first of some certificates expires."""
    return min(_not_after(der) for der in ders)


def _body(der: bytes) -> list[tuple[int, bytes, bytes]]:
    """Return the elements of a certificate's TBSCertificate (RFC 5280 §4.1), without the version."""
    ((_, certificate, _),) = elements(der)
    (_, body, _), *_ = elements(certificate)
    return [element for element in elements(body) if element[0] != _VERSION]


def _common_names(der: bytes) -> Iterator[bytes]:
    for _, part, _ in elements(subject(der)):
        for _, attribute, _ in elements(part):
            (_, kind, _), (_, value, _) = elements(attribute)
            if kind == _COMMON_NAME:
                yield value


def _not_after(der: bytes) -> float:
    _, (tag, text, _) = elements(_body(der)[_VALIDITY][1])
    if tag == _UTC_TIME:
        text = (b"19" if text[:2] >= _CENTURY_TURN else b"20") + text
    return datetime.strptime(text.decode("ascii"), "%Y%m%d%H%M%SZ").replace(tzinfo=UTC).timestamp()
