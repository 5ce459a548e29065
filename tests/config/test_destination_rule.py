"""DestinationRule: what it says of connections, and its refusals."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from proxy.config.model import Config, UpstreamTls

Load = Callable[..., Config]
Refusals = Callable[..., list[str]]


def destination_rule(policy: str, host: str = "v2") -> str:
    return (
        "apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: v2}\nspec:\n"
        f"  host: {host}\n  trafficPolicy: {policy}\n---\n"
    )


MIRROR = "mirror: {host: v2, port: {number: 80}}"


def test_a_destination_rule_bounds_the_connections_of_its_host(load_route: Load) -> None:
    pool = (
        "{tcp: {maxConnections: 3, connectTimeout: 2s}, http: {http1MaxPendingRequests: 0, idleTimeout: 1s}}"
    )
    rule = destination_rule(f"{{connectionPool: {pool}}}", "v1")
    (cluster, mirror) = load_route(MIRROR, before=rule).clusters
    assert (cluster.max_connections, cluster.max_pending) == (3, None)
    assert (cluster.connect_timeout_s, cluster.idle_timeout_s) == (2.0, 1.0)
    assert mirror.max_connections is None


@pytest.mark.parametrize(
    ("tls", "expected"),
    [
        ("{mode: DISABLE}", None),
        ("{}", None),
        ("{mode: SIMPLE}", UpstreamTls()),
        ("{mode: SIMPLE, sni: a, insecureSkipVerify: true}", UpstreamTls(sni="a", verify=False)),
        ("{mode: SIMPLE, insecure_skip_verify: false}", UpstreamTls()),
    ],
)
def test_a_destination_rule_says_whether_tls_is_spoken(
    load_route: Load, tls: str, expected: UpstreamTls | None
) -> None:
    assert load_route(MIRROR, before=destination_rule(f"{{tls: {tls}}}")).clusters[1].tls == expected


def test_a_ports_own_policy_replaces_that_of_the_host(load_route: Load) -> None:
    ports = "portLevelSettings: [{port: {number: 80}, tls: {mode: SIMPLE}}]"
    rule = destination_rule(f"{{connectionPool: {{tcp: {{maxConnections: 3}}}}, {ports}}}")
    mirror = load_route(MIRROR, before=rule).clusters[1]
    assert (mirror.tls, mirror.max_connections) == (UpstreamTls(), None)
    other = load_route("mirror: {host: v2, port: {number: 81}}", before=rule).clusters[1]
    assert (other.tls, other.max_connections) == (None, 3)


def test_mutual_tls_takes_a_certificate_and_its_key(load_route: Load, certificate: tuple[str, str]) -> None:
    cert, key = certificate
    tls = f"{{mode: MUTUAL, clientCertificate: {cert}, privateKey: {key}, caCertificates: {cert}}}"
    mirror = load_route(MIRROR, before=destination_rule(f"{{tls: {tls}}}")).clusters[1]
    assert mirror.tls == UpstreamTls(ca_file=cert, cert_file=cert, key_file=key)


@pytest.mark.parametrize(
    ("policy", "problem"),
    [
        ("{tls: {mode: MUTUAL}}", "spec.trafficPolicy.tls: client certificate required for mutual tls"),
        (
            "{tls: {mode: MUTUAL, clientCertificate: CERT}}",
            "spec.trafficPolicy.tls: private key required for mutual tls",
        ),
        (
            "{tls: {mode: MUTUAL, clientCertificate: CERT, privateKey: CERT}}",
            (
                "spec.trafficPolicy.tls: CERT and CERT are not a PEM certificate and its key, without a"
                " passphrase"
            ),
        ),
        (
            "{tls: {mode: SIMPLE, caCertificates: KEY}}",
            "spec.trafficPolicy.tls: KEY holds no usable PEM certificates",
        ),
        (
            "{tls: {mode: SIMPLE, caCertificates: /no/ca}}",
            "spec.trafficPolicy.tls.caCertificates: /no/ca cannot be read: No such file or directory",
        ),
        (
            "{tls: {mode: simple}}",
            (
                'spec.trafficPolicy.tls.mode: "simple" is not one of DISABLE, SIMPLE, MUTUAL,'
                " ISTIO_MUTUAL; did you mean"
                ' "SIMPLE"?'
            ),
        ),
        (
            "{tls: {mode: SIMPLE, credentialName: a}}",
            "spec.trafficPolicy.tls.credentialName: this version does not have it",
        ),
        ("{outlierDetection: {}}", "spec.trafficPolicy.outlierDetection: this version does not have it"),
        (
            "{connectionPool: {tcp: {maxConnections: -1}}}",
            "spec.trafficPolicy.connectionPool.tcp.maxConnections: max connections must be non-negative",
        ),
        (
            "{portLevelSettings: [{}]}",
            "spec.trafficPolicy.portLevelSettings[0].port: Required value",
        ),
    ],
)
def test_a_wrong_destination_rule_is_refused(
    route_refusals: Refusals, certificate: tuple[str, str], policy: str, problem: str
) -> None:
    def fill(text: str) -> str:
        return text.replace("CERT", certificate[0]).replace("KEY", certificate[1])

    (found,) = route_refusals(MIRROR, before=destination_rule(fill(policy)))
    assert found.endswith(f"DestinationRule default/v2 {fill(problem)}")


def test_a_destination_rule_names_its_host(route_refusals: Refusals) -> None:
    assert route_refusals(MIRROR, before=destination_rule("{}").replace("  host: v2\n", "")) == [
        "f.yaml:4 DestinationRule default/v2 spec.host: Required value"
    ]


def test_subsets_of_a_destination_rule_come_later(route_refusals: Refusals) -> None:
    rule = destination_rule("{}").replace("  host: v2\n", "  host: v2\n  subsets: [{name: a}]\n")
    assert route_refusals(MIRROR, before=rule) == [
        "f.yaml:6 DestinationRule default/v2 spec.subsets: this version does not have it"
    ]


@pytest.mark.parametrize(
    ("rules", "warning"),
    [
        (
            destination_rule("{tls: {mode: ISTIO_MUTUAL}}"),
            "ISTIO_MUTUAL: there are no mesh certificates outside a mesh; plain text is sent",
        ),
        (
            destination_rule("{tls: {mode: SIMPLE, privateKey: KEY}}"),
            "a client certificate is used in mode MUTUAL only",
        ),
        (
            destination_rule("{}", "other"),
            (
                "The host other.default.svc.cluster.local defined in the DestinationRule does not match"
                " any services in"
                " the mesh."
            ),
        ),
        (
            destination_rule("{}") + destination_rule("{}").replace("name: v2", "name: again"),
            "ignored: another DestinationRule for v2.default.svc.cluster.local comes first",
        ),
    ],
)
def test_a_doubtful_destination_rule_is_taken_with_a_warning(
    load_route: Load, certificate: tuple[str, str], rules: str, warning: str
) -> None:
    (found,) = load_route(MIRROR, before=rules.replace("KEY", certificate[1])).warnings
    assert found.endswith(warning)
