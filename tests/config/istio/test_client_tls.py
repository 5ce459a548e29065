"""ClientTLSSettings: when TLS is spoken to an upstream, and what is refused of it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from mirror_proxy.config.model import Config, UpstreamTls
from tests.config.istio.documents import MIRROR, destination_rule

Load = Callable[..., Config]
Refusals = Callable[..., list[str]]


@pytest.mark.parametrize(
    ("tls", "expected"),
    [
        ("{mode: DISABLE}", None),
        ("{}", None),
        ("{mode: SIMPLE}", UpstreamTls()),
        ("{mode: SIMPLE, sni: a, insecureSkipVerify: true}", UpstreamTls(sni="a", verify=False)),
        ("{mode: SIMPLE, insecure_skip_verify: false}", UpstreamTls()),
        (
            "{mode: SIMPLE, subjectAltNames: [a, 'spiffe://b']}",
            UpstreamTls(subject_alt_names=("a", "spiffe://b")),
        ),
    ],
)
def test_a_policy_says_whether_tls_is_spoken(
    load_route: Load, tls: str, expected: UpstreamTls | None
) -> None:
    assert load_route(MIRROR, before=destination_rule(f"{{tls: {tls}}}")).clusters[1].tls == expected


def test_mutual_tls_takes_a_certificate_its_key_and_a_list_of_revoked_ones(
    load_route: Load, certificate: tuple[str, str], revoked: str
) -> None:
    cert, key = certificate
    tls = f"clientCertificate: {cert}, privateKey: {key}, caCertificates: {cert}, caCrl: {revoked}"
    mirror = load_route(MIRROR, before=destination_rule(f"{{tls: {{mode: MUTUAL, {tls}}}}}")).clusters[1]
    assert mirror.tls == UpstreamTls(ca_file=cert, cert_file=cert, key_file=key, crl_file=revoked)


TLS_TEXTS = (
    ("{mode: MUTUAL, privateKey: KEY}", ": client certificate required for mutual tls"),
    ("{mode: MUTUAL, clientCertificate: CERT}", ": private key required for mutual tls"),
    (
        "{mode: MUTUAL, clientCertificate: CERT, privateKey: CERT}",
        ": CERT and CERT are not a PEM certificate and its key, without a passphrase",
    ),
    ("{mode: SIMPLE, caCertificates: KEY}", ": KEY holds no usable PEM certificates"),
    ("{mode: SIMPLE, caCrl: KEY}", ": KEY holds no usable PEM list of revoked certificates"),
    (
        "{mode: SIMPLE, caCertificates: /no/ca}",
        ".caCertificates: /no/ca cannot be read: No such file or directory",
    ),
    (
        "{mode: MUTUAL, client_certificate: /no/cert, privateKey: KEY}",
        ".client_certificate: /no/cert cannot be read: No such file or directory",
    ),
    (
        "{mode: simple}",
        '.mode: "simple" is not one of DISABLE, SIMPLE, MUTUAL, ISTIO_MUTUAL; did you mean "SIMPLE"?',
    ),
    (
        "{mode: SIMPLE, credentialName: a}",
        (
            ".credentialName: names a Kubernetes secret, which is out of reach; write paths: caCertificates,"
            " clientCertificate, privateKey"
        ),
    ),
    (
        "{mode: SIMPLE, insecureSkipVerify: true, subjectAltNames: [a]}",
        ": cannot specify CaCertificates or CredentialName or SubjectAltNames when InsecureSkipVerify is set true",
    ),
    (
        "{mode: MUTUAL, insecureSkipVerify: true, caCertificates: CERT, clientCertificate: CERT, privateKey: KEY}",
        ": cannot specify CaCertificates or SubjectAltNames when InsecureSkipVerify is set true",
    ),
)


@pytest.mark.parametrize(("tls", "problem"), TLS_TEXTS)
def test_tls_that_cannot_be_spoken_is_refused(
    route_refusals: Refusals, certificate: tuple[str, str], tls: str, problem: str
) -> None:
    def fill(text: str) -> str:
        return text.replace("CERT", certificate[0]).replace("KEY", certificate[1])

    (found,) = route_refusals(MIRROR, before=destination_rule(fill(f"{{tls: {tls}}}")))
    assert found.endswith(f"DestinationRule default/v2 spec.trafficPolicy.tls{fill(problem)}")


def test_all_that_mutual_tls_misses_is_told(route_refusals: Refusals) -> None:
    found = route_refusals(MIRROR, before=destination_rule("{tls: {mode: MUTUAL}}"))
    assert [text.partition("tls: ")[2] for text in found] == [
        "client certificate required for mutual tls",
        "private key required for mutual tls",
    ]


def test_a_secret_beside_files_is_refused_in_istios_words(
    route_refusals: Refusals, certificate: tuple[str, str]
) -> None:
    tls = f"{{mode: SIMPLE, credentialName: a, caCertificates: {certificate[0]}}}"
    found = route_refusals(MIRROR, before=destination_rule(f"{{tls: {tls}}}"))
    assert any(
        text.endswith(
            "cannot specify client certificates or CA certificate or CA CRL If credentialName is set"
        )
        for text in found
    )


@pytest.mark.parametrize(
    ("tls", "warning"),
    [
        (
            "{mode: ISTIO_MUTUAL}",
            "ISTIO_MUTUAL: there are no mesh certificates outside a mesh; plain text is sent",
        ),
        ("{mode: SIMPLE, privateKey: KEY}", "a client certificate is used in mode MUTUAL only"),
    ],
)
def test_tls_that_is_not_as_written_is_warned_of(
    load_route: Load, certificate: tuple[str, str], tls: str, warning: str
) -> None:
    rule = destination_rule(f"{{tls: {tls.replace('KEY', certificate[1])}}}")
    (found,) = load_route(MIRROR, before=rule).warnings
    assert found.endswith(f"DestinationRule default/v2 spec.trafficPolicy.tls: {warning}")
