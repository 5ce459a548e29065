"""Certificates made for one test: an authority, and what it signs."""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID


class Authority:
    """A certificate authority that writes what it signs into a folder."""

    def __init__(self, folder: Path, name: str = "ca") -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _name(name)
        own = _builder(self._name, self._name, self._key.public_key())
        constraints = x509.BasicConstraints(ca=True, path_length=None)
        usage = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
        identity = x509.SubjectKeyIdentifier.from_public_key(self._key.public_key())
        for extension in (constraints, usage):
            own = own.add_extension(extension, critical=True)
        own = own.add_extension(identity, critical=False)
        self._identity = identity
        self.file = str(folder / f"{name}.pem")
        Path(self.file).write_bytes(own.sign(self._key, hashes.SHA256()).public_bytes(Encoding.PEM))

    def issue(
        self,
        host: str,
        *,
        stem: str | None = None,
        subject: x509.Name | None = None,
        names: Sequence[x509.GeneralName] | None = None,
        expires: datetime | None = None,
    ) -> tuple[str, str]:
        """Write a certificate for `host` and its key; returns both paths.

        Its `subject` and alternative `names` (empty: no such extension) are made of `host` unless they are given. It
        `expires` tomorrow.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        issuer = x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(self._identity)
        builder = _builder(_name(host) if subject is None else subject, self._name, key.public_key(), expires)
        for_names = [_subject(host)] if names is None else names
        if for_names:
            builder = builder.add_extension(x509.SubjectAlternativeName(for_names), critical=False)
        signed = builder.add_extension(issuer, critical=False).sign(self._key, hashes.SHA256())
        stem = stem or host.replace("/", "_")
        certificate, private = (self._folder / f"{stem}.{end}" for end in ("crt", "key"))
        certificate.write_bytes(signed.public_bytes(Encoding.PEM))
        private.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        return str(certificate), str(private)

    def revoke(self, host: str | None) -> str:
        """Write the list of what is revoked: the certificate issued for `host`, or none; returns its path."""
        now = datetime.now(tz=UTC)
        revoked = x509.CertificateRevocationListBuilder().issuer_name(self._name)
        revoked = revoked.last_update(now - timedelta(hours=1)).next_update(now + timedelta(days=1))
        if host is not None:
            certificate = x509.load_pem_x509_certificate((self._folder / f"{host}.crt").read_bytes())
            entry = x509.RevokedCertificateBuilder().serial_number(certificate.serial_number)
            revoked = revoked.add_revoked_certificate(entry.revocation_date(now).build())
        path = self._folder / "revoked.pem"
        path.write_bytes(revoked.sign(self._key, hashes.SHA256()).public_bytes(Encoding.PEM))
        return str(path)

    def server(self, host: str, *, client_ca: str | None = None) -> ssl.SSLContext:
        """Build an origin's context; with `client_ca` it wants a certificate of the client."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*self.issue(host))
        if client_ca is not None:
            context.load_verify_locations(client_ca)
            context.verify_mode = ssl.CERT_REQUIRED
        return context

    def client(self, certificate: tuple[str, str] | None = None) -> ssl.SSLContext:
        """Build a client's context that trusts this authority."""
        context = ssl.create_default_context(cafile=self.file)
        if certificate is not None:
            context.load_cert_chain(*certificate)
        return context


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _subject(host: str) -> x509.GeneralName:
    if "://" in host:
        return x509.UniformResourceIdentifier(host)
    try:
        return x509.IPAddress(ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePublicKey,
    expires: datetime | None = None,
) -> x509.CertificateBuilder:
    now = datetime.now(tz=UTC)
    builder = x509.CertificateBuilder(issuer, subject, key, x509.random_serial_number())
    expires = expires or now + timedelta(days=1)
    return builder.not_valid_before(min(now, expires) - timedelta(hours=1)).not_valid_after(expires)
