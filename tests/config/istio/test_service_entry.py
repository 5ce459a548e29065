"""ServiceEntry: hosts, ports and endpoints, and its refusals."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from mirror_proxy.config.model import Address, Config, Endpoint
from tests.config.istio.documents import destination_rule, service_entry

Load = Callable[..., Config]
Refusals = Callable[..., list[str]]

V1 = service_entry(
    "hosts: [v1.default.svc.cluster.local]\nresolution: DNS\nports: [{number: 8080, name: a}]", "v1"
)
HOST = "hosts: [v2.default.svc.cluster.local]"
PORT = "{number: 80, name: http, protocol: HTTP}"


@pytest.fixture
def endpoints(load_route: Load) -> Callable[..., list[tuple[str, int]]]:
    """Load a ServiceEntry with the given fields; return where its host is served, with weights."""

    def load(fields: str, port: int = 80) -> list[tuple[str, int]]:
        mirror = f"mirror: {{host: v2, port: {{number: {port}}}}}"
        found = load_route(mirror, before=V1 + service_entry(f"{HOST}\n{fields}")).clusters[1].endpoints
        return [(str(one.address), one.weight) for one in found]

    return load


@pytest.mark.parametrize(
    ("fields", "port", "expected"),
    [
        (f"resolution: DNS\nports: [{PORT}]", 80, [("v2.default.svc.cluster.local:80", 1)]),
        (
            "resolution: DNS\nports: [{number: 80, name: http, targetPort: 8000}]",
            80,
            [("v2.default.svc.cluster.local:8000", 1)],
        ),
        (
            f"resolution: DNS\nports: [{PORT}]\nendpoints: [{{address: shop-v2}}, {{address: '::1', weight: 3}}]",
            80,
            [("shop-v2:80", 1), ("[::1]:80", 3)],
        ),
        (
            (
                f"resolution: STATIC\nports: [{PORT}, {{number: 90, name: b, targetPort: 9000}}]\n"
                "endpoints: [{address: 10.0.0.1, weight: 0, ports: {http: 8000}}, {address: 10.0.0.2}]"
            ),
            80,
            [("10.0.0.1:8000", 1), ("10.0.0.2:80", 1)],
        ),
        (
            (
                f"resolution: STATIC\nports: [{PORT}, {{number: 90, name: b, targetPort: 9000}}]\n"
                "endpoints: [{address: 10.0.0.1, ports: {b: 7000}}, {address: 10.0.0.2}]"
            ),
            90,
            [("10.0.0.1:7000", 1), ("10.0.0.2:9000", 1)],
        ),
        (
            f"resolution: STATIC\nports: [{PORT}]\nendpoints: [{{address: 'unix:///run/v2.sock', weight: 2}}]",
            80,
            [("unix:///run/v2.sock", 2)],
        ),
        (
            f"resolution: STATIC\nports: [{PORT}]\nendpoints: [{{address: 'unix://@v2'}}, {{address: 10.0.0.1}}]",
            80,
            [("unix://@v2", 1), ("10.0.0.1:80", 1)],
        ),
        (
            f"resolution: DNS_ROUND_ROBIN\nports: [{PORT}]\nendpoints: [{{address: shop-v2}}]",
            80,
            [("shop-v2:80", 1)],
        ),
    ],
)
def test_a_service_entry_says_where_its_host_is_served(
    endpoints: Callable[..., list[tuple[str, int]]], fields: str, port: int, expected: list[tuple[str, int]]
) -> None:
    assert endpoints(fields, port) == expected


def test_several_entries_of_one_host_are_put_together(load_route: Load) -> None:
    static = "resolution: STATIC\nendpoints: [{{address: 10.0.0.{}}}]\nports: [{{number: {}, name: http}}]"
    second = service_entry(f"{HOST}\n{static.format(2, 80)}", "b")
    third = service_entry(f"{HOST}\n{static.format(3, 90)}", "c")
    before = V1 + service_entry(f"{HOST}\n{static.format(1, 80)}", "a") + second + third
    found = [
        load_route(f"mirror: {{host: v2, port: {{number: {port}}}}}", before=before).clusters[1].endpoints
        for port in (80, 90)
    ]
    assert found == [
        (Endpoint(Address("10.0.0.1", 80)), Endpoint(Address("10.0.0.2", 80))),
        (Endpoint(Address("10.0.0.3", 90)),),
    ]


def test_each_host_of_an_entry_has_its_endpoints(load_route: Load) -> None:
    entry = service_entry(
        f"hosts: [a.example, b.example]\nresolution: STATIC\nports: [{PORT}]\nendpoints: [{{address: 10.0.0.1}}]"
    )
    for host in ("a.example", "b.example"):
        mirror = load_route(f"mirror: {{host: {host}}}", before=V1 + entry).clusters[1]
        assert (mirror.name.partition("@")[0], mirror.host) == (f"outbound|80||{host}", host)
        assert mirror.endpoints == (Endpoint(Address("10.0.0.1", 80)),)


def test_a_wildcard_host_stands_for_those_below_it(load_route: Load) -> None:
    entry = service_entry(
        f"hosts: ['*.example']\nresolution: STATIC\nports: [{PORT}]\nendpoints: [{{address: 10.0.0.1}}]"
    )
    mirror = load_route("mirror: {host: a.example}", before=V1 + entry).clusters[1]
    assert mirror.endpoints == (Endpoint(Address("10.0.0.1", 80)),)


STATIC = f"{HOST}\nresolution: STATIC\nports: [{PORT}]\n"
DNS = STATIC.replace("STATIC", "DNS")


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ("resolution: DNS", ".hosts: Required value"),
        ("hosts: []\nresolution: DNS", ": service entry must have at least one host"),
        ("hosts: ['*']\nresolution: DNS", ".hosts[0]: invalid host *"),
        ("hosts: ['a*.b']\nresolution: DNS", '.hosts[0]: domain name "a*.b" invalid (label "a*" invalid)'),
        (
            "hosts: ['*.b']\nresolution: DNS",
            (
                ": hosts must be FQDN or contain only prefix wildcards if no endpoints are provided for resolution mode"
                ' DNS, domain name "*.b" invalid (label "*" invalid)'
            ),
        ),
        (
            f"{HOST}\nresolution: DNS\nports: [{PORT}, {{number: 81, name: http}}]",
            '.ports[1]: service entry port name "http" already defined',
        ),
        (
            f"{HOST}\nresolution: DNS\nports: [{PORT}, {{number: 80, name: b}}]",
            ".ports[1]: service entry port 80 already defined",
        ),
        (f"{HOST}\nresolution: DNS\nports: [~]", ".ports[0]: service entry port may not be null"),
        (f"{HOST}\nresolution: DNS\nports: [{{number: 80}}]", ".ports[0].name: Required value"),
        (f"{HOST}\nresolution: DNS\nports: [{{name: a}}]", ".ports[0].number: Required value"),
        (
            f"{HOST}\nresolution: DNS\nports: [{{number: 0, name: a}}]",
            ".ports[0].number: port number 0 must be in the range 1..65535",
        ),
        (
            f"{HOST}\nresolution: DNS\nports: [{{number: 80, name: a, targetPort: 65536}}]",
            ".ports[0].targetPort: port number 65536 must be in the range 1..65535",
        ),
        (
            f"{HOST}\nresolution: DNS\nports: [{{number: 80, name: a_b}}]",
            ".ports[0].name: invalid port name: a_b",
        ),
        (
            f"{HOST}\nresolution: DNS\nports: [{{number: 80, name: a, protocol: HTTTP}}]",
            ".ports[0].protocol: unsupported protocol: HTTTP",
        ),
        (
            "hosts: [a.b, c.d]\nresolution: DNS\nports: [{number: 80, name: a, protocol: TCP}]",
            ": multiple hosts provided with non-HTTP, non-TLS ports",
        ),
        (
            f"{STATIC}endpoints: [{{address: httpbin-v1}}]",
            '.endpoints[0].address: endpoint address "httpbin-v1" is not a valid IP address',
        ),
        (
            f"{DNS}endpoints: [{{address: x_y}}]",
            '.endpoints[0].address: endpoint address "x_y" is not a valid FQDN or an IP address',
        ),
        (
            f"{DNS}endpoints: [{{address: a..b}}]",
            '.endpoints[0].address: endpoint address "a..b" is not a valid FQDN or an IP address',
        ),
        (
            f"{STATIC}endpoints: [{{address: 'unix://'}}]",
            ".endpoints[0].address: unix address must not be empty",
        ),
        (
            f"{STATIC}endpoints: [{{address: 'unix://run/a.sock'}}]",
            ".endpoints[0].address: run/a.sock is not an absolute path to a file",
        ),
        (
            f"{STATIC}endpoints: [{{address: 'unix:///run/'}}]",
            ".endpoints[0].address: /run/ is not an absolute path to a file",
        ),
        (
            f"{STATIC}endpoints: [{{address: 'unix:///run/a.sock', ports: {{http: 80}}}}]",
            ".endpoints[0]: unix endpoint unix:///run/a.sock must not include ports",
        ),
        (
            f"{STATIC.replace('80', '80, name: a}, {number: 90')}endpoints: [{{address: 'unix:///run/a.sock'}}]",
            ": exactly 1 service port required for unix endpoints",
        ),
        (
            f"{DNS}endpoints: [{{address: 'unix:///run/a.sock'}}]",
            '.endpoints[0].address: endpoint address "unix:///run/a.sock" is not a valid FQDN or an IP address',
        ),
        (f"{STATIC}endpoints: [{{labels: {{}}}}]", ".endpoints[0].address: address is required"),
        (f"{STATIC}endpoints: [~]", ".endpoints[0]: endpoint cannot be nil"),
        (
            f"{STATIC}endpoints: [{{address: 10.0.0.1, ports: {{admin: 81}}}}]",
            ".endpoints[0]: endpoint port 81 is not defined by the service entry",
        ),
        (
            f"{STATIC}endpoints: [{{address: 10.0.0.1, labels: {{a: 1}}}}]",
            '.endpoints[0].labels.a: must be of type string: "integer"',
        ),
        (
            f"{DNS.replace('DNS', 'DNS_ROUND_ROBIN')}endpoints: [{{address: a}}, {{address: b}}]",
            ": there must only be 0 or 1 endpoint for resolution mode DNS_ROUND_ROBIN",
        ),
        (
            STATIC.replace("STATIC", "NONE"),
            (
                ".resolution: resolution NONE: a request's original destination is known in a mesh only;"
                " write STATIC or DNS"
            ),
        ),
        (
            HOST,
            ": resolution NONE: a request's original destination is known in a mesh only; write STATIC or DNS",
        ),
        (
            STATIC.replace("STATIC", "NONE") + "endpoints: [{address: 10.0.0.1}]",
            ": no endpoints should be provided for resolution type none",
        ),
        (
            STATIC.replace("STATIC", "DYNAMIC_DNS"),
            ".resolution: resolution DYNAMIC_DNS: this version does not have it; write STATIC or DNS",
        ),
        (
            f"{STATIC}workloadSelector: {{labels: {{a: b}}}}",
            ".workloadSelector: workloads register in a mesh only; write endpoints",
        ),
        (f"{STATIC}endpoint: []", '.endpoint: unknown field "endpoint"; did you mean "endpoints"?'),
    ],
)
def test_a_wrong_service_entry_is_refused_in_istios_words(
    refusals: Refusals, fields: str, problem: str
) -> None:
    (found,) = refusals(service_entry(fields) + ROUTE)
    assert found.partition(" ServiceEntry default/entry spec")[2] == problem


def test_a_selector_beside_endpoints_is_refused_in_istios_words(refusals: Refusals) -> None:
    fields = f"{STATIC}endpoints: [{{address: 10.0.0.1}}]\nworkloadSelector: {{}}"
    assert [text.partition(" spec")[2] for text in refusals(service_entry(fields) + ROUTE)] == [
        ".workloadSelector: workloads register in a mesh only; write endpoints",
        ": only one of WorkloadSelector or Endpoints is allowed in Service Entry",
    ]


ROUTE = """\
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: shop}
spec:
  hosts: [v2]
  http: [{route: [{destination: {host: v2}}]}]
"""


@pytest.mark.parametrize(
    ("entry", "warning"),
    [
        (
            service_entry(f"{STATIC}endpoints: []"),
            (
                "VirtualService default/shop spec.http[0].route[0].destination: nothing serves port 80 of v2: requests"
                " will get 503"
            ),
        ),
        (
            service_entry(DNS.replace("HTTP}", "HTTPS}")),
            (
                "ServiceEntry default/entry spec.ports[0]: port 80 speaks https, and HTTP/1.1 in plain text is spoken"
                " to it; a DestinationRule with tls encrypts it"
            ),
        ),
        (
            service_entry(DNS.replace("HTTP}", "GRPC}")),
            (
                "ServiceEntry default/entry spec.ports[0]: port 80 speaks grpc, and HTTP/1.1 in plain text is spoken to"
                " it"
            ),
        ),
        (
            service_entry(f"{DNS}subjectAltNames: [a]"),
            "ServiceEntry default/entry spec.subjectAltNames: has no effect: a DestinationRule's tls has them",
        ),
        (
            service_entry(DNS)
            + service_entry(DNS).replace("{name: entry}", "{name: entry, namespace: other}"),
            "ServiceEntry other/entry: ignored: ServiceEntry default/entry defines v2.default.svc.cluster.local",
        ),
    ],
)
def test_a_doubtful_service_entry_is_taken_with_a_warning(load: Load, entry: str, warning: str) -> None:
    (found,) = load(entry + ROUTE).warnings
    assert found.partition(" ")[2] == warning


def test_what_makes_no_difference_here_is_taken_in_silence(load: Load) -> None:
    more = "location: MESH_INTERNAL\naddresses: [10.1.1.1]\nexportTo: ['*']\n"
    endpoint = "endpoints: [{address: a, network: n, locality: a/b, serviceAccount: s}]"
    rule = destination_rule("{tls: {mode: SIMPLE}}")
    assert load(service_entry(DNS.replace("HTTP}", "HTTPS}") + more + endpoint) + rule + ROUTE).warnings == ()
