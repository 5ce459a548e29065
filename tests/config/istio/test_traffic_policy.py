"""TrafficPolicy: what each component, TLS included, says of connections, and what is refused or has no effect."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from mirror_proxy.config.model import (
    Balancer,
    Cluster,
    Config,
    HashKey,
    OutlierDetection,
    TcpKeepalive,
    UpstreamTls,
)
from tests.config.istio.documents import MIRROR, destination_rule

Load = Callable[..., Config]
Refusals = Callable[..., list[str]]
Clustered = Callable[[str], Cluster]
DAY_S = 86_400.0


@pytest.fixture
def cluster(load_route: Load) -> Clustered:
    """Load a DestinationRule with a policy; return the cluster it holds for."""
    return lambda policy: load_route(MIRROR, before=destination_rule(policy)).clusters[1]


def test_a_pool_bounds_connections_and_how_long_they_live(cluster: Clustered) -> None:
    tcp = (
        "{maxConnections: 3, connectTimeout: 2s, maxConnectionDuration: 1h,"
        " tcpKeepalive: {probes: 4, time: 30s, interval: 5s}}"
    )
    http = "{http1MaxPendingRequests: 5, http2MaxRequests: 6, maxRequestsPerConnection: 1, idleTimeout: 1s}"
    found = cluster(f"{{connectionPool: {{tcp: {tcp}, http: {http}}}}}")
    assert (found.max_connections, found.max_pending, found.max_requests) == (3, 5, 6)
    assert (found.idle_timeout_s, found.max_connection_duration_s, found.max_requests_per_connection) == (
        1,
        3600,
        1,
    )
    assert found.keepalive == TcpKeepalive(4, 30.0, 5.0)


def test_a_count_of_0_is_no_limit(cluster: Clustered) -> None:
    tcp = "{maxConnections: 0, tcpKeepalive: {}}"
    http = "{http1MaxPendingRequests: 0, http2MaxRequests: 0, maxRequestsPerConnection: 0, maxRetries: 0}"
    found = cluster(f"{{connectionPool: {{tcp: {tcp}, http: {http}}}}}")
    assert (found.max_connections, found.max_pending, found.max_requests) == (None, None, None)
    assert (found.max_requests_per_connection, found.keepalive) == (None, TcpKeepalive())


@pytest.mark.parametrize(
    ("pool", "seconds"),
    [
        ("{tcp: {idleTimeout: 5s}}", 5),
        ("{tcp: {idleTimeout: 5s}, http: {idleTimeout: 7s}}", 7),
        ("{http: {idleTimeout: 7s}, tcp: {idleTimeout: 5s}}", 7),
        ("{tcp: {idleTimeout: 0s}}", 365 * DAY_S),
        ("{http: {idleTimeout: 8760h}}", 365 * DAY_S),
        ("{tcp: {}}", 60),
    ],
)
def test_the_idle_timeout_is_that_of_http_or_else_of_tcp(
    cluster: Clustered, pool: str, seconds: float
) -> None:
    assert cluster(f"{{connectionPool: {pool}}}").idle_timeout_s == seconds


@pytest.mark.parametrize(
    ("balancer", "expected"),
    [
        ("{}", Balancer()),
        ("{simple: UNSPECIFIED}", Balancer()),
        ("{simple: LEAST_REQUEST}", Balancer("least_request")),
        ("{simple: LEAST_CONN}", Balancer("least_request")),
        ("{simple: ROUND_ROBIN}", Balancer("round_robin")),
        ("{simple: RANDOM}", Balancer("random")),
        ("{consistentHash: {httpHeaderName: X-User}}", Balancer("hash", HashKey("header", "x-user"))),
        ("{consistentHash: {http_query_parameter_name: User}}", Balancer("hash", HashKey("query", "User"))),
        ("{consistentHash: {useSourceIp: true}}", Balancer("hash", HashKey("source_ip"))),
        ("{consistentHash: {useSourceIp: false}}", Balancer("random")),
        ("{consistentHash: {}}", Balancer("random")),
        ("{consistentHash: {httpCookie: {name: u}}}", Balancer("hash", HashKey("cookie", "u"))),
        ("{consistentHash: {httpCookie: {name: u, ttl: 0s}}}", Balancer("hash", HashKey("cookie", "u", 0.0))),
        (
            "{consistentHash: {httpCookie: {name: u, ttl: 1h, path: /a}, maglev: {tableSize: 65537}}}",
            Balancer("hash", HashKey("cookie", "u", 3600.0, "/a")),
        ),
        (
            "{consistentHash: {useSourceIp: true, ringHash: {minimumRingSize: 10}}}",
            Balancer("hash", HashKey("source_ip")),
        ),
    ],
)
def test_a_load_balancer_is_read(cluster: Clustered, balancer: str, expected: Balancer) -> None:
    assert cluster(f"{{loadBalancer: {balancer}}}").balancer == expected


@pytest.mark.parametrize(
    ("outlier", "expected"),
    [
        ("{}", OutlierDetection()),
        ("{consecutive5xxErrors: 0, maxEjectionPercent: 0}", OutlierDetection(consecutive_5xx=0)),
        (
            (
                "{consecutive_5xx_errors: 3, consecutiveGatewayErrors: 2, interval: 1s, baseEjectionTime: 5s,"
                " maxEjectionPercent: 50, minHealthPercent: 20}"
            ),
            OutlierDetection(3, 2, 5, False, 1.0, 5.0, 50, 20),
        ),
        (
            "{splitExternalLocalOriginErrors: true, consecutiveLocalOriginFailures: 4}",
            OutlierDetection(consecutive_local_origin=4, splits_local_origin=True),
        ),
        (
            "{splitExternalLocalOriginErrors: true, consecutiveLocalOriginFailures: 0}",
            OutlierDetection(splits_local_origin=True),
        ),
    ],
)
def test_outlier_detection_is_read(cluster: Clustered, outlier: str, expected: OutlierDetection) -> None:
    assert cluster(f"{{outlierDetection: {outlier}}}").outlier == expected


def test_without_a_rule_nothing_is_bounded_or_left_out(load_route: Load) -> None:
    mirror = load_route(MIRROR).clusters[1]
    assert (mirror.outlier, mirror.tls, mirror.balancer, mirror.max_requests) == (
        None,
        None,
        Balancer(),
        None,
    )


ONE_OF = "must validate one and only one schema (oneOf): give one of "
POLICY_TEXTS = (
    ("{}", ": traffic policy must have at least one field"),
    ("{tunnel: {protocol: CONNECT}}", ".tunnel: has no meaning outside a mesh"),
    ("{proxyProtocol: {version: V3}}", '.proxyProtocol.version: "V3" is not one of V1, V2'),
    ("{connectionPool: {}}", ".connectionPool: connection pool must have at least one field"),
    (
        "{connectionPool: {tcp: {maxConnections: -1}}}",
        ".connectionPool.tcp.maxConnections: max connections must be non-negative",
    ),
    (
        "{connectionPool: {tcp: {connectTimeout: 0s}}}",
        ".connectionPool.tcp.connectTimeout: duration must be greater than 1ms",
    ),
    (
        "{connectionPool: {tcp: {maxConnectionDuration: 1us}}}",
        ".connectionPool.tcp.maxConnectionDuration: only durations to ms precision are supported",
    ),
    (
        "{connectionPool: {tcp: {idleTimeout: 1.5ms}}}",
        ".connectionPool.tcp.idleTimeout: only durations to ms precision are supported",
    ),
    (
        "{connectionPool: {tcp: {tcpKeepalive: {time: 0s}}}}",
        ".connectionPool.tcp.tcpKeepalive.time: duration must be greater than 1ms",
    ),
    (
        "{connectionPool: {http: {http1MaxPendingRequests: -1}}}",
        ".connectionPool.http.http1MaxPendingRequests: http1 max pending requests must be non-negative",
    ),
    (
        "{connectionPool: {http: {http2MaxRequests: -1}}}",
        ".connectionPool.http.http2MaxRequests: http2 max requests must be non-negative",
    ),
    (
        "{connectionPool: {http: {maxRequestsPerConnection: -1}}}",
        ".connectionPool.http.maxRequestsPerConnection: max requests per connection must be non-negative",
    ),
    (
        "{connectionPool: {http: {maxRetries: -1}}}",
        ".connectionPool.http.maxRetries: max retries must be non-negative",
    ),
    (
        "{connectionPool: {http: {maxConcurrentStreams: -1}}}",
        ".connectionPool.http.maxConcurrentStreams: max concurrent streams must be non-negative",
    ),
    (
        "{connectionPool: {http: {h2UpgradePolicy: UPGRADE, useClientProtocol: true}}}",
        ".connectionPool.http: use client protocol must not be true when H2UpgradePolicy is UPGRADE",
    ),
    (
        "{loadBalancer: {simple: PASSTHROUGH}}",
        ".loadBalancer.simple: PASSTHROUGH: a request's original destination is known in a mesh only",
    ),
    (
        "{loadBalancer: {simple: LEAST}}",
        (
            '.loadBalancer.simple: "LEAST" is not one of UNSPECIFIED, LEAST_REQUEST, LEAST_CONN, ROUND_ROBIN, RANDOM,'
            ' PASSTHROUGH; did you mean "LEAST_CONN"?'
        ),
    ),
    (
        "{loadBalancer: {simple: RANDOM, consistentHash: {useSourceIp: true}}}",
        f".loadBalancer: {ONE_OF}simple, consistentHash",
    ),
    (
        "{loadBalancer: {consistentHash: {useSourceIp: true, httpHeaderName: a}}}",
        f".loadBalancer.consistentHash: {ONE_OF}httpHeaderName, useSourceIp",
    ),
    (
        "{loadBalancer: {consistentHash: {ringHash: {}, maglev: {tableSize: 7}}}}",
        f".loadBalancer.consistentHash: {ONE_OF}ringHash, maglev",
    ),
    (
        "{loadBalancer: {consistentHash: {ringHash: {}, minimumRingSize: 7}}}",
        ".loadBalancer.consistentHash: only one of MinimumRingSize or Maglev/Ringhash can be specified",
    ),
    (
        "{loadBalancer: {consistentHash: {httpCookie: {ttl: 5s}}}}",
        ".loadBalancer.consistentHash.httpCookie: name required for HttpCookie",
    ),
    (
        "{loadBalancer: {consistentHash: {httpCookie: {name: 'a;b'}}}}",
        ".loadBalancer.consistentHash.httpCookie: HttpCookie name 'a;b' is not a valid cookie name",
    ),
    (
        "{loadBalancer: {consistentHash: {httpCookie: {name: a, path: '/;'}}}}",
        (
            ".loadBalancer.consistentHash.httpCookie:"
            " HttpCookie path '/;' must hold neither semicolons nor control characters"
        ),
    ),
    (
        "{loadBalancer: {consistentHash: {maglev: {tableSize: 0}}}}",
        ".loadBalancer.consistentHash.maglev.tableSize: tableSize must be set for maglev",
    ),
    (
        "{loadBalancer: {consistentHash: {maglev: {tableSize: 9}}}}",
        ".loadBalancer.consistentHash.maglev.tableSize: tableSize must be a prime number for maglev",
    ),
    (
        "{loadBalancer: {consistentHash: {maglev: {tableSize: 5000011}}}}",
        ".loadBalancer.consistentHash.maglev.tableSize: tableSize must be less than 5000011 for maglev",
    ),
    (
        "{loadBalancer: {localityLbSetting: {}, zoneAwareLbSetting: {}}}",
        ".loadBalancer: only one of localityLbSetting and zoneAwareLbSetting can be set",
    ),
    (
        "{outlierDetection: {maxEjectionPercent: 101}}",
        ".outlierDetection.maxEjectionPercent: percentage 101 is not in range 0..100",
    ),
    (
        "{outlierDetection: {minHealthPercent: -1}}",
        ".outlierDetection.minHealthPercent: percentage -1 is not in range 0..100",
    ),
    ("{outlierDetection: {interval: 0s}}", ".outlierDetection.interval: duration must be greater than 1ms"),
    (
        "{outlierDetection: {baseEjectionTime: 5}}",
        '.outlierDetection.baseEjectionTime: must be of type string: "integer"',
    ),
    (
        "{outlierDetection: {consecutiveLocalOriginFailures: 1}}",
        (
            ".outlierDetection: outlier detection consecutive local origin failures is specified,"
            " but split external local origin errors is set to false"
        ),
    ),
    ("{portLevelSettings: [~]}", ".portLevelSettings[0]: traffic policy may not be null"),
    (
        "{portLevelSettings: [{tls: {}}]}",
        ".portLevelSettings[0].port: portTrafficPolicy must have valid port",
    ),
    (
        "{portLevelSettings: [{port: {number: 80}}]}",
        ".portLevelSettings[0]: port traffic policy must have at least one field",
    ),
    (
        "{portLevelSettings: [{port: {number: 0}, tls: {}}]}",
        ".portLevelSettings[0].port.number: port number 0 must be in the range 1..65535",
    ),
)


@pytest.mark.parametrize(("policy", "problem"), POLICY_TEXTS)
def test_a_wrong_policy_is_refused_in_istios_words(
    route_refusals: Refusals, policy: str, problem: str
) -> None:
    (found,) = route_refusals(MIRROR, before=destination_rule(policy))
    assert found.endswith(f"DestinationRule default/v2 spec.trafficPolicy{problem}")


def test_tunnel_beside_proxy_protocol_is_refused_in_istios_words(route_refusals: Refusals) -> None:
    found = route_refusals(MIRROR, before=destination_rule("{tunnel: {}, proxyProtocol: {}}"))
    assert found[-1].endswith("spec.trafficPolicy: tunnel and proxyProtocol must not be set together")


@pytest.mark.parametrize(
    ("policy", "warning"),
    [
        (
            "{loadBalancer: {simple: LEAST_CONN}}",
            ".loadBalancer.simple: LEAST_CONN is deprecated; write LEAST_REQUEST",
        ),
        (
            "{loadBalancer: {localityLbSetting: {enabled: true}}}",
            ".loadBalancer.localityLbSetting: has no effect: where endpoints stand is not known here",
        ),
        (
            "{loadBalancer: {zoneAwareLbSetting: {enabled: true}}}",
            ".loadBalancer.zoneAwareLbSetting: has no effect: where endpoints stand is not known here",
        ),
        (
            "{loadBalancer: {warmup: {duration: 5s}}}",
            ".loadBalancer.warmup: has no effect: a new endpoint gets its whole share at once",
        ),
        (
            "{loadBalancer: {warmupDurationSecs: 5s}}",
            ".loadBalancer.warmupDurationSecs: has no effect: a new endpoint gets its whole share at once",
        ),
        (
            "{loadBalancer: {consistentHash: {useSourceIp: true, minimumRingSize: 5}}}",
            (
                ".loadBalancer.consistentHash: consistent hash MinimumRingSize is deprecated, use ConsistentHashLB's"
                " RingHash configuration instead"
            ),
        ),
        (
            "{loadBalancer: {consistentHash: {httpCookie: {name: a, attributes: [{name: Secure}]}}}}",
            (
                ".loadBalancer.consistentHash.httpCookie.attributes: has no effect: the cookie is set with its path and"
                " age only"
            ),
        ),
        (
            "{outlierDetection: {consecutiveErrors: 5}}",
            (
                ".outlierDetection.consecutiveErrors: outlier detection consecutive errors is deprecated, use"
                " consecutiveGatewayErrors or consecutive5xxErrors instead"
            ),
        ),
        (
            "{outlierDetection: {outlierDetectionHttpErrorCodes: [429]}}",
            ".outlierDetection.outlierDetectionHttpErrorCodes: has no effect: every 5xx counts, and nothing else",
        ),
        (
            "{connectionPool: {http: {h2UpgradePolicy: UPGRADE}}}",
            ".connectionPool.http: h2UpgradePolicy has no effect: upstreams are spoken to in HTTP/1.1",
        ),
        (
            "{connectionPool: {http: {http2KeepAlive: {}}}}",
            ".connectionPool.http.http2KeepAlive: has no effect: upstreams are spoken to in HTTP/1.1",
        ),
    ],
)
def test_what_has_no_effect_is_warned_of(load_route: Load, policy: str, warning: str) -> None:
    (found,) = load_route(MIRROR, before=destination_rule(policy)).warnings
    assert found.endswith(f"DestinationRule default/v2 spec.trafficPolicy{warning}")


@pytest.mark.parametrize(
    "policy",
    [
        "{retryBudget: {percent: 20, budgetInterval: 0s}}",
        "{connectionPool: {http: {maxRetries: 3, maxConcurrentStreams: 5, useClientProtocol: true}}}",
        "{connectionPool: {http: {h2UpgradePolicy: DO_NOT_UPGRADE}}}",
    ],
)
def test_what_makes_no_difference_here_is_taken_in_silence(load_route: Load, policy: str) -> None:
    assert load_route(MIRROR, before=destination_rule(policy)).warnings == ()


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
