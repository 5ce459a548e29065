"""What is said in Envoy's words is what Envoy takes without a warning, and nothing is left out in silence."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mirror_proxy.config.model import (
    Address,
    Admin,
    Balancer,
    Cluster,
    Compare,
    Config,
    CorsPolicy,
    Destination,
    DirectResponse,
    Endpoint,
    Fault,
    FieldMatch,
    HashKey,
    HeaderOps,
    HealthCheck,
    Http1,
    HttpHealthCheck,
    Listener,
    ListenerTls,
    Match,
    Mirroring,
    MirrorPolicy,
    OutlierDetection,
    ProxyProtocol,
    Redirect,
    RetryPolicy,
    Rewrite,
    Route,
    ServerCertificate,
    Settings,
    Share,
    StringMatch,
    TcpKeepalive,
    Tracing,
    UpstreamTls,
    VirtualHost,
)
from mirror_proxy.translate.envoy import bootstrap, route_configuration
from mirror_proxy.translate.envoy_cluster import HTTP_OPTIONS
from mirror_proxy.translate.envoy_cluster import clusters as envoy_clusters
from mirror_proxy.translate.envoy_value import all_but
from tests.support.certificates import Authority
from tests.support.envoy import complaints, needs_envoy
from tests.support.mirroring import without_effect
from tests.support.plane import cluster_at, local_cluster, make_config

EVERY_FIELD = HeaderOps(("x-gone",), (("x-set", "100% sure"), ("x-empty", "")), (("x-added", "1"),))
SAFE = frozenset(("GET", "HEAD"))


def path(kind: str, value: str, *, ignore_case: bool = False) -> Match:
    return Match(path=StringMatch(kind, value, ignore_case))


def header(kind: str, value: str = "", *, invert: bool = False) -> FieldMatch:
    return FieldMatch("x-field", StringMatch(kind, value), invert)


def answering(**action: Any) -> Config:
    """One route that answers by itself."""
    return replace(
        make_config(1), virtual_hosts=(VirtualHost("any", ("*",), (Route("r", **action),)),), clusters=()
    )


def weighted(*destinations: Destination, sticky: HashKey | None = None, **route: Any) -> Config:
    """One route that shares its requests out."""
    return Config(
        Settings(sticky=sticky),
        tuple(local_cluster(one.cluster, port) for port, one in enumerate(destinations, 1)),
        (VirtualHost("any", ("*",), (Route("r", destinations, **route),)),),
    )


ROUTES: dict[str, dict[str, Any]] = {
    "exact path": {"matches": (path("exact", "/a"),)},
    "prefix": {"matches": (path("prefix", "/a", ignore_case=True),)},
    "empty prefix": {"matches": (path("prefix", ""),)},
    "segments": {"matches": (path("segments", "/a/"), path("segments", "/"))},
    "regex": {"matches": (path("regex", "/[a-z]+(/.*)?"),)},
    "method, authority and scheme": {
        "matches": (
            Match(
                "named",
                method=StringMatch("exact", "GET"),
                authority=StringMatch("regex", "a.*"),
                scheme=StringMatch("prefix", "http"),
            ),
        )
    },
    "headers": {
        "matches": tuple(
            Match(headers=(one,))
            for one in (
                header("exact", "a"),
                header("exact", ""),
                header("prefix", "a", invert=True),
                header("regex", ".*", invert=True),
                header("present"),
                header("present", invert=True),
            )
        )
    },
    "query": {"matches": (Match(query=(header("exact", "1"), header("regex", "a|b"), header("present"))),)},
    "timeout": {"timeout_s": 1.5},
    "retries": {"retries": RetryPolicy(3, 0.25, frozenset({"5xx", "reset"}), frozenset({409, 418}))},
    "no retries": {"retries": RetryPolicy(0, ignore_previous_hosts=False)},
    "header changes": {"request_headers": EVERY_FIELD, "response_headers": EVERY_FIELD},
    "prefix rewrite": {"matches": (path("prefix", "/a"),), "rewrite": Rewrite("/b", authority="new.host")},
    "whole rewrite": {"matches": (path("prefix", "/a"),), "rewrite": Rewrite("/b\\1", whole=True)},
    "segments rewrite": {"matches": (path("segments", "/a"),), "rewrite": Rewrite("/")},
    "regex rewrite": {"rewrite": Rewrite(regex=("^/(.*)$", r"/b/\1"))},
    "fault": {"fault": Fault(Share(1, 100), 0.1, Share(333, 1_000_000), 418)},
    "cors": {
        "cors": CorsPolicy(
            (StringMatch("exact", "https://a"), StringMatch("regex", ".*")), "GET", "x-a", "x-b", "600", True
        )
    },
    "bare cors": {"cors": CorsPolicy(forward_unmatched=False)},
}
CLUSTERS: dict[str, Cluster] = {
    "a name": cluster_at("v1", Address("v1.local", 80)),
    "weights": Cluster("v1", "v1", (Endpoint(Address("127.0.0.1", 1), 3), Endpoint(Address("::1", 1)))),
    "no endpoint": Cluster("v1", "v1", ()),
    "limits": local_cluster(
        "v1", 1, max_connections=1, max_pending=2, max_requests=3, max_requests_per_connection=4
    ),
    "durations": local_cluster("v1", 1, idle_timeout_s=0.5, max_connection_duration_s=60.25),
    "keepalive": local_cluster("v1", 1, keepalive=TcpKeepalive(3, 7200, 0.5)),
    "PROXY protocol": local_cluster("v1", 1, proxy_protocol="V1"),
    "PROXY protocol before TLS": local_cluster("v1", 1, proxy_protocol="V2", tls=UpstreamTls()),
    "round robin": local_cluster("v1", 1, balancer=Balancer("round_robin")),
    "random": local_cluster("v1", 1, balancer=Balancer("random")),
    "hash of a header": local_cluster("v1", 1, balancer=Balancer("hash", HashKey("header", "x-user"))),
    "hash of a cookie": local_cluster(
        "v1", 1, balancer=Balancer("hash", HashKey("cookie", "user", 0.0, "/"))
    ),
    "hash of a parameter": local_cluster("v1", 1, balancer=Balancer("hash", HashKey("query", "user"))),
    "hash of the address": local_cluster("v1", 1, balancer=Balancer("hash", HashKey("source_ip"))),
    "outliers": local_cluster("v1", 1, outlier=OutlierDetection(0, 3, 0, True, min_health_percent=50)),
    "plain outliers": local_cluster("v1", 1, outlier=OutlierDetection()),
    "http check": local_cluster("v1", 1, health_check=HealthCheck(HttpHealthCheck("/healthz"))),
    "tcp check": local_cluster("v1", 1, health_check=HealthCheck()),
    "tls": cluster_at("v1", Address("v1.local", 443), tls=UpstreamTls()),
    "unverified tls": local_cluster("v1", 443, tls=UpstreamTls("v1.local", verify=False)),
    "tls to an address": local_cluster("v1", 443, tls=UpstreamTls()),
    "tls to other names": local_cluster("v1", 443, tls=UpstreamTls(subject_alt_names=("a", "spiffe://b"))),
}
OTHERS: dict[str, Config] = {
    "PROXY protocol": make_config(
        1,
        settings={"listeners": (Listener(Address("127.0.0.1", 8080), None, ProxyProtocol(("10.0.0.0/8",))),)},
    ),
    "unix sockets": make_config(
        cluster_at("v1", Address("/run/v1.sock", 0), host="v1.unix"),
        cluster_at("mirror", Address("@v2", 0), host="v2.unix"),
        settings={"listeners": (Listener(Address("/tmp/mirror-proxy-of-a-test.sock", 0)),)},
    ),
    "redirect": answering(redirect=Redirect(308, "https", "new.host", 8443, "/p?q=1")),
    "redirect of a prefix": answering(redirect=Redirect(302, prefix="/new"), matches=(path("prefix", "/a"),)),
    "redirect to a scheme's port": answering(redirect=Redirect(303, "https", port="from_protocol")),
    "direct response": answering(direct_response=DirectResponse(418, b"tea \xff")),
    "empty direct response": answering(direct_response=DirectResponse(204)),
    "long direct response": answering(direct_response=DirectResponse(200, b"x" * 100_000)),
    "weights": weighted(Destination("a", "a", 3), Destination("b", "b", 1), Destination("c", "c", 0)),
    "sticky weights": weighted(
        Destination("a", "a"), Destination("b", "b"), sticky=HashKey("cookie", "user")
    ),
    "changes of destinations": weighted(
        Destination("a", "a", 1, EVERY_FIELD, EVERY_FIELD, "a.host"), Destination("b", "b", 1)
    ),
    "changes of one destination": weighted(Destination("a", "a", 1, EVERY_FIELD, authority="a.host")),
    "mirrors": make_config(1, 2, MirrorPolicy("m2", "mirror", 333_333, 1_000_000, host_suffix=False)),
    "mirror's host": make_config(1, 2, mirroring=Mirroring(host="upstream")),
    "mirror's changes": make_config(1, 2, mirroring=Mirroring(methods=SAFE, headers=EVERY_FIELD)),
    "settings": make_config(
        1,
        settings={"via": True, "access_log": "-", "upgrades": frozenset(), "xff_num_trusted_hops": 2},
        limits={"max_head_bytes": 8192, "max_headers": 10, "max_connections": 5},
    ),
    "trailers": make_config(1, 2, settings={"http1": Http1(trailers=True)}),
    "large heads": make_config(1, limits={"max_response_head_bytes": 8 << 20}),
    "listeners": make_config(
        1,
        settings={"listeners": (Listener(Address("127.0.0.1", 8080)), Listener(Address("::", 8081)))},
        matches=(Match(port=8081),),
    ),
    **{
        f"path normalization {name}": make_config(1, settings={"path_normalization": name})
        for name in ("none", "base", "merge_slashes", "decode_and_merge_slashes")
    },
    "virtual hosts": Config(
        Settings(),
        (),
        tuple(
            VirtualHost(domain, (domain,), (Route("r", direct_response=DirectResponse(200)),))
            for domain in ("a.b", "*.a.b", "*-x.a", "*", "[::1]", "127.0.0.1")
        ),
    ),
    **{f"route, {name}": make_config(1, 2, **route) for name, route in ROUTES.items()},
    **{f"cluster, {name}": make_config(cluster) for name, cluster in CLUSTERS.items()},
}


def routes(config: Config, port: int | None = None) -> list[dict[str, Any]]:
    """Give the routes of the first virtual host."""
    found: list[dict[str, Any]] = route_configuration(config, port)["virtual_hosts"][0]["routes"]
    return found


def manager_of(config: Config) -> dict[str, Any]:
    """Give the HttpConnectionManager of the first listener."""
    listener = bootstrap(config)[0]["static_resources"]["listeners"][0]
    manager: dict[str, Any] = listener["filter_chains"][0]["filters"][0]["typed_config"]
    return manager


@pytest.mark.parametrize(("idle_s", "written"), [(300.0, "300s"), (0.0, "0s")])
def test_stream_idle_timeout_is_envoys(idle_s: float, written: str) -> None:
    assert (
        manager_of(make_config(1, limits={"stream_idle_timeout_s": idle_s}))["stream_idle_timeout"] == written
    )


def http_options(config: Config) -> list[dict[str, Any]]:
    """Give the HttpProtocolOptions of every cluster."""
    clusters = bootstrap(config)[0]["static_resources"]["clusters"]
    return [one["typed_extension_protocol_options"][HTTP_OPTIONS] for one in clusters]


def mirrors(route: dict[str, Any]) -> list[str]:
    return [one["cluster"] for one in route["route"].get("request_mirror_policies", ())]


@needs_envoy
@pytest.mark.parametrize("config", OTHERS.values(), ids=OTHERS.keys())
def test_envoy_takes_it_without_a_warning(config: Config, tmp_path: Path) -> None:
    assert complaints(bootstrap(config)[0], tmp_path) == ""


@needs_envoy
def test_envoy_takes_certificates(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    server, client = authority.issue("localhost"), authority.issue("client")
    more = (ServerCertificate(*authority.issue("other.test")),)
    listener = Listener(Address("127.0.0.1", 8443), ListenerTls(*server, authority.file, more))
    upstream = UpstreamTls("v1", authority.file, *client)
    config = make_config(local_cluster("v1", 1, tls=upstream), settings={"listeners": (listener,)})
    assert complaints(bootstrap(config)[0], tmp_path) == ""


def test_networks_of_the_proxy_protocol_are_a_gap() -> None:
    gap = "listeners.proxyProtocol.from: Envoy requires the PROXY protocol from every client"
    assert gap in bootstrap(OTHERS["PROXY protocol"])[1]
    [listener] = bootstrap(OTHERS["PROXY protocol"])[0]["static_resources"]["listeners"]
    assert [one["name"] for one in listener["listener_filters"]] == ["envoy.filters.listener.proxy_protocol"]
    assert gap not in bootstrap(make_config(1))[1]


def test_each_certificate_of_a_listener_is_written_the_default_first() -> None:
    tls = ListenerTls("a.crt", "a.key", certificates=(ServerCertificate("b.crt", "b.key"),))
    config = make_config(1, settings={"listeners": (Listener(Address("127.0.0.1", 8443), tls),)})
    [chain] = bootstrap(config)[0]["static_resources"]["listeners"][0]["filter_chains"]
    context = chain["transport_socket"]["typed_config"]["common_tls_context"]
    files = [one["certificate_chain"]["filename"] for one in context["tls_certificates"]]
    assert files == ["a.crt", "b.crt"]


@needs_envoy
def test_what_envoy_refuses_is_told(tmp_path: Path) -> None:
    config = make_config(1, matches=(path("regex", "("),))
    assert "missing )" in complaints(bootstrap(config)[0], tmp_path)


def test_each_block_of_conditions_is_a_route_of_istios_name() -> None:
    config = make_config(1, matches=(Match("one"), Match("two"), Match()))
    assert [route["name"] for route in routes(config)] == ["r.one", "r.two", "r"]


@pytest.mark.parametrize(
    ("host", "literal"), [("primary", None), ("upstream", "127.0.0.1:2"), ("v2.example", "v2.example")]
)
def test_host_of_a_mirror_is_envoys_literal(host: str, literal: str | None) -> None:
    [route] = routes(make_config(1, 2, mirroring=Mirroring(host=host)))
    [policy] = route["route"]["request_mirror_policies"]
    assert policy.get("host_rewrite_literal") == literal


def test_envoy_answers_full_names_with_a_trailing_dot_and_no_domain_twice() -> None:
    config = make_config(1)
    [host] = config.virtual_hosts
    hosts = (replace(host, domains=("shop.example", "10.0.0.1")), replace(host, domains=("shop.example.",)))
    made = route_configuration(replace(config, virtual_hosts=hosts))["virtual_hosts"]
    assert [one["domains"] for one in made] == [["shop.example", "10.0.0.1"], ["shop.example."]]
    [alone] = route_configuration(replace(config, virtual_hosts=hosts[:1]))["virtual_hosts"]
    assert alone["domains"] == ["shop.example", "10.0.0.1", "shop.example."]


@pytest.mark.parametrize(
    ("share", "is_sampled"), [(None, None), (Share(0), False), (Share(5000, 1_000_000), None)]
)
def test_sampling_of_shadows_is_envoys_trace_sampled(share: Share | None, is_sampled: bool | None) -> None:
    config = make_config(1, MirrorPolicy("m", "v1", trace_share=share))
    [policy] = routes(config)[0]["route"]["request_mirror_policies"]
    assert policy.get("trace_sampled") is is_sampled
    assert any("tracing.mirrors" in line for line in bootstrap(config)[1]) == bool(share and share.numerator)


def test_a_match_on_another_listeners_port_is_left_out() -> None:
    config = make_config(1, matches=(Match("a", port=8080), Match("b", port=8081), Match("c")))
    assert [route["name"] for route in routes(config, 8081)] == ["r.b", "r.c"]


def test_a_mirror_of_some_methods_is_a_route_for_those_and_one_for_the_others() -> None:
    safe = MirrorPolicy("safe", "safe", mirroring=Mirroring(methods=SAFE))
    writes = MirrorPolicy("writes", "writes", mirroring=Mirroring(methods=frozenset(("POST", "GET"))))
    found = routes(make_config(1, safe, writes, MirrorPolicy("all", "all")))
    taken = [route["match"].get("headers", [{}])[0].get("string_match") for route in found]
    assert taken == [{"safe_regex": {"regex": one}} for one in ("GET", "HEAD", "POST")] + [None]
    assert [mirrors(route) for route in found] == [
        ["safe", "writes", "all"],
        ["safe", "all"],
        ["writes", "all"],
        ["all"],
    ]


def test_a_destination_of_weight_0_is_left_out() -> None:
    [route] = routes(weighted(Destination("a", "a", 0), Destination("b", "b", 7)))
    assert route["route"]["cluster"] == "b"


def test_weights_stick_to_who_asks() -> None:
    user = HashKey("header", "x-user")
    shared = weighted(Destination("a", "a"), Destination("b", "b"), sticky=user)
    alone = weighted(Destination("a", "a"), sticky=user)
    [action], [other] = ([route["route"] for route in routes(config)] for config in (shared, alone))
    assert action["weighted_clusters"]["use_hash_policy"] is True
    assert action["hash_policy"] == [{"header": {"header_name": "x-user"}}]
    assert "hash_policy" not in other


@pytest.mark.parametrize("words", [(), ("websocket",), ("websocket", "web", "h2c")])
def test_every_upgrade_but_the_allowed_is_ignored(words: tuple[str, ...]) -> None:
    pattern = re.compile(all_but(words))
    for word in (
        "",
        "web",
        "WebSocket",
        "websocket",
        "websockets",
        "webs",
        "xwebsocket",
        "h2c",
        "h2",
        "TLS/1.0",
    ):
        assert bool(pattern.fullmatch(word)) == (word.lower() not in words)


def test_a_mirrors_cluster_has_the_caps_of_its_mirroring() -> None:
    config = make_config(1, local_cluster("v2", 2, max_requests=500), mirroring=Mirroring(max_in_flight=7))
    first, mirror = bootstrap(config)[0]["static_resources"]["clusters"]
    caps = [cluster["circuit_breakers"]["thresholds"][0]["max_requests"] for cluster in (first, mirror)]
    assert caps == [(1 << 32) - 1, 7]


@pytest.mark.parametrize("enabled", [True, False])
def test_trailers_are_enabled_on_both_sides_when_the_settings_ask(enabled: bool) -> None:
    config = make_config(1, 2, settings={"http1": Http1(trailers=enabled)})
    options = [manager_of(config)["http_protocol_options"]]
    options += [one["explicit_http_config"]["http_protocol_options"] for one in http_options(config)]
    assert [one.get("enable_trailers") for one in options] == [True if enabled else None] * 3


def test_heads_of_responses_have_the_bounds_of_the_settings() -> None:
    config = make_config(1, 2, limits={"max_headers": 7, "max_response_head_bytes": 20 * 1024})
    common = [one["common_http_protocol_options"] for one in http_options(config)]
    assert [(one["max_headers_count"], one["max_response_headers_kb"]) for one in common] == [(7, 20)] * 2


@pytest.mark.parametrize(
    ("config", "words"),
    [
        (make_config(1, settings={"workers": 4}), "--concurrency"),
        (make_config(1), "--drain-time-s"),
        (make_config(1, settings={"admin": Admin(Address("127.0.0.1", 1), "token")}), "admin.tokenFile"),
        (make_config(1, settings={"metrics": Address("0.0.0.0", 9902)}), "0.0.0.0:9902"),
        (make_config(1, settings={"access_log": "-"}), "accessLog"),
        (make_config(1, settings={"sticky": HashKey("cookie", "user")}), "Envoy's own hash"),
        (make_config(1, settings={"exact": True}), "also where exact is said"),
        (make_config(1, settings={"compare": Compare(share=Share(1))}), "compare: "),
        (make_config(1, settings={"tracing": Tracing("http://otel:4318")}), "tracing: "),
        (make_config(1, limits={"max_connections": 5}), "limits.maxConnections"),
        (make_config(1, 2), "maxLagBytes"),
        (make_config(1, 2), "maxBufferedBytes"),
        (make_config(1, 2), "mirroring.timeout"),
        (make_config(1, 2), "handshake of websocket"),
        (make_config(1, 2), "mirror: breaker"),
        (make_config(1, 2), "mirror: mark"),
        (make_config(1, 2, mirroring=Mirroring(max_per_second=5)), "maxPerSecond 5"),
        (make_config(1, 2, mirroring=Mirroring(max_body_bytes=5)), "maxBodyBytes 5"),
        (make_config(1, 2, mirroring=Mirroring(max_bytes_per_second=5000)), "maxBytesPerSecond 5000"),
        (make_config(1, 2, mirroring=Mirroring(path="/v2")), "mirror: path"),
        (make_config(1, 2, mirroring=Mirroring(body=False)), "mirror: body"),
        (make_config(1, MirrorPolicy("m", "v1", 1, 3)), "m: 1 of 3"),
        (make_config(1, matches=(Match(query=(header("exact", "a", invert=True),)),)), "query parameter"),
        (answering(redirect=Redirect(port="from_protocol", path="/")), "port of the request's scheme"),
    ],
)
def test_what_cannot_be_said_is_told(config: Config, words: str) -> None:
    assert [line for line in bootstrap(config)[1] if words in line]


def test_little_is_told_of_a_configuration_without_mirrors() -> None:
    assert len(bootstrap(make_config(1))[1]) == 1


def test_each_setting_of_a_mirror_is_translated_or_listed_as_missing() -> None:
    def rendered(mirror: MirrorPolicy) -> str:
        config = make_config(local_cluster("v1", 1), mirror)
        clusters = (*config.clusters, local_cluster("v2", 2))
        return repr(bootstrap(replace(config, clusters=clusters)))

    elsewhere = {"connect_timeout_s", "max_lag_bytes"}  # the cluster has it; listed for all mirrors
    assert without_effect(rendered) == elsewhere, "list the setting in `_mirror_gaps`, or name it here"


def test_health_check_of_a_primary_is_envoys() -> None:
    http = HttpHealthCheck("/healthz", frozenset({204, 200}))
    check = HealthCheck(http, interval_s=7.0, timeout_s=0.5, unhealthy_threshold=4, healthy_threshold=1)
    [primary, mirror] = envoy_clusters(make_config(local_cluster("v1", 1, health_check=check), 2))
    assert primary["health_checks"] == [
        {
            "timeout": "0.5s",
            "interval": "7s",
            "no_traffic_interval": "7s",
            "unhealthy_threshold": 4,
            "healthy_threshold": 1,
            "reuse_connection": False,
            "http_health_check": {
                "host": "127.0.0.1:1",
                "path": "/healthz",
                "expected_statuses": [{"start": 200, "end": 201}, {"start": 204, "end": 205}],
            },
        }
    ]
    assert primary["common_lb_config"] == {"healthy_panic_threshold": {"value": 50}}
    assert "health_checks" not in mirror
    assert mirror["common_lb_config"] == {"healthy_panic_threshold": {"value": 0}}


def test_tcp_check_is_envoys_with_the_panic_threshold_of_the_outlier_detection() -> None:
    outlier = OutlierDetection(min_health_percent=30)
    made = make_config(local_cluster("v1", 1, health_check=HealthCheck(), outlier=outlier))
    [primary] = envoy_clusters(made)
    assert primary["health_checks"][0]["tcp_health_check"] == {}
    assert primary["common_lb_config"] == {"healthy_panic_threshold": {"value": 30}}
