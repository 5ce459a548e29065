"""Overlay: the documents that flags stand for, what they load as, and wrong flags by their names."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mirror_proxy.config import document, loader, overlay, settings
from mirror_proxy.config.flags import FLAGS, Given, add_to
from mirror_proxy.config.model import Address, Config, Endpoint, Listener, ListenerTls, Share, UpstreamTls
from mirror_proxy.config.node import plain
from mirror_proxy.config.problems import ConfigError, Problems

GOLDEN = Path(__file__).parent / "golden"
V1 = ["--primary", "http://v1:8080"]
V2 = ["--mirror", "http://v2:8080"]

Write = Callable[..., str]


def loaded(argv: Sequence[str], environ: Mapping[str, str] | None = None) -> loader.Loaded:
    parser = argparse.ArgumentParser()
    parser.add_argument("files", nargs="*")
    add_to(parser)
    arguments = parser.parse_args(argv)
    problems = Problems()
    flags = Given(vars(arguments), environ or {}, problems)
    documents = overlay.documents(flags, arguments.files)
    return loader.load_documents(arguments.files, documents, environ or {}, problems)


def config_of(*argv: str, **environ: str) -> Config:
    return loaded(argv, environ).config


def problems_of(*argv: str, **environ: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        loaded(argv, environ)
    assert caught.value.is_usage
    return [str(problem) for problem in caught.value.problems]


@pytest.mark.parametrize("path", sorted(GOLDEN.glob("*.yaml")), ids=lambda path: path.stem)
def test_flags_make_the_documents_of_the_golden_file(path: Path) -> None:
    first, _, rest = path.read_text().partition("\n")
    argv = first.removeprefix("# mirror-proxy run ").split()
    made = loaded(argv)
    assert document.dump(made.documents) == rest
    assert loader.load([str(path)]) == made.config


def test_unix_mirror_leaves_the_name_of_the_primary_to_dns() -> None:
    config = config_of(*V1, "--mirror", "unix:///run/v2.sock")
    assert [cluster.endpoints[0].address for cluster in config.clusters] == [
        Address("v1", 8080),
        Address("/run/v2.sock", 0),
    ]


@pytest.mark.parametrize(
    ("path", "host"),
    [
        ("/run/app.sock", "app.run.unix"),
        ("/run/app-v2.sock", "app-v2.run.unix"),
        ("/run/app", "app-0b49186e.unix"),
        ("/run/App.sock", "app-sock-ae93e466.unix"),
        ("@app", "app-f7486800.unix"),
    ],
)
def test_host_of_a_unix_socket_is_made_of_its_path(path: str, host: str) -> None:
    (cluster,) = config_of("--primary", f"unix://{path}").clusters
    assert cluster.host == host
    assert cluster.endpoints == (Endpoint(Address(path, 0)),)


def test_flags_alone_make_one_route_for_every_host() -> None:
    config = config_of(*V1, *V2, "--mirror", "http://v2:9", "--percent", "10")
    (host,) = config.virtual_hosts
    (route,) = host.routes
    assert host.domains == ("*",)
    assert (route.name, route.destinations[0].name, route.timeout_s) == ("default", "v1", None)
    assert [(mirror.name, mirror.numerator) for mirror in route.mirrors] == [
        ("mirror", 100_000),
        ("mirror#2", 100_000),
    ]
    assert [cluster.name for cluster in config.clusters] == [
        "outbound|8080||v1.default.svc.cluster.local",
        "outbound|8080||v2.default.svc.cluster.local@mirror",
        "outbound|9||v2.default.svc.cluster.local@mirror#2",
    ]
    assert config.warnings == ()


SETTINGS_ONLY = """
    apiVersion: mirror-proxy.dev/v1
    kind: MirrorProxy
    metadata: {name: shop}
    spec: {pathNormalization: null, limits: {streamIdleTimeout: null}}
    """
SERVICE_ENTRY = """
    apiVersion: networking.istio.io/v1
    kind: ServiceEntry
    metadata: {name: v1}
    spec: {hosts: [v1.default.svc.cluster.local], ports: [{number: 8080, name: http}], resolution: DNS}
    """


def test_paths_are_normalized_and_quiet_streams_kept_with_istios_files_only(write: Write) -> None:
    mesh = write(SERVICE_ENTRY, "mesh.yaml")
    own = write(SETTINGS_ONLY, "own.yaml")
    given = [V1, [own, *V1], [mesh, *V1], [own, mesh, *V1]]
    found = [config_of(*argv).settings for argv in given]
    assert [one.path_normalization for one in found] == ["none", "none", "base", "base"]
    assert [one.limits.stream_idle_timeout_s for one in found] == [300.0, 300.0, 0.0, 0.0]


def test_stream_idle_timeout_of_a_file_wins_and_leaves_the_other_limits(write: Write) -> None:
    mesh = write(SERVICE_ENTRY, "mesh.yaml")
    spec = "{limits: {streamIdleTimeout: 1h, maxHeaders: 7}}"
    own = write(SETTINGS_ONLY.replace("{pathNormalization: null, limits: {streamIdleTimeout: null}}", spec))
    for argv in ([own, *V1], [own, mesh, *V1]):
        limits = config_of(*argv).settings.limits
        assert (limits.stream_idle_timeout_s, limits.max_headers) == (3600.0, 7)


def test_shadows_are_sampled_as_their_requests_with_flags_alone(write: Write) -> None:
    mesh = write(SERVICE_ENTRY)
    shares = [
        config_of(*argv, *V2).virtual_hosts[0].routes[0].mirrors[0].trace_share for argv in (V1, [mesh, *V1])
    ]
    assert shares == [None, Share(0)]


def test_printed_settings_name_the_defaults_that_depend_on_the_files(write: Write) -> None:
    mesh = write(SERVICE_ENTRY)
    for argv, defaults in ((V1, settings.FLAG_DEFAULTS), ([mesh, *V1], settings.MESH_DEFAULTS)):
        printed = loaded(argv).documents[0]
        assert (printed.kind, plain(printed.root)["spec"]) == (settings.KIND, defaults)


def test_a_flag_wins_over_its_variable_and_that_over_the_file(write: Write) -> None:
    path = write("""
        apiVersion: mirror-proxy.dev/v1
        kind: MirrorProxy
        metadata: {name: shop}
        spec: {workers: 2, drain: {delay: 1s, grace: 9s}}
        """)
    assert config_of(path, *V1).settings.workers == 2
    assert config_of(path, *V1, MIRROR_PROXY_WORKERS="3").settings.workers == 3
    assert config_of(path, *V1, "--workers", "4", MIRROR_PROXY_WORKERS="3").settings.workers == 4
    both = config_of(path, *V1, "--grace", "8s").settings
    assert (both.name, both.drain.delay_s, both.drain.grace_s) == ("shop", 1.0, 8.0)


@pytest.mark.parametrize(
    ("argv", "variable", "has_suffix"),
    [([], "", True), ([], "false", False), ([], "true", True), (["--shadow-suffix"], "false", True)],
)
def test_shadow_suffix_of_flag_and_variable_wins_over_istios_variable(
    argv: list[str], variable: str, has_suffix: bool
) -> None:
    config = config_of(
        *V1, *V2, *argv, DISABLE_SHADOW_HOST_SUFFIX="false", MIRROR_PROXY_SHADOW_SUFFIX=variable
    )
    assert config.virtual_hosts[0].routes[0].mirrors[0].host_suffix is has_suffix


def test_host_of_a_mirror_gets_no_suffix() -> None:
    config = config_of(*V1, *V2, "--shadow-suffix", "--mirror-host", "upstream")
    [mirror] = config.virtual_hosts[0].routes[0].mirrors
    assert (mirror.mirroring.host, mirror.host_suffix) == ("upstream", False)


def test_every_flag_can_be_a_variable() -> None:
    by_variable = config_of(
        MIRROR_PROXY_PRIMARY="https://v1",
        MIRROR_PROXY_PRIMARY_INSECURE="true",
        MIRROR_PROXY_PRIMARY_SNI="one",
        MIRROR_PROXY_MIRROR="http://v2,http://v3",
        MIRROR_PROXY_PERCENT="1, 2.5",
        MIRROR_PROXY_METHODS="GET,POST",
        MIRROR_PROXY_MIRROR_TIMEOUT="2s",
        MIRROR_PROXY_MIRROR_REMOVE_HEADER="cookie,authorization",
        MIRROR_PROXY_SHADOW_SUFFIX="1",
        MIRROR_PROXY_LISTEN="127.0.0.1:1,127.0.0.1:2",
        MIRROR_PROXY_ACCESS_LOG="-",
        MIRROR_PROXY_GRACE="",
        MIRROR_PROXY_MIRROR_INSECURE="no",
    )
    by_flag = config_of(
        *("--primary", "https://v1", "--primary-insecure", "--primary-sni", "one"),
        *("--mirror", "http://v2", "--mirror", "http://v3", "--percent", "1", "--percent", "2.5"),
        *("--methods", "GET,POST", "--mirror-timeout", "2s", "--shadow-suffix"),
        *("--mirror-remove-header", "cookie", "--mirror-remove-header", "authorization"),
        *("--listen", "127.0.0.1:1", "--listen", "127.0.0.1:2", "--access-log", "-"),
    )
    assert by_variable == by_flag
    assert by_flag.settings.access_log == "-"
    assert by_flag.clusters[0].tls == UpstreamTls(sni="one", verify=False)


def test_the_listener_speaks_tls_when_it_has_a_certificate(certificate: tuple[str, str]) -> None:
    cert, key = certificate
    tls = ("--tls-cert", cert, "--tls-key", key)
    assert config_of(*V1, *tls).settings.listeners == (
        Listener(Address("0.0.0.0", 8080), ListenerTls(cert, key)),
    )
    config = config_of(*V1, *tls, "--tls-client-ca", cert, "--listen", "[::1]:0")
    assert config.settings.listeners == (Listener(Address("::1", 0), ListenerTls(cert, key, cert)),)


def test_upstreams_take_client_certificates(certificate: tuple[str, str]) -> None:
    cert, key = certificate
    config = config_of(
        *("--primary", "https://v1", "--primary-ca", cert),
        *("--mirror", "https://v2", "--mirror-cert", cert, "--mirror-key", key),
    )
    assert config.clusters[0].tls == UpstreamTls(ca_file=cert)
    assert config.clusters[1].tls == UpstreamTls(cert_file=cert, key_file=key)


def test_a_host_may_speak_tls_on_one_port_only() -> None:
    config = config_of("--primary", "https://api", "--mirror", "http://api:8080")
    assert [cluster.tls for cluster in config.clusters] == [UpstreamTls(), None]


def test_ipv6_upstreams_are_taken_in_brackets() -> None:
    config = config_of("--primary", "http://[::1]:9000", "--mirror", "https://[::2]")
    assert config.clusters[0].endpoints[0].address == Address("::1", 9000)
    assert config.clusters[1].tls == UpstreamTls()


@pytest.mark.parametrize(
    ("argv", "problems"),
    [
        (
            [],
            [
                (
                    "--primary: nothing says where requests go; give --primary URL, or a file with a"
                    " VirtualService"
                )
            ],
        ),
        (V2, ["--mirror: needs --primary, the upstream that answers clients"]),
        (
            ["--percent", "1", "--timeout", "1s", "--primary-insecure", "--mirror-ca", "x"],
            [
                "--timeout: needs --primary, the upstream that answers clients",
                "--percent: needs --primary, the upstream that answers clients",
                "--primary-insecure: needs --primary, the upstream that answers clients",
                "--mirror-ca: needs --primary, the upstream that answers clients",
            ],
        ),
        (
            ["--primary", "v1:8080", "--mirror", "http://v2/x"],
            [
                '--primary: "v1:8080" has no scheme; write http://v1:8080',
                (
                    '--mirror: "http://v2/x" names more than a server: each request keeps its own path;'
                    " write http://v2"
                ),
            ],
        ),
        (
            [*V1, "--percent", "10"],
            ["--percent: has no use without --mirror"],
        ),
        (
            [*V1, *V2, "--percent", "10", "--percent", "20"],
            ["--percent: 2 percentages for 1 mirrors; give it once, or once per mirror"],
        ),
        (
            [*V1, *V2, "--percent", "150"],
            ["--percent: mirror_percentage must have a max value of 100 (it has 150.000000)"],
        ),
        ([*V1, *V2, "--percent", "ten"], ['--percent: "ten" is no percentage; write a number from 0 to 100']),
        ([*V1, "--timeout", "5"], ['--timeout: "5" is not a duration; write 5s']),
        (
            [*V1, "--workers", "none", "--grace", "1", "--admin", "9901"],
            [
                '--admin: "9901" is not HOST:PORT; write such as 0.0.0.0:8080, 127.0.0.1:9901 or [::]:8080',
                '--workers: "none" is not one of a whole number, auto',
                '--grace: "1" is not a duration; write 1s',
            ],
        ),
        (
            [*V1, "--methods", "GET,get"],
            ['--methods: "get" is not a method; methods are upper case, such as GET'],
        ),
        (
            [*V1, "--methods", "unsafe"],
            ['--methods: "unsafe" is not a method; methods are upper case, such as GET'],
        ),
        ([*V1, "--mark-key-file", "/no"], ["--mark-key-file: /no cannot be read: No such file or directory"]),
        (
            [*V1, "--mirror-remove-header", "a b"],
            ["--mirror-remove-header: header name a b is not a valid header name"],
        ),
        ([*V1, "--tls-cert", "/no"], ["--tls-cert: TLS needs both --tls-cert and --tls-key"]),
        (
            [*V1, "--tls-cert", "/no", "--tls-key", "/nor"],
            [
                "--tls-cert: /no cannot be read: No such file or directory",
                "--tls-key: /nor cannot be read: No such file or directory",
            ],
        ),
        ([*V1, "--primary-sni", "a"], ["--primary-sni: has no use: no --primary is an https:// URL"]),
        ([*V1, *V2, "--mirror-key", "k"], ["--mirror-key: has no use: no --mirror is an https:// URL"]),
        (
            ["--primary", "https://v1", "--primary-cert", __file__],
            ["--primary-cert: private key required for mutual tls"],
        ),
        (
            ["--primary", "https://v1", "--mirror", "https://v1", "--mirror-insecure"],
            ["--mirror: v1:443 is an upstream already, with other TLS"],
        ),
        (
            ["--primary", "http://127.0.0.1:8080"],
            [
                (
                    "--primary: 127.0.0.1:8080 is this proxy's own listener: requests would go round for"
                    " ever; listen on"
                    " another port or name another upstream"
                )
            ],
        ),
        (
            ["--primary", "unix:///run/a.sock", "--listen", "unix:///run/a.sock"],
            [
                (
                    "--primary: unix:///run/a.sock is this proxy's own listener: requests would go round for"
                    " ever; listen on another port or name another upstream"
                )
            ],
        ),
        (
            [*V1, "--listen", "127.0.0.1:9901"],
            [
                (
                    "--listen: admin 127.0.0.1:9901 takes the address of listener 127.0.0.1:9901; give each"
                    " its own port"
                )
            ],
        ),
        (["--primary", "http://a..b"], ['--primary: domain name "a..b" invalid (label "" invalid)']),
    ],
)
def test_a_wrong_flag_is_named_with_what_is_wrong(argv: list[str], problems: list[str]) -> None:
    assert problems_of(*argv) == problems


def test_a_wrong_variable_is_named() -> None:
    assert problems_of(MIRROR_PROXY_PRIMARY="http://v1", MIRROR_PROXY_WORKERS="0") == [
        "MIRROR_PROXY_WORKERS: must be in the range 1..256 (it is 0)"
    ]
    assert problems_of(*V1, MIRROR_PROXY_SHADOW_SUFFIX="maybe") == [
        'MIRROR_PROXY_SHADOW_SUFFIX: "maybe" is neither true nor false'
    ]


def test_a_misspelt_variable_is_warned_of_and_kubernetes_own_are_not() -> None:
    config = config_of(
        *V1, MIRROR_PROXY_WORKER="2", MIRROR_PROXY_PORT="tcp://10.0.0.1:80", MIRROR_PROXY_SERVICE_HOST="a"
    )
    assert config.warnings == ('MIRROR_PROXY_WORKER: is no flag\'s variable; did you mean "WORKERS"?',)


def test_a_mirror_that_is_the_primary_is_warned_of() -> None:
    (warning,) = config_of(*V1, "--mirror", "http://v1:8080").warnings
    assert warning == "--mirror: the mirror mirror is the primary itself, v1:8080"


def test_flags_and_a_file_do_not_both_say_where_requests_go(write: Write) -> None:
    path = write(document.dump(loaded(V1).documents))
    assert problems_of(path, *V1) == [
        f"--primary: {path}:12 has a VirtualService, which says where requests go; give one or the other"
    ]


def test_a_certificate_over_a_file_says_where_to_listen(write: Write, certificate: tuple[str, str]) -> None:
    path = write(document.dump(loaded(V1).documents))
    tls = ("--tls-cert", certificate[0], "--tls-key", certificate[1])
    assert problems_of(path, *tls) == ["--tls-cert: says nothing of where to listen; give --listen too"]


def test_every_flag_has_help_and_a_name_of_its_own() -> None:
    assert all(flag.help.endswith(".") for flag in FLAGS)
    assert len({flag.variable for flag in FLAGS}) == len(FLAGS)


PERCENTS = st.floats(0, 100) | st.integers(0, 100)
URLS = st.builds(
    lambda scheme, host, port: f"{scheme}://{host}:{port}",
    st.sampled_from(["http", "https"]),
    st.from_regex(r"[a-z]([-a-z0-9]{0,5}[a-z0-9])?(\.[a-z]{2,5})?", fullmatch=True)
    | st.ip_addresses(v=6).map(lambda ip: f"[{ip}]"),
    st.integers(1, 65535),
)


@given(
    URLS,
    st.lists(st.tuples(URLS, PERCENTS), max_size=3),
    st.sampled_from(["all", "safe", "GET", "GET,POST"]),
    st.integers(1, 10**6),
)
def test_printed_flags_load_back_as_the_same_config(
    tmp_path_factory: pytest.TempPathFactory,
    primary: str,
    mirrors: list[tuple[str, float]],
    methods: str,
    milliseconds: int,
) -> None:
    argv = [
        "--listen=127.0.0.1:0",
        f"--primary={primary}",
        f"--methods={methods}",
        f"--timeout={milliseconds}ms",
    ]
    for url, percent in mirrors:
        argv += [f"--mirror={url}", f"--percent={percent!r}"]
    try:
        made = loaded(argv)
    except ConfigError as error:
        assert all("with other TLS" in str(problem) for problem in error.problems)  # noqa: PT017  rare
        return
    path = tmp_path_factory.mktemp("printed") / "f.yaml"
    path.write_text(document.dump(made.documents))
    assert loader.load([str(path)]) == made.config
