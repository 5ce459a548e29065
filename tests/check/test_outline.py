"""A configuration as a table."""

from __future__ import annotations

from dataclasses import replace

from mirror_proxy.check.outline import addresses, outline, safety
from mirror_proxy.config.model import (
    Address,
    Cluster,
    Compare,
    Config,
    Destination,
    DirectResponse,
    Endpoint,
    EndpointTemplate,
    FieldMatch,
    HashKey,
    HeaderOps,
    HealthCheck,
    HttpHealthCheck,
    Listener,
    ListenerTls,
    Match,
    Mirroring,
    MirrorPolicy,
    ProxyProtocol,
    RepeatSafe,
    Route,
    Settings,
    Share,
    StringMatch,
    Tracing,
    UpstreamTls,
    VirtualHost,
)
from tests.support.mirroring import without_effect
from tests.support.plane import cluster_at, local_cluster, make_config

V1, V2 = cluster_at("v1", Address("shop-v1", 8080)), cluster_at("v2", Address("shop-v2", 8080))
SAFE = Mirroring(methods=frozenset({"GET", "HEAD"}), max_per_second=50, headers=HeaderOps(remove=("cookie",)))
SAFETY = "GET HEAD only, timeout 5 s, at most 256 at once, 50 a second, headers: -cookie"
TESTERS = Route(
    "testers",
    (Destination("shop/v2", "v2"),),
    matches=(
        Match(headers=(FieldMatch("x-canary", StringMatch("exact", "always")),)),
        Match(path=StringMatch("prefix", "/beta")),
    ),
)
SHOP = Route(
    "shop",
    (Destination("shop/v1", "v1", 19), Destination("shop/v2", "v2", 1)),
    (MirrorPolicy("shop/v2", "v2", 5699, 1_000_000, SAFE),),
    timeout_s=15,
)


def config(*routes: Route, **settings: object) -> Config:
    hosts = (VirtualHost("default/shop", ("*",), routes),)
    return Config(replace(Settings(), **settings), (V1, V2), hosts)  # type: ignore[arg-type]  # Settings' own


def test_routes_stand_in_order_with_conditions_shares_and_where_they_lead() -> None:
    assert outline(config(TESTERS, SHOP)).splitlines() == [
        "listens on 0.0.0.0:8080; admin on 127.0.0.1:9901",
        "",
        "virtual host default/shop takes every host",
        "  route    takes                        goes to              share  where",
        '  testers  header x-canary is "always"  shop/v2              100 %  shop-v2:8080',
        '           or path begins with "/beta"',
        "  shop     everything                   shop/v1               95 %  shop-v1:8080",
        "                                        shop/v2                5 %  shop-v2:8080",
        "                                        copy for shop/v2  0.5699 %  shop-v2:8080",
        "           timeout 15 s",
        f"           mirror shop/v2: {SAFETY}",
    ]


def test_an_answer_of_the_proxys_own_goes_to_the_client() -> None:
    [*_, row] = outline(config(Route("gone", direct_response=DirectResponse(410)))).splitlines()
    assert row.split() == ["gone", "everything", "answer", "410", "the", "client"]


def test_the_hosts_of_a_virtual_host_are_named() -> None:
    made = config(SHOP)
    hosts = (VirtualHost("default/shop", ("shop", "*.shop.example"), (SHOP,)),)
    assert "virtual host default/shop takes shop, *.shop.example" in outline(
        replace(made, virtual_hosts=hosts)
    )


def test_a_sticky_draw_is_said() -> None:
    said = outline(config(SHOP, sticky=HashKey("cookie", "user")))
    assert "draws by cookie user: the same one gets the same destination and mirrors" in said


def test_exact_sampling_comparison_and_spans_are_listed() -> None:
    safe = (RepeatSafe("POST", "/search"), RepeatSafe("POST", "/", ("Get*", "List*")))
    compare = Compare(share=Share(1, 8), shares=(("testers", Share(100)),), repeat_safe=safe)
    compare = replace(compare, endpoints=(EndpointTemplate("", "/shop/{sku}"),), openapi="api.yaml")
    tracing = Tracing("http://otel:4318")
    lines = outline(config(SHOP, exact=True, compare=compare, tracing=tracing)).splitlines()
    assert lines[1:6] == [
        "each mirror gets exactly its share of any 100 requests of a route, in each worker",
        "compares answers: 12.5 % of what is copied, 100 % on testers",
        "counts by endpoint: 1 template, with those of api.yaml, and what requests show",
        "sends to baselines too, although unsafe: POST /search, POST / Get* List*",
        "sends spans to http://otel:4318",
    ]


def test_health_check_of_a_primary_is_listed() -> None:
    check = HealthCheck(HttpHealthCheck("/healthz"), interval_s=5.0)
    assert "health check of v1: GET /healthz, every 5 s" in outline(
        make_config(local_cluster("v1", 1, health_check=check))
    )
    assert "health check of v1: TCP" in outline(
        make_config(local_cluster("v1", 1, health_check=HealthCheck()))
    )


def test_addresses_are_said_with_weights_and_tls_and_not_by_the_hundred() -> None:
    endpoints = (Endpoint(Address("a", 1), 3), *(Endpoint(Address("::1", port)) for port in range(2, 9)))
    cluster = Cluster("c", "c", endpoints, tls=UpstreamTls())
    assert addresses(cluster) == "a:1 (weight 3), [::1]:2, [::1]:3, [::1]:4, and 4 more over TLS"
    assert addresses(Cluster("c", "c", ())) == "nowhere"
    assert addresses(local_cluster("c", 1, proxy_protocol="V2")) == "127.0.0.1:1 with PROXY V2"


def test_edits_and_limits_of_shadows_are_listed() -> None:
    mirroring = Mirroring(
        host="upstream", path="/v2", body=False, max_body_bytes=1000, max_bytes_per_second=2048
    )
    assert safety(MirrorPolicy("m", "v2", mirroring=mirroring)).endswith(
        "2,048 bytes a second, bodies of at most 1,000 bytes, no bodies, Host: its own address, path: /v2 before it"
    )


def test_outline_shows_each_limit_of_a_mirror_that_an_operator_looks_for() -> None:
    not_shown = {"connect_timeout_s", "max_lag_bytes", "breaker", "mark"}
    assert without_effect(safety) == not_shown, "show the setting in `safety`, or name it here"


def test_listeners_are_listed_with_tls_and_the_senders_of_the_proxy_protocol() -> None:
    tls, senders = ListenerTls("a.crt", "a.key"), ProxyProtocol(("10.0.0.0/8", "fd00::/8"))
    listeners = (
        Listener(Address("0.0.0.0", 80)),
        Listener(Address("0.0.0.0", 443), tls, senders),
        Listener(Address("/run/a.sock", 0), None, ProxyProtocol()),
    )
    first = outline(Config(Settings(listeners=listeners), (), ())).partition("\n")[0]
    assert first == (
        "listens on 0.0.0.0:80, 0.0.0.0:443 with TLS and the PROXY protocol required from 10.0.0.0/8, fd00::/8,"
        " unix:///run/a.sock with the PROXY protocol required from every client; admin on 127.0.0.1:9901"
    )
