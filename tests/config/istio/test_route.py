"""Routes: destinations and weights, headers, mirrors, and what contradicts what."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from mirror_proxy.config.model import Config, Destination, HeaderOps, Rewrite, Route
from tests.config.istio.conftest import TO_V1, Http, Messages, routed, virtual_service

One = Callable[..., Route]


def weighted(*weights: str) -> str:
    items = "".join(
        f"  - {{destination: {{host: v{number}, port: {{number: 80}}}}{weight}}}\n"
        for number, weight in enumerate(weights, 1)
    )
    return f"- route:\n{items}"


@pytest.mark.parametrize(
    ("weights", "shares"),
    [
        (("",), [("v1", 1)]),
        ((", weight: 0",), [("v1", 1)]),
        ((", weight: 37",), [("v1", 1)]),
        ((", weight: 90", ", weight: 10"), [("v1", 90), ("v2", 10)]),
        ((", weight: 3", ", weight: 1"), [("v1", 3), ("v2", 1)]),
        ((", weight: 1", ", weight: 0", ", weight: 1"), [("v1", 1), ("v2", 0), ("v3", 1)]),
        ((", weight: 1", ""), [("v1", 1), ("v2", 0)]),
        (("", ", weight: 100"), [("v1", 0), ("v2", 100)]),
    ],
)
def test_destinations_share_by_weight(
    http: Http, weights: tuple[str, ...], shares: list[tuple[str, int]]
) -> None:
    (route,) = http(weighted(*weights))
    assert [(one.name, one.weight) for one in route.destinations] == shares


def test_routes_to_one_target_share_its_cluster_and_each_mirror_has_its_own(
    config: Callable[..., Config],
) -> None:
    mirror = "mirror: {host: v2, port: {number: 80}}"
    text = virtual_service(
        routed(f"match: [{{uri: {{exact: /a}}}}]\n{mirror}") + "\n" + routed(f"name: b\n{mirror}")
    )
    loaded = config(text)
    assert [cluster.name for cluster in loaded.clusters] == [
        "outbound|80||v1.default.svc.cluster.local",
        "outbound|80||v2.default.svc.cluster.local@shop[0]/v2",
        "outbound|80||v2.default.svc.cluster.local@b/v2",
    ]
    first, second = loaded.virtual_hosts[0].routes
    assert first.destinations[0].cluster == second.destinations[0].cluster


HEADERS = "{request: {set: {A: route}, add: {B: route}, remove: [X]}, response: {set: {C: route}}}"
OWN = "{request: {set: {b: own, Host: own.example}, add: {a: own}, remove: [Y]}, response: {add: {c: own}}}"


def test_the_changes_of_a_single_destination_come_after_the_routes(http: Http) -> None:
    target = "destination: {host: v1, port: {number: 80}}"
    (route,) = http(f"- headers: {HEADERS}\n  route: [{{{target}, headers: {OWN}}}]")
    assert route.request_headers == HeaderOps(
        ("x", "y"), (("a", "route"), ("b", "own")), (("b", "route"), ("a", "own"))
    )
    assert route.response_headers == HeaderOps((), (("c", "route"),), (("c", "own"),))
    assert route.destinations == (
        Destination("v1", "outbound|80||v1.default.svc.cluster.local", authority="own.example"),
    )
    assert route.rewrite == Rewrite()


def test_the_changes_of_weighted_destinations_stay_their_own(http: Http) -> None:
    routes = weighted(f", weight: 1, headers: {OWN}", ", weight: 1")
    (route,) = http(f"{routes}  headers: {HEADERS}")
    first, second = route.destinations
    assert first.request_headers == HeaderOps(("y",), (("b", "own"),), (("a", "own"),))
    assert first.response_headers == HeaderOps((), (), (("c", "own"),))
    assert (first.authority, second.authority) == ("own.example", None)
    assert second.request_headers == HeaderOps()
    assert route.request_headers == HeaderOps(("x",), (("a", "route"),), (("b", "route"),))


@pytest.mark.parametrize(
    ("fields", "authority"),
    [
        ("headers: {request: {set: {Host: a}}}", "a"),
        ("headers: {request: {add: {':authority': a}}}", "a"),
        ("rewrite: {authority: b}", "b"),
    ],
)
def test_setting_host_rewrites_the_authority(route: One, fields: str, authority: str) -> None:
    read = route(fields)
    assert read.rewrite.authority == authority
    assert read.request_headers == HeaderOps()


@pytest.mark.parametrize(
    ("value", "read"), [("100%%", "100%"), ("a%%b%%c", "a%b%c"), ("''", ""), ("a b", "a b")]
)
def test_a_doubled_percent_sign_is_one(route: One, value: str, read: str) -> None:
    assert route(f"headers: {{request: {{set: {{a: {value}}}}}}}").request_headers.set == (("a", read),)


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ("5%", "header value configuration: invalid header configuration. Un-escaped %"),
        (
            "5%x",
            (
                "header value configuration: invalid header configuration."
                " Un-terminated variable expression '5%x'"
            ),
        ),
        ("'%START_TIME%'", "header value configuration: the variable %START_TIME% is not known here"),
        ("'%START_TIME%%'", "header value configuration: the variable %START_TIME% is not known here"),
        ('"a\\x01"', "header value configuration 'a\\x01' is invalid"),
    ],
)
def test_a_wrong_header_value_is_refused(refused: Messages, value: str, problem: str) -> None:
    fields = f"headers: {{response: {{set: {{a: {value}}}}}}}"
    assert refused(virtual_service(routed(fields))) == [f"spec.http[0].headers.response.set.a: {problem}"]


@pytest.mark.parametrize(
    ("side", "change", "problem"),
    [
        ("request", "{set: {':path': a}}", 'invalid header ":path": header cannot have ":" prefix'),
        ("request", "{remove: [host]}", 'invalid header "host": cannot set Host header'),
        ("request", "{remove: [':authority']}", 'invalid header ":authority": header cannot have ":" prefix'),
        ("request", "{add: {'': a}}", "header name cannot be empty"),
        ("request", "{add: {a b: a}}", "header name a b is not a valid header name"),
        ("response", "{set: {Host: a}}", 'invalid header "Host": cannot set Host header'),
        (
            "response",
            "{add: {':authority': a}}",
            'invalid header ":authority": header cannot have ":" prefix',
        ),
        ("response", "{set: {Content-Length: '1'}}", "the proxy itself frames each message"),
    ],
)
def test_a_wrong_header_name_is_refused(refused: Messages, side: str, change: str, problem: str) -> None:
    (found,) = refused(virtual_service(routed(f"headers: {{{side}: {change}}}")))
    assert found.endswith(problem)


REDIRECT = "redirect: {uri: /a}"
DIRECT = "directResponse: {status: 200}"
FAULT = "fault: {abort: {httpStatus: 500}}"
REWRITE = "rewrite: {uri: /a}"


@pytest.mark.parametrize(
    ("item", "problem"),
    [
        (f"{REDIRECT}, {TO_V1}", "HTTP route cannot contain both route and redirect"),
        (f"{REDIRECT}, {FAULT}", "HTTP route cannot contain both fault and redirect"),
        (f"{REDIRECT}, {REWRITE}", "HTTP route rule cannot contain both rewrite and redirect"),
        (f"{REDIRECT}, {DIRECT}", "HTTP route rule cannot contain both direct_response and redirect"),
        (f"{DIRECT}, {TO_V1}", "HTTP route cannot contain both route and direct_response"),
        (f"{DIRECT}, {FAULT}", "HTTP route cannot contain both fault and direct_response"),
        (f"{DIRECT}, {REWRITE}", "HTTP route rule cannot contain both rewrite and direct_response"),
        ("timeout: 1s", "HTTP route, redirect or direct_response is required"),
        ("route: []", "HTTP route, redirect or direct_response is required"),
        (
            f"{TO_V1}, mirror: {{host: a}}, mirrors: [{{destination: {{host: b}}}}]",
            "HTTP route cannot contain both mirror and mirrors",
        ),
        (
            "route: [{destination: {host: a}}, {destination: {host: b}, weight: 0}]",
            "total destination weight = 0",
        ),
        (
            f"{TO_V1}, rewrite: {{authority: a}}, headers: {{request: {{set: {{host: b}}}}}}",
            'authority header cannot be set multiple times: have "a", attempting to set "b"',
        ),
        (
            f"{TO_V1}, headers: {{request: {{set: {{host: a}}, add: {{':authority': b}}}}}}",
            'authority header cannot be set multiple times: have "a", attempting to set "b"',
        ),
        (
            "redirect: {prefixRewrite: /a}, match: [{uri: {exact: /b}}]",
            "redirect prefix_rewrite requires all URI matches to use prefix match type",
        ),
        (f"name: r, {REDIRECT}, delegate: {{name: a}}", "root HTTP route r must not specify redirect"),
        (f"name: r, {TO_V1}, delegate: {{name: a}}", "root HTTP route r must not specify route"),
    ],
)
def test_what_contradicts_itself_is_refused(refused: Messages, item: str, problem: str) -> None:
    assert f"spec.http[0]: {problem}" in refused(virtual_service(f"- {{{item}}}"))


def test_all_contradictions_are_told_at_once(refused: Messages) -> None:
    assert len(refused(virtual_service(f"- {{{REDIRECT}, {TO_V1}, {FAULT}, {REWRITE}}}\n- {{}}"))) == 4


@pytest.mark.parametrize(
    ("item", "problem"),
    [
        ("route: [~]", "route[0]: weight may not be nil"),
        ("route: [{weight: 1}]", "route[0].destination: Required value: destination is required"),
        ("route: [{destination: {}}]", "route[0].destination.host: Required value"),
        ("route: [{destination: {host: a}, weight: -1}]", "route[0].weight: weight -1 < 0"),
        (
            "route: [{destination: {host: a}, weight: a}]",
            'route[0].weight: must be of type integer: "string"',
        ),
        ("route: [{destination: {host: '*'}}]", "route[0].destination.host: invalid destination host *"),
        (
            "route: [{destination: {host: a, subset: a.b}}]",
            "route[0].destination.subset: subset name is invalid: a.b",
        ),
        (
            f"{TO_V1}, mirrors: [{{}}]",
            "mirrors[0].destination: Required value: destination is required for mirrors",
        ),
        (
            f"{TO_V1}, mirrors: [{{destination: {{host: a}}, percentage: {{value: -1}}}}]",
            "mirrors[0].percentage.value: mirror percentage must have a min value of 0 (it has -1.000000)",
        ),
        (
            f"{TO_V1}, mirrors: [{{destination: {{host: a}}, headers: {{}}}}]",
            'mirrors[0].headers: unknown field "headers"',
        ),
        (f"{TO_V1}, websocketUpgrade: true", 'websocketUpgrade: unknown field "websocketUpgrade"'),
        (
            f"{TO_V1}, headers: {{request: {{set: {{host: a b}}}}}}",
            'headers.request: "a b" must hold neither blanks nor control characters',
        ),
        (f'{TO_V1}, name: "a\\r\\nb: c"', "name: 'a\\r\\nb: c' must be printable"),
        (f'{TO_V1}, match: [{{name: "a\\n"}}]', "match[0].name: 'a\\n' must be printable"),
        (
            "route: [{destination: {host: a}, weight: 2147483648}]",
            "route[0].weight: must be in the range 0..2147483647 (it is 2147483648)",
        ),
        (f"{TO_V1}, timeout: 0s", "timeout: duration must be greater than 1ms"),
        (f"{TO_V1}, timeout: 3000000h", 'timeout: "3000000h" is too long; the most is 9.22337e+09s'),
        (f"{TO_V1}, delegates: {{}}", 'delegates: unknown field "delegates"; did you mean "delegate"?'),
    ],
)
def test_a_wrong_part_is_refused(refused: Messages, item: str, problem: str) -> None:
    assert f"spec.http[0].{problem}" in refused(virtual_service(f"- {{{item}}}"))


def test_a_mirror_beside_an_answer_of_the_proxys_own_does_nothing_and_is_warned_of(
    http: Http, warned: Messages
) -> None:
    text = f"- {{{REDIRECT}, mirror: {{host: v2}}}}"
    assert http(text)[0].mirrors == ()
    assert warned(virtual_service(text)) == [
        "spec.http[0].mirror: mirrors nothing: the route answers by itself"
    ]


@pytest.mark.parametrize(
    "percent", ["mirrorPercentage: {value: 1}", "mirrorPercentage: {}", "mirror_percent: 1"]
)
def test_a_percentage_of_no_mirror_does_nothing_and_is_warned_of(warned: Messages, percent: str) -> None:
    mirrors = "mirrors: [{destination: {host: v2, port: {number: 80}}}]"
    assert warned(virtual_service(f"- {{{TO_V1}, {percent}, {mirrors}}}"))[-1] == (
        "spec.http[0]: mirrorPercentage has no effect without mirror; each of mirrors has a percentage of its own"
    )


def test_a_mirror_that_is_one_of_the_destinations_is_warned_of(warned: Messages) -> None:
    text = weighted(", weight: 9", ", weight: 1") + "  mirror: {host: v2, port: {number: 80}}"
    assert warned(virtual_service(text)) == [
        "spec.http[0].mirror: the mirror shop[0]/v2 is one of the route's own destinations, v2:80"
    ]
