"""What the tests of the config room share: documents written to files, and the problems they cause."""

from __future__ import annotations

import datetime as dt
import re
import textwrap
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import NameOID

from mirror_proxy.config import loader
from mirror_proxy.config.model import Config
from mirror_proxy.config.problems import ConfigError

Write = Callable[..., str]
Load = Callable[..., Config]
Refusals = Callable[..., list[str]]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write a file below a folder of the test's own and return its path."""

    def write_file(text: str, name: str = "f.yaml") -> str:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text))
        return str(path)

    return write_file


@pytest.fixture
def load(write: Write) -> Load:
    """Load one file of the given text."""
    return lambda text, **options: loader.load([write(text)], **options)


@pytest.fixture
def refusals(write: Write, tmp_path: Path) -> Refusals:
    """Return the problems of one file of the given text, without its folder."""

    def refuse(text: str, paths: Sequence[str] = ()) -> list[str]:
        with pytest.raises(ConfigError) as caught:
            loader.load([write(text), *paths])
        return [str(problem).replace(f"{tmp_path}/", "") for problem in caught.value.problems]

    return refuse


@pytest.fixture
def load_spec(load: Load) -> Load:
    """Load a MirrorProxy with the given spec, beside a route with the mirror `shop/v2`."""
    return lambda spec: load(settings_text(spec) + SHOP + MIRROR)


@pytest.fixture
def spec_refusals(refusals: Refusals) -> Refusals:
    """Return the problems of a MirrorProxy with the given spec, without file and object."""

    def refuse(spec: str) -> list[str]:
        return [
            problem.split("MirrorProxy default/p ")[1]
            for problem in refusals(settings_text(spec) + SHOP + MIRROR)
        ]

    return refuse


@pytest.fixture
def load_route(load: Load) -> Load:
    """Load a VirtualService whose one route has the given further fields, after other documents."""
    return lambda fields, before="": load(before + route_text(fields))


@pytest.fixture
def route_refusals(refusals: Refusals) -> Refusals:
    """Return the problems of the same."""

    def refuse(fields: str, before: str = "") -> list[str]:
        return [
            re.sub(r"^.*VirtualService default/shop ", "", text)
            for text in refusals(before + route_text(fields))
        ]

    return refuse


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """Make a self-signed certificate and its key; return their paths."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    now = dt.datetime.now(dt.UTC)
    cert = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now)
        .not_valid_after(now + dt.timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    folder = tmp_path_factory.mktemp("certificate")
    (folder / "tls.crt").write_bytes(cert.public_bytes(Encoding.PEM))
    (folder / "tls.key").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return str(folder / "tls.crt"), str(folder / "tls.key")


@pytest.fixture(scope="session")
def revoked(certificate: tuple[str, str]) -> str:
    """Return the path of that certificate's list of revoked ones, which is empty."""
    cert = x509.load_pem_x509_certificate(Path(certificate[0]).read_bytes())
    key = load_pem_private_key(Path(certificate[1]).read_bytes(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    issued, ends = cert.not_valid_before_utc, cert.not_valid_after_utc
    names = x509.CertificateRevocationListBuilder().issuer_name(cert.subject)
    path = Path(certificate[0]).with_name("tls.crl")
    path.write_bytes(
        names.last_update(issued).next_update(ends).sign(key, hashes.SHA256()).public_bytes(Encoding.PEM)
    )
    return str(path)


def route_text(fields: str) -> str:
    """Return a VirtualService whose one route has the given further fields."""
    return SHOP + textwrap.indent(textwrap.dedent(fields).strip("\n"), "    ")


def settings_text(spec: str) -> str:
    """Return a MirrorProxy document with the given spec."""
    head = "apiVersion: mirror-proxy.dev/v1\nkind: MirrorProxy\nmetadata: {name: p}\nspec:\n"
    return head + textwrap.indent(textwrap.dedent(spec).strip("\n"), "  ") + "\n---\n"


SHOP = """\
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: shop}
spec:
  hosts: [v1]
  http:
  - name: shop
    route: [{destination: {host: v1, port: {number: 8080}}}]
"""
MIRROR = "    mirror: {host: v2, port: {number: 8080}}\n"
