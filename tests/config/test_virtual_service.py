"""VirtualService: percentages, names and refusals as istiod has them, and what they become in the model."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mirror_proxy.config import loader
from mirror_proxy.config.istio.names import fqdn
from mirror_proxy.config.model import Address, Config, HeaderOps, MirrorPolicy, RetryPolicy, Route

Load = Callable[..., Config]
Refusals = Callable[..., list[str]]

HTTP = "http: [{route: [{destination: {host: a, port: {number: 1}}}]}]"


def route_of(config: Config) -> Route:
    return config.virtual_hosts[0].routes[0]


def mirrors_of(config: Config) -> tuple[MirrorPolicy, ...]:
    return route_of(config).mirrors


@pytest.mark.parametrize(
    ("percent", "numerator", "denominator"),
    [
        ("", 100, 100),
        ("mirrorPercentage: {value: 10}", 100_000, 1_000_000),
        ("mirrorPercentage: {value: 0.5}", 5_000, 1_000_000),
        ("mirrorPercentage: {value: 0.1}", 1_000, 1_000_000),
        ("mirrorPercentage: {value: 0.57}", 5_699, 1_000_000),
        ("mirrorPercentage: {value: 2.01}", 20_099, 1_000_000),
        ("mirrorPercentage: {value: 33.3333}", 333_333, 1_000_000),
        ("mirrorPercentage: {value: 0.0001}", 1, 1_000_000),
        ("mirrorPercentage: {value: 0.00009}", 0, 1_000_000),
        ("mirrorPercentage: {value: 100}", 1_000_000, 1_000_000),
        ("mirrorPercentage: {value: 0}", 0, 1_000_000),
        ("mirrorPercentage: {}", 0, 1_000_000),
        ("mirrorPercentage: ~", 100, 100),
        ("mirror_percentage: {value: 10}", 100_000, 1_000_000),
        ("mirrorPercent: 10", 10, 100),
        ("mirrorPercent: 0", 0, 100),
        ("mirror_percent: 10", 10, 100),
        ("mirrorPercent: 10\nmirror_percent: 20", 10, 100),
        ("mirrorPercent: 10\nmirrorPercentage: {value: 20}", 200_000, 1_000_000),
    ],
)
def test_a_percentage_is_truncated_as_istio_does(
    load_route: Load, percent: str, numerator: int, denominator: int
) -> None:
    (mirror,) = mirrors_of(load_route(f"mirror: {{host: v2, port: {{number: 80}}}}\n{percent}"))
    assert (mirror.numerator, mirror.denominator) == (numerator, denominator)


def test_mirrors_have_percentages_of_their_own(load_route: Load) -> None:
    config = load_route("""
        mirrors:
        - {destination: {host: v2, port: {number: 80}}, percentage: {value: 50}}
        - {destination: {host: v3, port: {number: 80}}}
        - {destination: {host: v2, port: {number: 81}}, percentage: {}}
        mirrorPercentage: {value: 1}
        """)
    assert [(mirror.name, mirror.numerator, mirror.denominator) for mirror in mirrors_of(config)] == [
        ("shop/v2", 500_000, 1_000_000),
        ("shop/v3", 100, 100),
        ("shop/v2#2", 0, 1_000_000),
    ]


@given(st.floats(0, 100))
def test_no_percentage_in_range_is_refused(tmp_path_factory: pytest.TempPathFactory, value: float) -> None:
    path = tmp_path_factory.mktemp("percent") / "f.yaml"
    path.write_text(
        "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: a}\n"
        "spec: {hosts: [a], http: [{route: [{destination: {host: a, port: {number: 1}}}],"
        f"mirror: {{host: b, port: {{number: 1}}}}, mirrorPercentage: {{value: {value!r}}}}}]}}"
    )
    (mirror,) = mirrors_of(loader.load([str(path)]))
    assert mirror.numerator == int(value * 10_000)


@pytest.mark.parametrize(
    ("fields", "warning"),
    [
        ("mirrorPercent: 10", 'using deprecated setting "mirrorPercent", use "mirrorPercentage" instead'),
        ("mirror_percent: 10", 'using deprecated setting "mirrorPercent", use "mirrorPercentage" instead'),
        ("mirror_percentage: {value: 1}", "kubectl will reject this; write mirrorPercentage"),
        ("mirror: {host: v1, port: {number: 8080}}", "the mirror shop/v1 is the primary itself, v1:8080"),
        (
            "mirror: {host: my_v2, port: {number: 80}}",
            "a mesh would refuse the host my_v2 for its underscore",
        ),
    ],
)
def test_what_is_doubtful_is_taken_with_a_warning(load_route: Load, fields: str, warning: str) -> None:
    if "mirror:" not in fields:
        fields += "\nmirror: {host: v2, port: {number: 80}}"
    (found,) = load_route(fields).warnings
    assert found.endswith(warning)


def test_clusters_are_named_as_istios_and_mirrors_have_their_own(load_route: Load) -> None:
    config = load_route("mirror: {host: v2.other, port: {number: 80}}")
    assert [
        (cluster.name, cluster.endpoints[0].address, cluster.connect_timeout_s) for cluster in config.clusters
    ] == [
        ("outbound|8080||v1.default.svc.cluster.local", Address("v1", 8080), 10.0),
        ("outbound|80||v2.other@shop/v2.other", Address("v2.other", 80), 1.0),
    ]
    assert mirrors_of(config)[0].cluster == config.clusters[1].name
    assert route_of(config).destinations[0].cluster == config.clusters[0].name


def test_a_route_without_a_name_is_named_after_its_virtual_service(load: Load) -> None:
    config = load("""
        apiVersion: networking.istio.io/v1beta1
        kind: VirtualService
        metadata: {name: shop, namespace: prod}
        spec:
          hosts: [v1]
          http:
          - route: [{destination: {host: v1}, weight: 37}]
            mirror: {host: v2, port: {number: 80}}
        """)
    assert route_of(config).name == "shop[0]"
    assert mirrors_of(config)[0].name == "shop[0]/v2"
    assert config.clusters[0].name == "outbound|8080||v1.prod.svc.cluster.local"
    assert config.virtual_hosts[0].name == "prod/shop"


def test_a_route_takes_timeouts_retries_and_headers(load_route: Load) -> None:
    route = route_of(
        load_route("""
        timeout: 1.5s
        retries: {attempts: 1, perTryTimeout: 500ms}
        headers:
          request: {set: {X-A: 100%%}, add: {X-B: b}, remove: [Cookie]}
          response: {remove: [Server]}
        mirror: {host: v2, port: {number: 80}}
        """)
    )
    assert route.timeout_s == 1.5
    assert route.retries == RetryPolicy(1, 0.5)
    assert route.request_headers == HeaderOps(("cookie",), (("x-a", "100%"),), (("x-b", "b"),))
    assert route.response_headers == HeaderOps(("server",))
    assert route.mirrors[0].mirroring.timeout_s == 1.5


def test_a_shadow_has_the_smaller_of_two_timeouts(load_route: Load) -> None:
    assert (
        mirrors_of(load_route("timeout: 1h\nmirror: {host: v2, port: {number: 80}}"))[0].mirroring.timeout_s
        == 5.0
    )


def test_retries_are_istios_by_default_and_off_when_empty(load_route: Load) -> None:
    assert route_of(load_route("")).retries == RetryPolicy(2, None)
    assert route_of(load_route("retries: {}")).retries == RetryPolicy(0, None)
    assert route_of(load_route("retries: {attempts: 0}")).retries == RetryPolicy(0, None)


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        (
            "mirrorPercentage: {value: 101}",
            (
                "spec.http[0].mirrorPercentage.value: mirror_percentage must have a max value of 100 (it"
                " has 101.000000)"
            ),
        ),
        (
            "mirrorPercentage: {value: -1}",
            (
                "spec.http[0].mirrorPercentage.value: mirror_percentage must have a min value of 0 (it"
                " has -1.000000)"
            ),
        ),
        (
            "mirrorPercentage: {value: .nan}",
            (
                "spec.http[0].mirrorPercentage.value: mirror_percentage must have a max value of 100 (it"
                " has nan)"
            ),
        ),
        ("mirrorPercentage: 50", 'spec.http[0].mirrorPercentage: must be of type object: "integer"'),
        (
            "mirrorPercentage: {value: '50'}",
            'spec.http[0].mirrorPercentage.value: must be of type number: "string"',
        ),
        (
            "mirrorPercent: 101",
            "spec.http[0].mirrorPercent: mirror_percent must have a max value of 100 (it has 101)",
        ),
        ("mirror_percent: 50.5", 'spec.http[0].mirror_percent: must be of type integer: "number"'),
        (
            "mirrorPercentag: {value: 1}",
            'spec.http[0].mirrorPercentag: unknown field "mirrorPercentag"; did you mean "mirrorPercentage"?',
        ),
        ("mirrors: [~]", "spec.http[0].mirrors[0]: mirror cannot be null"),
        (
            "mirrors: [{destination: {host: a}, percentage: {value: 200}}]",
            (
                "spec.http[0].mirrors[0].percentage.value: mirror percentage must have a max value of 100"
                " (it has 200.000000)"
            ),
        ),
        (
            "mirror: {host: a}\nmirrors: [{destination: {host: a}}]",
            "spec.http[0]: HTTP route cannot contain both mirror and mirrors",
        ),
        ("mirror: {}", "spec.http[0].mirror.host: Required value"),
        ("mirror: {host: '*'}", "spec.http[0].mirror.host: invalid destination host *"),
        ("mirror: {host: ''}", "spec.http[0].mirror.host: empty domain name not allowed"),
        (
            "mirror: {host: 'a..b'}",
            'spec.http[0].mirror.host: domain name "a..b" invalid (label "" invalid)',
        ),
        (
            "mirror: {host: -a}",
            'spec.http[0].mirror.host: domain name "-a" invalid (label "-a" invalid)',
        ),
        (
            "mirror: {host: a.1}",
            (
                'spec.http[0].mirror.host: domain name "a.1" invalid (top level domain "1" cannot be'
                " all-numeric)"
            ),
        ),
        (
            f"mirror: {{host: {'a.' * 130}a}}",
            f'spec.http[0].mirror.host: domain name "{"a." * 130}a" too long (max 255)',
        ),
        (
            "mirror: {host: a, port: {number: 0}}",
            "spec.http[0].mirror.port.number: port number 0 must be in the range 1..65535",
        ),
        ("mirror: {host: a, port: 80}", 'spec.http[0].mirror.port: must be of type object: "integer"'),
        (
            "mirror: {host: a, port: {name: http}}",
            'spec.http[0].mirror.port.name: unknown field "name"; did you mean "number"?',
        ),
        ("mirror: {host: a, subset: ~v2}", "spec.http[0].mirror.subset: subset name is invalid: ~v2"),
        ("timeout: 0s", "spec.http[0].timeout: duration must be greater than 1ms"),
        ("timeout: 5", 'spec.http[0].timeout: must be of type string: "integer"'),
        ("timeout: 1.0001s", "spec.http[0].timeout: only durations to ms precision are supported"),
    ],
)
def test_a_wrong_route_is_refused_in_istios_words(
    route_refusals: Refusals, fields: str, problem: str
) -> None:
    found = route_refusals(fields)
    assert problem in found


@pytest.mark.parametrize(
    ("spec", "problem"),
    [
        ("hosts: [a]", "spec: http, tcp or tls must be provided in virtual service"),
        ("hosts: [a]\nhttp: []", "spec: http, tcp or tls must be provided in virtual service"),
        ("http: []", "spec: http, tcp or tls must be provided in virtual service"),
        ("hosts: []", "spec: http, tcp or tls must be provided in virtual service"),
        (
            "hosts: [a]\ntcp: [{}]",
            "spec.tcp: this proxy speaks HTTP only, and the VirtualService has no http routes",
        ),
        (
            "hosts: [a]\ntls: [{}]",
            "spec.tls: this proxy speaks HTTP only, and the VirtualService has no http routes",
        ),
        ("hosts: ['']\nhttp: []", "spec.hosts[0]: empty domain name not allowed"),
        (
            "hosts: ['*.a.1']\nhttp: []",
            'spec.hosts[0]: domain name "*.a.1" invalid (top level domain "1" cannot be all-numeric)',
        ),
        ("hosts: ['a*b']\nhttp: []", 'spec.hosts[0]: domain name "a*b" invalid (label "a*b" invalid)'),
        (
            f"hosts: [{'a.' * 130}a]\nhttp: []",
            f'spec.hosts[0]: domain name "{"a." * 130}a" too long (max 255)',
        ),
        ("hosts: [1]\nhttp: []", 'spec.hosts[0]: must be of type string: "integer"'),
        *(
            (f"hosts: [{hosts}]\n{HTTP}", f"spec.hosts: duplicate hosts in virtual service: {shown}")
            for hosts, shown in (
                ("a, a", "a & a"),
                ("x.foo.com, '*.foo.com'", "x.foo.com & *.foo.com"),
                ("'*.foo.com', '*.com'", "*.foo.com & *.com"),
            )
        ),
        (f"hosts: [a]\n{HTTP}\nexportTo: [a, a]", "spec.exportTo: duplicate entries in exportTo for entry a"),
        (
            f"hosts: [a]\n{HTTP}\nexportTo: [default, .]",
            "spec.exportTo: duplicate entries in exportTo: . and current namespace default",
        ),
        (
            f"hosts: [a]\n{HTTP}\nexportTo: [a, '*']",
            "spec.exportTo: cannot have both public (*) and non-public exportTo values for a resource",
        ),
        (
            f"hosts: [a]\n{HTTP}\nexportTo: ['~']",
            "spec.exportTo[0]: exportTo ~ (none) is not allowed for Istio configuration objects",
        ),
        (
            f"hosts: [a]\n{HTTP}\nexportTo: [a.b]",
            "spec.exportTo[0]: only .,*, or a valid DNS 1123 label is allowed as exportTo entry",
        ),
        (
            f"hosts: [a]\n{HTTP}\ngateways: [a.*]",
            'spec.gateways[0]: domain name "a.*" invalid (label "*" invalid)',
        ),
        (f"hosts: [a]\n{HTTP}\nhost: [a]", 'spec.host: unknown field "host"; did you mean "hosts"?'),
        ("hosts: ['a.*']\nhttp: []", 'spec.hosts[0]: domain name "a.*" invalid (label "*" invalid)'),
        ("hosts: [a]\nhttp: [~]", "spec.http[0]: http route may not be null"),
        ("hosts: [a]\nhttp: [{}]", "spec.http[0]: HTTP route, redirect or direct_response is required"),
        (
            "hosts: [a]\nhttp: [{route: []}]",
            "spec.http[0]: HTTP route, redirect or direct_response is required",
        ),
    ],
)
def test_a_wrong_virtual_service_is_refused(refusals: Refusals, spec: str, problem: str) -> None:
    head = "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: a}\nspec:\n"
    text = head + "\n".join(f"  {line}" for line in spec.splitlines())
    assert any(found.endswith(f"VirtualService default/a {problem}") for found in refusals(text)), refusals(
        text
    )


def test_the_wildcard_host_is_taken_with_a_warning_unless_a_gateway_has_it(load: Load) -> None:
    both = load(virtual_service("a", "'*'") + virtual_service("b", "b"))
    assert both.virtual_hosts[0].domains == ("*",)
    (warning,) = both.warnings
    assert warning.endswith(
        "wildcard host * is not allowed for virtual services bound to the mesh gateway;"
        " a mesh would refuse it, here it takes every host"
    )
    assert load(virtual_service("a", "'*'", "gateways: [web]")).warnings == ()


def test_layer_4_routes_beside_http_are_ignored_with_a_warning(load: Load) -> None:
    config = load(virtual_service("a", "b", "tcp: [{match: [{port: 1}]}]"))
    assert [warning.split("spec")[1] for warning in config.warnings] == [
        ".tcp: ignored: this proxy speaks HTTP only"
    ]


def virtual_service(name: str, host: str, field: str = "exportTo: ['.']") -> str:
    head = f"apiVersion: networking.istio.io/v1alpha3\nkind: VirtualService\nmetadata: {{name: {name}}}\n"
    route = "{route: [{destination: {host: a, port: {number: 1}}}]}"
    return f"{head}spec:\n  {field}\n  hosts: [{host}]\n  http: [{route}]\n---\n"


@pytest.mark.parametrize(
    ("host", "full"),
    [
        ("httpbin", "httpbin.prod.svc.cluster.local"),
        ("reviews.other", "reviews.other"),
        ("*", "*"),
        ("10.0.0.1", "10.0.0.1"),
        ("::1", "::1"),
    ],
)
def test_a_short_name_is_expanded_with_its_rules_namespace(host: str, full: str) -> None:
    assert fqdn(host, "prod") == full
