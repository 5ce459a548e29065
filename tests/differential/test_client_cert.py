"""x-forwarded-client-cert: this proxy and Envoy, on its own translation, write the same of the same certificates."""

from __future__ import annotations

import re
import ssl
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.name import _ASN1Type
from cryptography.x509.oid import NameOID

from mirror_proxy.config.model import Address, Admin, Listener, ListenerTls
from mirror_proxy.translate.envoy import bootstrap
from tests.conftest import MakeOrigin, MakePlane
from tests.support.certificates import Authority
from tests.support.client import Client, get
from tests.support.envoy import needs_envoy, running
from tests.support.origin import Origin
from tests.support.plane import free_port, make_config

pytestmark = needs_envoy

FORGED = b"By=spiffe://front;URI=spiffe://admin"


def name(*parts: tuple[x509.ObjectIdentifier, str] | x509.NameAttribute[str]) -> x509.Name:
    """Make a distinguished name of one attribute a part."""
    return x509.Name(
        [part if isinstance(part, x509.NameAttribute) else x509.NameAttribute(*part) for part in parts]
    )


MANY = name(
    (NameOID.COUNTRY_NAME, "DE"),
    (NameOID.STATE_OR_PROVINCE_NAME, "Berlin"),
    (NameOID.LOCALITY_NAME, "Berlin"),
    (NameOID.STREET_ADDRESS, "Street 1"),
    (NameOID.POSTAL_CODE, "10115"),
    (NameOID.ORGANIZATION_NAME, "Shop, Inc."),
    (NameOID.ORGANIZATIONAL_UNIT_NAME, "a+b"),
    (NameOID.ORGANIZATIONAL_UNIT_NAME, "second"),
    (NameOID.TITLE, "t"),
    (NameOID.SURNAME, "s"),
    (NameOID.GIVEN_NAME, "g"),
    (NameOID.INITIALS, "i"),
    (NameOID.SERIAL_NUMBER, "77"),
    (NameOID.USER_ID, "uid"),
    (NameOID.DOMAIN_COMPONENT, "example"),
    (NameOID.EMAIL_ADDRESS, "me@shop.example"),
    (NameOID.PSEUDONYM, "pseudo"),
    (NameOID.BUSINESS_CATEGORY, "business"),
    (NameOID.GENERATION_QUALIFIER, "III"),
    (NameOID.DN_QUALIFIER, "dn"),
    (NameOID.UNSTRUCTURED_NAME, "unstructured"),
    (NameOID.ORGANIZATION_IDENTIFIER, "id"),
    (NameOID.JURISDICTION_COUNTRY_NAME, "DE"),
    (x509.ObjectIdentifier("2.5.4.41"), "name"),
    (x509.ObjectIdentifier("2.5.4.13"), "description"),
    (x509.ObjectIdentifier("1.2.3.4.55555"), "unknown"),
    (x509.ObjectIdentifier("2.999.1"), "joint"),
    (NameOID.COMMON_NAME, "client"),
)
ODD = name(
    (NameOID.COMMON_NAME, ' "quoted"; <b>\\ = #1 '),
    (NameOID.ORGANIZATION_NAME, "#caf\xe9 \u6f22 \U0001f600"),
    (NameOID.ORGANIZATIONAL_UNIT_NAME, "line\r\nbreak\x7f\t"),
    x509.NameAttribute(NameOID.LOCALITY_NAME, "M\xfcnchen", _ASN1Type.BMPString),
    x509.NameAttribute(NameOID.STATE_OR_PROVINCE_NAME, "M\xfcnchen", _ASN1Type.T61String),
    x509.NameAttribute(NameOID.TITLE, "M\xfcnchen", _ASN1Type.UniversalString),
    x509.NameAttribute(NameOID.PSEUDONYM, "ia5", _ASN1Type.IA5String),
)
SEVERAL = x509.Name(
    [
        x509.RelativeDistinguishedName(
            [
                x509.NameAttribute(NameOID.COMMON_NAME, "a"),
                x509.NameAttribute(NameOID.ORGANIZATION_NAME, "b"),
                x509.NameAttribute(NameOID.USER_ID, "c"),
            ]
        ),
        x509.RelativeDistinguishedName([x509.NameAttribute(NameOID.COUNTRY_NAME, "DE")]),
    ]
)
NAMES = (
    x509.DNSName("one.example"),
    x509.UniformResourceIdentifier("spiffe://cluster.local/ns/a/sa/b"),
    x509.DNSName("*.two.example"),
    x509.RFC822Name("me@shop.example"),
    x509.UniformResourceIdentifier("https://shop.example/a;b?c=d,e"),
)
CERTIFICATES: dict[str, tuple[x509.Name, tuple[x509.GeneralName, ...]]] = {
    "a name": (name((NameOID.COMMON_NAME, "client")), (x509.DNSName("client"),)),
    "a spiffe id alone": (name(), (x509.UniformResourceIdentifier("spiffe://a/b"),)),
    "nothing": (name(), ()),
    "many attributes": (MANY, NAMES),
    "odd characters": (ODD, ()),
    "several attributes in one part": (SEVERAL, (x509.DNSName("client"),)),
}


POLICIES = ("sanitize", "sanitizeSet", "appendForward", "forwardOnly")
Forwarded = dict[tuple[str, bool], list[bytes]]


def contexts(authority: Authority) -> dict[str, ssl.SSLContext]:
    """Make a client's context of each certificate."""
    return {
        title: authority.client(
            authority.issue("client", stem=f"client{number}", subject=subject, names=names)
        )
        for number, (title, (subject, names)) in enumerate(CERTIFICATES.items())
    }


async def forwarded(port: int, v1: Origin, clients: dict[str, ssl.SSLContext]) -> Forwarded:
    """Ask with each certificate, with and without a header of the client's own; give what v1 is told."""
    found: Forwarded = {}
    for title, context in clients.items():
        for lines in ((), (b"X-Forwarded-Client-Cert: " + FORGED, b"x-forwarded-client-cert: Hash=1")):
            client = await Client.connect(port, tls=context)
            assert (await client.ask(get(b"/", *lines))).status == 200
            await client.close()
            found[title, bool(lines)] = v1.requests[-1].all(b"x-forwarded-client-cert")
    return found


@pytest.mark.parametrize("policy", POLICIES)
async def test_envoy_writes_the_same(
    origin: MakeOrigin, plane: MakePlane, tmp_path: Path, policy: str
) -> None:
    authority, v1, port = Authority(tmp_path), await origin(), free_port()
    own = authority.issue("localhost", names=(x509.DNSName("localhost"), *NAMES))
    tls = ListenerTls(*own, client_ca_file=authority.file)
    config = make_config(v1.port, settings={"forward_client_cert": policy})
    listening = replace(
        config.settings,
        listeners=(Listener(Address("127.0.0.1", port), tls),),
        admin=Admin(Address("127.0.0.1", free_port())),
    )
    clients = contexts(authority)
    ours = await forwarded((await plane(config, tls=tls)).port, v1, clients)
    said, _ = bootstrap(replace(config, settings=listening))
    async with running(said, tmp_path, port):
        theirs = await forwarded(port, v1, clients)
    assert ours == theirs
    assert any(ours.values()) == (policy != "sanitize")


@pytest.mark.parametrize("policy", POLICIES)
async def test_without_a_client_certificate_the_header_is_always_removed(
    origin: MakeOrigin, plane: MakePlane, tmp_path: Path, policy: str
) -> None:
    authority, v1, v2 = Authority(tmp_path), await origin(), await origin()
    settings = {"forward_client_cert": policy}
    for tls in (None, ListenerTls(*authority.issue("localhost"))):
        served = await plane(v1, v2, tls=tls, settings=settings)
        client = await Client.connect(served.port, tls=authority.client() if tls else None)
        await client.ask(get(b"/", b"x-forwarded-client-cert: " + FORGED))
        await client.close()
        await served.ended("completed")
    assert [one.all(b"x-forwarded-client-cert") for one in v1.requests + v2.requests] == [[]] * 4


async def test_a_shadow_carries_what_the_primary_is_told(
    origin: MakeOrigin, plane: MakePlane, tmp_path: Path
) -> None:
    authority, v1, v2 = Authority(tmp_path), await origin(), await origin()
    tls = ListenerTls(*authority.issue("localhost"), client_ca_file=authority.file)
    served = await plane(v1, v2, tls=tls, settings={"forward_client_cert": "sanitizeSet"})
    client = await Client.connect(served.port, tls=authority.client(authority.issue("client")))
    await client.ask(get(b"/", b"x-forwarded-client-cert: " + FORGED))
    await client.close()
    await served.ended("completed")
    [told] = v1.requests[0].all(b"x-forwarded-client-cert")
    assert re.fullmatch(rb'Hash=[0-9a-f]{64};Subject="CN=client";URI=;DNS=client', told)
    assert v2.requests[0].all(b"x-forwarded-client-cert") == [told]
