"""Settings: every key of the MirrorProxy document, its refusals, and its JSON Schema."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from mirror_proxy.config import loader, settings
from mirror_proxy.config.comparing import Repeat
from mirror_proxy.config.model import (
    Address,
    Admin,
    Breaker,
    Compare,
    Config,
    Drain,
    HeaderOps,
    Http1,
    Limits,
    Listener,
    ListenerTls,
    Mirroring,
    ProxyProtocol,
    ServerCertificate,
    Settings,
    Share,
    Shed,
    StoreLimits,
    Thresholds,
    Tracing,
)
from mirror_proxy.config.node import Place, to_node
from mirror_proxy.config.problems import Mark, Problems
from mirror_proxy.config.schema import Field, ListOf, Record

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "config/mirror-proxy.yaml"
SHOP = str(ROOT / "config/shop/virtual-service.yaml")
WITH_ISTIOS_FILES = Settings(limits=Limits(stream_idle_timeout_s=0.0))

LoadSpec = Callable[[str], Config]
Refusals = Callable[..., list[str]]


def mirroring_of(config: Config) -> Mirroring:
    return config.virtual_hosts[0].routes[0].mirrors[0].mirroring


def test_the_documented_example_is_the_defaults() -> None:
    config = loader.load([str(EXAMPLE), SHOP])
    assert config.settings == WITH_ISTIOS_FILES
    assert mirroring_of(config) == Mirroring()
    assert config.warnings == ()


def test_the_documented_example_names_every_key() -> None:
    text = EXAMPLE.read_text()
    missing = [field.key for field in fields(settings.SPEC) if f"{field.key}:" not in text]
    assert missing == []


def fields(record: Record) -> Iterator[Field]:
    for field in record.fields:
        yield field
        kind = field.kind.item if isinstance(field.kind, ListOf) else field.kind
        if isinstance(kind, Record):
            yield from fields(kind)


@pytest.mark.parametrize(
    ("record", "model"),
    [
        (settings.SPEC.field("limits").kind, Limits()),
        (settings.SPEC.field("http1").kind, Http1()),
        (settings.SPEC.field("drain").kind, Drain()),
        (settings.SPEC.field("mirroring", "breaker").kind, Breaker()),
        (settings.SPEC.field("admin").kind, Settings().admin),
        (settings.SPEC.field("mirroring", "shed").kind, Shed()),
        (settings.SPEC, Settings()),
        (settings.SPEC.field("mirroring").kind, Mirroring()),
        (settings.SPEC.field("compare").kind, Compare()),
        (settings.SPEC.field("compare", "noise", "thresholds").kind, Thresholds()),
        (settings.SPEC.field("compare", "noise", "repeat").kind, Repeat()),
        (settings.SPEC.field("compare", "store").kind, StoreLimits()),
        (settings.SPEC.field("tracing").kind, Tracing()),
    ],
)
def test_a_default_shown_is_the_default_taken(record: Record, model: object) -> None:
    shown = 0
    for field in record.fields:
        if field.default is not None and hasattr(model, field.attribute):
            shown += 1
            place = Place(to_node(field.default, Mark("test")), Problems())
            assert field.kind.read(place) == getattr(model, field.attribute), field.key
    assert shown


def test_every_setting_reaches_the_model(load_spec: LoadSpec, tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(b"k" * 16)
    config = load_spec(f"""
        listeners: [{{address: "127.0.0.1:0"}}, {{address: "[::1]:8081"}}]
        admin: {{address: "localhost:1", tokenFile: {tmp_path}/key}}
        metrics: {{address: "0.0.0.0:9902"}}
        workers: auto
        drain: {{delay: 0s, grace: 1m}}
        upgrades: []
        pathNormalization: decode_and_merge_slashes
        xffNumTrustedHops: 2
        via: true
        shadowHostSuffix: false
        mirroring:
          methods: [GET, M-SEARCH]
          timeout: 1s
          connectTimeout: 250ms
          maxInFlight: 3
          maxLagBytes: 64KiB
          maxBufferedBytes: 2MiB
          breaker: {{consecutiveFailures: 1, openFor: 2s}}
          sampling: exact
          shed: {{loopLag: 1s, addedLatency: 0s}}
          maxPerSecond: 2.5
          maxBodyBytes: 0
          maxBytesPerSecond: 2MiB
          host: v2.example:8080
          path: /v2/
          body: false
          headers: {{remove: [Cookie], set: {{X-A: b}}, add: {{x-c: d}}}}
          mark: false
          markKeyFile: {tmp_path}/key
        limits: {{maxHeadBytes: 8KiB, maxHeaders: 10, headTimeout: 1s, idleTimeout: 2s, streamIdleTimeout: 4s,
                 maxConnections: 3, retryBufferBytes: 0, maxResponseHeadBytes: 16KiB}}
        http1: {{trailers: true}}
        accessLog: {{path: "-", format: json}}
        """)
    key = str(tmp_path / "key")
    assert config.settings == Settings(
        name="p",
        listeners=(Listener(Address("127.0.0.1", 0)), Listener(Address("::1", 8081))),
        admin=Admin(Address("localhost", 1), key),
        metrics=Address("0.0.0.0", 9902),
        workers=0,
        drain=Drain(0.0, 60.0),
        upgrades=frozenset(),
        path_normalization="decode_and_merge_slashes",
        xff_num_trusted_hops=2,
        via=True,
        max_buffered_bytes=2 << 20,
        mark_key_file=key,
        limits=Limits(8192, 10, 1.0, 2.0, 4.0, 3, 0, 16384),
        http1=Http1(True),
        access_log="-",
        exact=True,
        shed=Shed(1.0, 0.0),
    )
    assert mirroring_of(config) == Mirroring(
        methods=frozenset(("GET", "M-SEARCH")),
        timeout_s=1.0,
        connect_timeout_s=0.25,
        max_in_flight=3,
        max_lag_bytes=65536,
        breaker=Breaker(1, 2.0),
        max_per_second=2.5,
        headers=HeaderOps(("cookie",), (("x-a", "b"),), (("x-c", "d"),)),
        mark=False,
        host="v2.example:8080",
        path="/v2",
        body=False,
        max_body_bytes=0,
        max_bytes_per_second=2 << 20,
    )
    assert not config.virtual_hosts[0].routes[0].mirrors[0].host_suffix


def test_an_override_is_laid_over_the_rest_for_its_mirror_alone(load_spec: LoadSpec) -> None:
    config = load_spec("""
        mirroring:
          methods: safe
          breaker: {openFor: 1s}
          overrides:
            shop/v2: {breaker: {consecutiveFailures: 3}, mark: false}
        """)
    assert mirroring_of(config) == Mirroring(
        methods=frozenset(("GET", "HEAD", "OPTIONS")), breaker=Breaker(3, 1.0), mark=False
    )


def test_path_may_be_a_pattern_and_its_substitution(load_spec: LoadSpec) -> None:
    config = load_spec("mirroring: {path: {regex: '^/api/', substitution: /v2/}}")
    assert mirroring_of(config).path == ("^/api/", "/v2/")


@pytest.mark.parametrize(
    ("written", "share"),
    [
        ("off", Share(0)),
        ("'off'", Share(0)),
        ("parent", None),
        ("10", Share(10)),
        ("0.5", Share(5000, 1_000_000)),
    ],
)
def test_traces_of_shadows_are_sampled_as_configured(
    load_spec: LoadSpec, written: str, share: Share | None
) -> None:
    config = load_spec(f"tracing: {{mirrors: {written}}}")
    assert config.settings.tracing.mirrors == share
    assert config.virtual_hosts[0].routes[0].mirrors[0].trace_share == share


def test_shadows_are_not_sampled_with_istios_files(load_spec: LoadSpec) -> None:
    assert load_spec("").virtual_hosts[0].routes[0].mirrors[0].trace_share == Share(0)


def test_baselines_get_the_primarys_host_path_and_body(load_spec: LoadSpec) -> None:
    config = load_spec("""
        mirroring: {host: upstream, path: /v2, body: false}
        compare: {percent: 10, noise: {repeat: {}, secondary: {host: v1b, port: {number: 81}}}}
        """)
    mirror, *baselines = (one.mirroring for one in config.virtual_hosts[0].routes[0].mirrors)
    assert (mirror.host, mirror.path, mirror.body) == ("upstream", "/v2", False)
    assert [(one.host, one.path, one.body) for one in baselines] == [("primary", "", True)] * 2


@pytest.mark.parametrize(
    ("spec", "problem"),
    [
        ("tracing: {mirrors: true}", "spec.tracing.mirrors: true is not one of a percentage, parent, off"),
        (
            "tracing: {mirrors: some}",
            'spec.tracing.mirrors: "some" is not one of a percentage, parent, off',
        ),
        ("mirroring: {host: a b}", 'spec.mirroring.host: "a b" is not primary, upstream or HOST[:PORT]'),
        ("mirroring: {path: v2}", 'spec.mirroring.path: "v2" is not a path; write such as /v2'),
        ("mirroring: {path: '/a?b'}", 'spec.mirroring.path: "/a?b" is not a path; write such as /v2'),
        ("mirroring: {path: {regex: a}}", "spec.mirroring.path.substitution: Required value"),
        (
            "mirroring: {maxBytesPerSecond: 1}",
            "spec.mirroring.maxBytesPerSecond: must be in the range 1024..1099511627776 (it is 1)",
        ),
        ("worker: 1", 'spec.worker: unknown field "worker"; did you mean "workers"?'),
        ("zzz: 1", 'spec.zzz: unknown field "zzz"'),
        ("workers: 0", "spec.workers: must be in the range 1..256 (it is 0)"),
        ("workers: many", 'spec.workers: "many" is not one of a whole number, auto'),
        ("workers: 1.5", 'spec.workers: must be of type integer or string: "number"'),
        ("workers: [1]", 'spec.workers: must be of type integer or string: "array"'),
        ("listeners: []", "spec.listeners: needs at least 1 item"),
        ("listeners: {}", 'spec.listeners: must be of type array: "object"'),
        ("listeners: [~]", "spec.listeners[0]: must not be null"),
        ("listeners: [{}]", "spec.listeners[0].address: Required value"),
        (
            "listeners: [{address: 8080}]",
            'spec.listeners[0].address: must be of type string: "integer"',
        ),
        (
            "listeners: [{address: '8080'}]",
            (
                'spec.listeners[0].address: "8080" is not HOST:PORT; write such as 0.0.0.0:8080,'
                " 127.0.0.1:9901 or"
                " [::]:8080"
            ),
        ),
        (
            "listeners: [{address: 'a:1', tls: {certFile: /no/cert}}]",
            "spec.listeners[0].tls.certFile: /no/cert cannot be read: No such file or directory",
        ),
        (
            "listeners: [{address: 'a:1', tls: {certFile: /no/cert}}]",
            "spec.listeners[0].tls.keyFile: Required value",
        ),
        (
            "admin: {address: 'a:1', tokenFile: /no}",
            "spec.admin.tokenFile: /no cannot be read: No such file or directory",
        ),
        ("drain: {delay: 31s}", "spec.drain: delay (31s) is longer than grace (30s), which bounds all"),
        ("drain: {grace: 5}", 'spec.drain.grace: must be of type string: "integer"'),
        ("drain: {grace: '5'}", 'spec.drain.grace: "5" is not a duration; write 5s'),
        ("drain: {grace: 48h}", 'spec.drain.grace: "48h" is too long; the most is 86400s'),
        (
            "upgrades: [h2c]",
            'spec.upgrades[0]: "h2c": only websocket can be tunnelled; any other upgrade is stripped',
        ),
        (
            "pathNormalization: BASE",
            (
                'spec.pathNormalization: "BASE" is not one of none, base, merge_slashes,'
                " decode_and_merge_slashes;"
                ' did you mean "base"?'
            ),
        ),
        ("via: 1", 'spec.via: must be of type boolean: "integer"'),
        ("xffNumTrustedHops: -1", "spec.xffNumTrustedHops: must be in the range 0..100 (it is -1)"),
        ("mirroring: {timeout: 0s}", "spec.mirroring.timeout: duration must be greater than 1ms"),
        (
            "mirroring: {methods: unsafe}",
            'spec.mirroring.methods: "unsafe" is not one of all, safe; did you mean "safe"?',
        ),
        (
            "mirroring: {methods: [get]}",
            'spec.mirroring.methods[0]: "get" is not a method; methods are upper case, such as GET',
        ),
        ("mirroring: {methods: []}", "spec.mirroring.methods: needs at least 1 item"),
        (
            "mirroring: {maxLagBytes: 1KB}",
            'spec.mirroring.maxLagBytes: "1KB" is not a size; write such as 65536, 64KiB or 1MiB',
        ),
        (
            "mirroring: {maxLagBytes: 10}",
            "spec.mirroring.maxLagBytes: must be in the range 1024..1073741824 (it is 10)",
        ),
        (
            "mirroring: {maxPerSecond: .nan}",
            "spec.mirroring.maxPerSecond: must be in the range 0..1000000 (it is nan)",
        ),
        (
            "mirroring: {sampling: exactly}",
            'spec.mirroring.sampling: "exactly" is not one of random, exact; did you mean "exact"?',
        ),
        ("mirroring: {shed: {loopLag: 5}}", 'spec.mirroring.shed.loopLag: must be of type string: "integer"'),
        (
            "mirroring: {headers: {remove: [':path']}}",
            'spec.mirroring.headers.remove[0]: invalid header ":path": header cannot have ":" prefix',
        ),
        (
            "mirroring: {headers: {set: {Host: a}}}",
            'spec.mirroring.headers.set.Host: invalid header "Host": cannot set Host header',
        ),
        (
            "mirroring: {headers: {set: {Content-Length: '1'}}}",
            (
                'spec.mirroring.headers.set["Content-Length"]: invalid header "Content-Length": the proxy'
                " itself frames each message"
            ),
        ),
        (
            "mirroring: {headers: {set: {'a b': '1'}}}",
            'spec.mirroring.headers.set["a b"]: header name a b is not a valid header name',
        ),
        (
            "mirroring: {headers: {set: {a: 1}}}",
            'spec.mirroring.headers.set.a: must be of type string: "integer"',
        ),
        (
            'mirroring: {headers: {add: {a: "b\\r\\nc: d"}}}',
            r"spec.mirroring.headers.add.a: header value configuration 'b\r\nc: d' is invalid",
        ),
        (
            "mirroring: {markKeyFile: /dev/null}",
            "spec.mirroring.markKeyFile: /dev/null holds fewer than 16 bytes; fill it with random ones",
        ),
        (
            "mirroring: {overrides: {shop/v1: {}}}",
            'spec.mirroring.overrides["shop/v1"]: no mirror is named "shop/v1"; did you mean "shop/v2"?',
        ),
        (
            "mirroring: {overrides: {shop/v2: {maxBufferedBytes: 1MiB}}}",
            (
                'spec.mirroring.overrides["shop/v2"].maxBufferedBytes: unknown field "maxBufferedBytes"; '
                "it is shared by all mirrors, set it in spec.mirroring"
            ),
        ),
        (
            "mirroring: {overrides: {shop/v2: {timeout: 1}}}",
            'spec.mirroring.overrides["shop/v2"].timeout: must be of type string: "integer"',
        ),
        ("accessLog: {format: text}", 'spec.accessLog.format: "text" is not one of json'),
        ("accessLog: {path: /no/such/log}", "spec.accessLog.path: /no/such/log: its folder does not exist"),
        ("http1: {trailers: yes please}", 'spec.http1.trailers: must be of type boolean: "string"'),
        ("http1: {trailer: true}", 'spec.http1.trailer: unknown field "trailer"; did you mean "trailers"?'),
        (
            "limits: {maxResponseHeadBytes: 9MiB}",
            "spec.limits.maxResponseHeadBytes: must be in the range 1024..8388608 (it is 9437184)",
        ),
        ("limits: {maxHeaders: 0}", "spec.limits.maxHeaders: must be in the range 1..10000 (it is 0)"),
        (
            "admin: {address: '127.0.0.1:8080'}",
            "spec: admin 127.0.0.1:8080 takes the address of listener 0.0.0.0:8080; give each its own port",
        ),
        (
            "listeners: [{address: 'a:1'}, {address: 'a:1'}]",
            "spec: listener a:1 takes the address of listener a:1; give each its own port",
        ),
        (
            "listeners: [{address: 'unix:///a'}, {address: 'unix:///b'}, {address: 'unix:///a'}]",
            "spec: listener unix:///a takes the address of listener unix:///a; give each its own port",
        ),
        (
            "listeners: [{address: 'a:1', proxyProtocol: {}}]",
            "spec.listeners[0].proxyProtocol.from: Required value",
        ),
        (
            "listeners: [{address: 'a:1', proxyProtocol: {from: []}}]",
            "spec.listeners[0].proxyProtocol.from: is empty; name the networks of the load balancers",
        ),
        (
            "listeners: [{address: 'a:1', proxyProtocol: {from: [10.0.0.0/8, 10.0.0.1/8]}}]",
            'spec.listeners[0].proxyProtocol.from[1]: "10.0.0.1/8" is not a network; write 10.0.0.0/8',
        ),
        (
            "listeners: [{address: 'a:1', proxyProtocol: {from: [lb]}}]",
            'spec.listeners[0].proxyProtocol.from[0]: "lb" is not a network; write such as 10.0.0.0/8 or fd00::/8',
        ),
        (
            "listeners: [{address: 'unix://a'}]",
            'spec.listeners[0].address: "unix://a" has no absolute path to a file; write such as unix:///run/app.sock',
        ),
        (
            "metrics: {address: '127.0.0.1:9901'}",
            "spec: metrics 127.0.0.1:9901 takes the address of admin 127.0.0.1:9901; give each its own port",
        ),
        ("3", 'spec: must be of type object: "integer"'),
    ],
)
def test_a_wrong_setting_is_refused_where_it_stands(spec_refusals: Refusals, spec: str, problem: str) -> None:
    found = spec_refusals(spec)
    assert any(text.endswith(problem) for text in found), found


def test_a_certificate_with_another_key_is_refused(
    spec_refusals: Refusals, certificate: tuple[str, str], tmp_path: Path
) -> None:
    cert = certificate[0]
    (tmp_path / "empty").touch()
    tls = f"{{certFile: {cert}, keyFile: {cert}, clientCaFile: {cert}}}"
    assert spec_refusals(f"listeners: [{{address: 'a:1', tls: {tls}}}]") == [
        (
            f"spec.listeners[0].tls: {cert} and {cert} are not a PEM certificate and its key,"
            " without a passphrase"
        )
    ]
    (found,) = spec_refusals(f"admin: {{address: 'a:1', tokenFile: {tmp_path}/empty}}")
    assert found == "spec.admin.tokenFile: empty is empty"


def test_more_certificates_of_a_listener_are_checked_each(
    spec_refusals: Refusals, load_spec: LoadSpec, certificate: tuple[str, str]
) -> None:
    cert, key = certificate

    def listeners(*keys: str) -> str:
        more = ", ".join(f"{{certFile: {cert}, keyFile: {one}}}" for one in keys)
        return f"listeners: [{{address: 'a:1', tls: {{certFile: {cert}, keyFile: {key}, certificates: [{more}]}}}}]"

    (listener,) = load_spec(listeners(key)).settings.listeners
    assert listener.tls == ListenerTls(cert, key, certificates=(ServerCertificate(cert, key),))
    (found,) = spec_refusals(listeners(key, cert))
    assert found.startswith(f"spec.listeners[0].tls.certificates[1]: {cert} and {cert} are not a PEM")


def test_senders_of_the_proxy_protocol_are_networks_and_may_be_none_on_a_unix_socket(
    load_spec: LoadSpec,
) -> None:
    on_tcp = "{address: 'a:1', proxyProtocol: {from: [10.0.0.0/8, 'fd00::1']}}"
    on_unix = "{address: 'unix:///a', proxyProtocol: {from: []}}"
    assert load_spec(f"listeners: [{on_tcp}, {on_unix}]").settings.listeners == (
        Listener(Address("a", 1), proxy_protocol=ProxyProtocol(("10.0.0.0/8", "fd00::1/128"))),
        Listener(Address("/a", 0), proxy_protocol=ProxyProtocol()),
    )


def test_an_override_without_any_mirror_says_so(refusals: Refusals) -> None:
    text = """\
        apiVersion: mirror-proxy.dev/v1
        kind: MirrorProxy
        metadata: {name: p}
        spec: {mirroring: {overrides: {a: {}}}}
        ---
        apiVersion: networking.istio.io/v1
        kind: VirtualService
        metadata: {name: s}
        spec: {hosts: [v1], http: [{route: [{destination: {host: v1, port: {number: 8080}}}]}]}
        """
    assert refusals(text) == [
        (
            'f.yaml:4 MirrorProxy default/p spec.mirroring.overrides.a: no mirror is named "a"; there are'
            " no mirrors"
        )
    ]


def test_all_problems_are_told_with_their_lines(refusals: Refusals) -> None:
    text = """\
        apiVersion: mirror-proxy.dev/v1
        kind: MirrorProxy
        metadata: {name: p}
        extra: 1
        spec:
          workers: 0
          limits:
            maxHeader: 1
    """
    assert refusals(text, [SHOP]) == [
        'f.yaml:4 MirrorProxy default/p extra: unknown field "extra"',
        "f.yaml:6 MirrorProxy default/p spec.workers: must be in the range 1..256 (it is 0)",
        (
            'f.yaml:8 MirrorProxy default/p spec.limits.maxHeader: unknown field "maxHeader"; did you mean'
            ' "maxHeaders"?'
        ),
    ]


def test_an_empty_spec_is_the_defaults(load_spec: LoadSpec) -> None:
    assert load_spec("").settings == replace(WITH_ISTIOS_FILES, name="p")


def test_istios_variable_adds_the_suffix_unless_the_file_says_otherwise() -> None:
    environ = {"DISABLE_SHADOW_HOST_SUFFIX": "false"}

    def has_suffix(paths: list[str], environ: dict[str, str]) -> bool:
        return loader.load(paths, environ=environ).virtual_hosts[0].routes[0].mirrors[0].host_suffix

    assert not has_suffix([SHOP], {})
    assert has_suffix([SHOP], environ)
    assert not has_suffix([SHOP], {"DISABLE_SHADOW_HOST_SUFFIX": "true"})
    assert not has_suffix([str(EXAMPLE), SHOP], environ)
