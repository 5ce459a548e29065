"""Comparing in a MirrorProxy document: what is read, what is refused, and who is asked beside the mirrors."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from mirror_proxy.comparison.diff.json_path import steps_of
from mirror_proxy.config.model import (
    Compare,
    Config,
    EndpointTemplate,
    FieldRule,
    ItemKey,
    MirrorPolicy,
    RepeatSafe,
    Share,
    StoreLimits,
    Thresholds,
    Tolerance,
    Tracing,
)

LoadSpec = Callable[[str], Config]
Refusals = Callable[..., list[str]]


def mirrors_of(config: Config) -> Sequence[MirrorPolicy]:
    return config.virtual_hosts[0].routes[0].mirrors


def test_nothing_is_compared_unless_asked_for(load_spec: LoadSpec) -> None:
    config = load_spec("compare: {noise: {repeat: {}, secondary: {host: v1b}}}")
    assert not config.settings.compare.is_on
    assert [mirror.role for mirror in mirrors_of(config)] == ["mirror"]


def test_everything_that_can_be_said_of_comparing_is_read(load_spec: LoadSpec) -> None:
    config = load_spec(
        """
  compare:
    percent: 2.5
    label: v2-1483
    routes: {shop: {percent: 50}}
    maxBodyBytes: 1KiB
    ignore: [{path: "$.at"}, {header: X-Build, route: shop}]
    redact: [{regex: "[0-9]{16}"}]
    unordered: ["$.items"]
    tolerance: [{path: "$.price", absolute: 0.5, relative: 0.25}]
    match: [{path: $.items, by: sku}]
    endpoints: {templates: ["GET  /shop/{sku}", "/cart/*"]}
    repeatSafe: [POST /search, "POST  /graphql/{id}/*  query Get*", " Get  List "]
    noise: {thresholds: {relative: 0.5, absolute: 0.25, minSamples: 7}}
    store: {url: "sqlite:////var/lib/x.db", maxDifferences: 9, maxBytes: 64MiB, maxAge: 2h}
"""
    )
    assert config.settings.compare == Compare(
        share=Share(25_000, 1_000_000),
        shares=(("shop", Share(50)),),
        max_body_bytes=1024,
        ignore=(FieldRule(path="$.at"), FieldRule(header="x-build", route="shop")),
        redact=(FieldRule(regex="[0-9]{16}"),),
        unordered=("$.items",),
        tolerances=(Tolerance("$.price", 0.5, 0.25),),
        matches=(ItemKey("$.items", "sku"),),
        endpoints=(EndpointTemplate("GET", "/shop/{sku}"), EndpointTemplate("", "/cart/*")),
        repeat_safe=(
            RepeatSafe("POST", "/search"),
            RepeatSafe("POST", "/graphql/{id}/*", ("query", "Get*")),
            RepeatSafe("", "/*", ("Get", "List")),
        ),
        thresholds=Thresholds(0.5, 0.25, 7),
        store="sqlite:////var/lib/x.db",
        limits=StoreLimits(9, 7200.0, 64 * 1024 * 1024),
        label="v2-1483",
    )


def test_a_second_v1_is_asked_beside_the_mirrors_with_a_cluster_of_its_own(load_spec: LoadSpec) -> None:
    config = load_spec("compare: {percent: 10, noise: {secondary: {host: v1b, port: {number: 81}}}}")
    _, secondary = mirrors_of(config)
    assert (secondary.name, secondary.role, secondary.host_suffix) == ("shop/secondary", "secondary", False)
    assert secondary.mirroring.methods == frozenset(
        ("GET", "HEAD", "OPTIONS", "TRACE", "PROPFIND", "REPORT", "SEARCH")
    )
    cluster = next(one for one in config.clusters if one.name == secondary.cluster)
    assert [str(one.address) for one in cluster.endpoints] == ["v1b:81"]
    assert cluster.name.endswith("@shop/secondary")


def test_a_second_v1_gets_writes_only_where_that_is_said(load_spec: LoadSpec) -> None:
    overrides = "mirroring: {overrides: {shop/secondary: {methods: all}}}"
    config = load_spec(f"{overrides}\ncompare: {{percent: 10, noise: {{secondary: {{host: v1b}}}}}}")
    assert mirrors_of(config)[1].mirroring.methods is None


def test_a_route_may_have_a_second_v1_of_its_own(load_spec: LoadSpec) -> None:
    spec = "compare: {noise: {secondary: {host: v1b}}, routes: {shop: {percent: 1, secondary: {host: own}}}}"
    config = load_spec(spec)
    assert {cluster.host for cluster in config.clusters} == {"v1", "v2", "own"}


def test_the_primary_is_asked_again_only_what_is_safe_and_no_more_than_allowed(load_spec: LoadSpec) -> None:
    config = load_spec("compare: {percent: 10, noise: {repeat: {percent: 20, maxPerSecond: 3}}}")
    _, repeat = mirrors_of(config)
    assert (repeat.name, repeat.role, repeat.repeats) == ("shop/repeat", "repeat", "v1")
    assert (repeat.numerator, repeat.denominator) == (20, 100)
    assert repeat.mirroring.methods == frozenset(
        ("GET", "HEAD", "OPTIONS", "TRACE", "PROPFIND", "REPORT", "SEARCH")
    )
    assert repeat.mirroring.max_per_second == 3
    assert repeat.cluster not in {one.cluster for one in config.virtual_hosts[0].routes[0].destinations}


def test_a_configuration_without_its_baselines_is_as_if_they_had_not_been_written(
    load_spec: LoadSpec,
) -> None:
    noise = "noise: {repeat: {}, secondary: {host: v1b}}"
    with_noise, without = load_spec(f"compare: {{percent: 10, {noise}}}"), load_spec("compare: {percent: 10}")
    assert len(mirrors_of(with_noise)) == 3
    assert with_noise.without_baselines() == without
    assert without.without_baselines() is without


def test_tracing_is_read(load_spec: LoadSpec) -> None:
    config = load_spec("tracing: {otlpEndpoint: 'http://otel:4318', sample: 0.5}")
    assert config.settings.tracing == Tracing("http://otel:4318", Share(5000, 1_000_000))


@pytest.mark.parametrize(
    ("spec", "problem"),
    [
        (
            "compare: {percent: 101}",
            "spec.compare.percent: must be 0, or in the range 0.0001..100 (it is 101)",
        ),
        (
            "compare: {percent: 0.00001}",
            "spec.compare.percent: must be 0, or in the range 0.0001..100 (it is 1e-05)",
        ),
        (
            "compare: {ignore: [{path: items}]}",
            'spec.compare.ignore[0].path: "items" is no path; write such as $.items[].price, as reports name it',
        ),
        (
            "compare: {redact: [{path: $.a, header: b}]}",
            "spec.compare.redact[0]: one of path, header, regex is needed, and no more (there are 2)",
        ),
        (
            "compare: {redact: [{route: shop}]}",
            "spec.compare.redact[0]: one of path, header, regex is needed, and no more (there are 0)",
        ),
        ("compare: {ignore: [{regex: ''}]}", "spec.compare.ignore[0].regex: finds nothing"),
        (
            "compare: {match: [{path: $.a}]}",
            "spec.compare.match[0]: path and by are needed, such as {path: $.items, by: sku}",
        ),
        (
            "compare: {tolerance: [{path: $.a}]}",
            "spec.compare.tolerance[0]: one of absolute, relative is needed",
        ),
        ("compare: {ignore: [{regex: (}]}", "spec.compare.ignore[0].regex: missing ): ("),
        (
            "compare: {ignore: [{header: 'a b'}]}",
            'spec.compare.ignore[0].header: "a b" is no name of a header',
        ),
        (
            "compare: {ignore: [{header: a, route: shp}]}",
            'spec.compare.ignore[0].route: no route is named "shp"; did you mean "shop"?',
        ),
        (
            "compare: {routes: {nope: {percent: 1}}}",
            'spec.compare.routes.nope: no route is named "nope"; routes are: shop',
        ),
        (
            "compare: {endpoints: {templates: [shop]}}",
            (
                'spec.compare.endpoints.templates[0]: "shop" is no endpoint; write such as GET /shop/{sku}, or'
                " /shop/{sku} for all methods"
            ),
        ),
        (
            "compare: {endpoints: {openapi: /nowhere.yaml}}",
            "spec.compare.endpoints.openapi: /nowhere.yaml: cannot be read: No such file or directory",
        ),
        (
            "compare: {repeatSafe: [POST]}",
            (
                'spec.compare.repeatSafe[0]: "POST" is no method with a path, and no operation; write such as'
                " POST /search, POST /graphql query, or Get List"
            ),
        ),
        (
            "compare: {repeatSafe: [/search]}",
            (
                'spec.compare.repeatSafe[0]: "/search" is no method with a path, and no operation; write such as'
                " POST /search, POST /graphql query, or Get List"
            ),
        ),
        (
            "compare: {repeatSafe: ['POST /a/{b']}",
            "spec.compare.repeatSafe[0]: /a/{b: a segment has at most two {names}, and each brace its other one",
        ),
        (
            "compare: {maxBodyBytes: 1GiB}",
            "spec.compare.maxBodyBytes: must be in the range 0..131072 (it is 1073741824)",
        ),
        (
            "compare: {store: {url: 'mysql://x'}}",
            (
                "spec.compare.store.url: is no URL of a store; write such as sqlite:////var/lib/mirror-proxy.db or"
                " postgresql://HOST/NAME"
            ),
        ),
        (
            "tracing: {otlpEndpoint: otel}",
            'spec.tracing.otlpEndpoint: "otel" is no URL of a collector; write such as http://otel:4318',
        ),
        (
            "tracing: {otlpEndpoint: 'http://a:b@otel'}",
            (
                "spec.tracing.otlpEndpoint: credentials have no place in a collector's URL;"
                " OTEL_EXPORTER_OTLP_HEADERS holds them"
            ),
        ),
        ("tracing: {sample: child}", 'spec.tracing.sample: "child" is not one of a percentage, parent'),
    ],
)
def test_what_cannot_be_meant_is_refused_where_it_stands(
    spec_refusals: Refusals, spec: str, problem: str
) -> None:
    assert spec_refusals(spec) == [problem]


@pytest.mark.parametrize(
    "path", ["$[a]", "$..price", '$["a"]', "$.a[0:2]", "$.a[", "$['a", "$.a*", "$.", "$a", "", "$.a]"]
)
def test_a_path_of_which_nothing_would_come_is_refused(spec_refusals: Refusals, path: str) -> None:
    quoted = path.replace("'", "''")
    (problem,) = spec_refusals(f"compare: {{unordered: ['{quoted}']}}")
    assert f'"{path}" is no path; write such as $.items[].price' in problem


@pytest.mark.parametrize(
    "path", ["$", "$.a", "$.*.a", "$[]", "$.a[3][*].b", "$['a b'][]", "$['it\\'s \\x1b']", "$[].a-b c"]
)
def test_a_path_that_reports_write_is_read(load_spec: LoadSpec, path: str) -> None:
    quoted = path.replace("'", "''")
    assert load_spec(f"compare: {{unordered: ['{quoted}']}}").settings.compare.unordered == (path,)
    assert steps_of(path) is not None


@pytest.mark.parametrize(
    "url", ["sqlite://", "sqlite:///", "sqlite:///:memory:", "sqlite:///a?b", "postgresql+asyncpg://h/d"]
)
def test_a_store_that_would_keep_nothing_is_refused(spec_refusals: Refusals, url: str) -> None:
    (problem,) = spec_refusals(f"compare: {{store: {{url: '{url}'}}}}")
    assert "is no URL of a store" in problem
