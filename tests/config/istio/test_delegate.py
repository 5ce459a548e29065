"""Delegates: a root's route laid over another VirtualService's routes."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from mirror_proxy.config.model import (
    Config,
    Fault,
    FieldMatch,
    HeaderOps,
    Match,
    RetryPolicy,
    Route,
    Share,
    StringMatch,
)
from tests.config.istio.conftest import Messages, routed, virtual_service

Routes = Callable[..., tuple[Route, ...]]
LEFT_OUT = "left out of shop: its match is no part of what route shop[0] takes"


def delegate(http: str, spec: str = "exportTo: ['*']") -> str:
    return virtual_service(http, name="team", spec=spec, metadata=", namespace: team")


@pytest.fixture
def merged(config: Callable[..., Config]) -> Routes:
    """Load a root's route and a delegate's `http`; return the routes."""

    def load(root: str, http: str) -> tuple[Route, ...]:
        (host,) = config(virtual_service(f"- {{{DELEGATE}{root}}}") + delegate(http)).virtual_hosts
        return host.routes

    return load


DELEGATE = "delegate: {name: team, namespace: team}"


def test_a_delegates_routes_stand_in_place_of_the_roots(config: Callable[..., Config]) -> None:
    root = f"- {{name: root, match: [{{uri: {{prefix: /a}}}}], {DELEGATE}}}\n" + routed("name: rest")
    leaves = routed("name: one\nmatch: [{uri: {exact: /a/b}}]") + "\n" + routed("")
    loaded = config(virtual_service(root) + delegate(leaves))
    (host,) = loaded.virtual_hosts
    assert host.name == "default/shop"
    assert [(route.name, route.matches) for route in host.routes] == [
        ("root-one", (Match(path=StringMatch("exact", "/a/b")),)),
        ("root", (Match(path=StringMatch("prefix", "/a")),)),
        ("rest", ()),
    ]
    assert [cluster.name for cluster in loaded.clusters] == [
        "outbound|80||v1.team.svc.cluster.local",
        "outbound|80||v1.default.svc.cluster.local",
    ]


@pytest.mark.parametrize(
    ("root", "leaf", "name"),
    [
        ("", "", "shop[0]-team[0]"),
        (", name: root", "", "root"),
        ("", "name: leaf", "leaf"),
        (", name: root", "name: leaf", "root-leaf"),
    ],
)
def test_names_are_joined(merged: Routes, root: str, leaf: str, name: str) -> None:
    (route,) = merged(root, routed(leaf))
    assert route.name == name


def test_a_delegate_inherits_what_it_does_not_say(merged: Routes) -> None:
    root = (
        ", timeout: 3s, retries: {attempts: 1}, fault: {abort: {httpStatus: 500}}, rewrite: {authority: r},"
        " headers: {request: {set: {a: root}}}, mirror: {host: v2, port: {number: 80}},"
        " mirrorPercentage: {value: 10}, corsPolicy: {allowMethods: [GET]}"
    )
    leaf = "headers: {request: {set: {b: leaf}}}\ntimeout: 1s\nmatch: [{uri: {exact: /a}}]"
    inheriting, saying = merged(root, routed("match: [{uri: {exact: /b}}]") + "\n" + routed(leaf))
    assert inheriting.timeout_s == 3.0
    assert inheriting.retries == RetryPolicy(1)
    assert inheriting.fault == Fault(abort=Share(0, 1_000_000), abort_status=500)
    assert inheriting.rewrite.authority == "r"
    assert inheriting.request_headers == HeaderOps((), (("a", "root"),))
    assert inheriting.cors is not None
    assert [(one.name, one.numerator) for one in inheriting.mirrors] == [("shop[0]-team[0]/v2", 100_000)]
    assert (saying.timeout_s, saying.request_headers) == (1.0, HeaderOps((), (("b", "leaf"),)))


def test_a_delegate_may_answer_by_the_roots_direct_response(merged: Routes) -> None:
    (route,) = merged(", directResponse: {status: 503}", routed(""))
    assert route.direct_response is not None
    assert route.destinations == ()


def test_the_conditions_of_both_hold(merged: Routes) -> None:
    root = (
        ", match: [{name: r, uri: {prefix: /a}, headers: {a: {exact: '1'}, b: {exact: '1'}}},"
        " {uri: {prefix: /b}}]"
    )
    leaf = "match: [{name: l, uri: {prefix: /a/b}, method: {exact: GET}, headers: {c: {exact: '1'}}}]"
    (route,) = merged(root, routed(leaf))
    one = StringMatch("exact", "1")
    assert route.matches == (
        Match(
            name="r-l",
            path=StringMatch("prefix", "/a/b"),
            method=StringMatch("exact", "GET"),
            headers=tuple(FieldMatch(name, one) for name in "abc"),
        ),
    )


@pytest.mark.parametrize(
    ("root", "leaf", "is_kept"),
    [
        ("uri: {prefix: /a}", "uri: {prefix: /a/b}", True),
        ("uri: {prefix: /a}", "uri: {exact: /a/b}", True),
        ("uri: {prefix: /a/b}", "uri: {prefix: /a}", False),
        ("uri: {prefix: /a/b}", "uri: {exact: /a}", False),
        ("uri: {exact: /a}", "uri: {exact: /a}", True),
        ("uri: {exact: /a}", "uri: {exact: /b}", False),
        ("uri: {exact: /a}", "uri: {prefix: /a}", False),
        ("uri: {regex: /a}", "uri: {regex: /a}", False),
        ("uri: {regex: /a}", "method: {exact: GET}", True),
        ("uri: {prefix: /a}", "uri: {regex: /a}", False),
        ("uri: {prefix: /a}", "uri: {prefix: /a}, ignoreUriCase: true", False),
        ("headers: {a: {exact: x}}", "headers: {a: {exact: y}}", False),
        ("headers: {a: {exact: x}}", "headers: {b: {exact: y}}", True),
        ("withoutHeaders: {a: {exact: x}}", "withoutHeaders: {a: {exact: y}}", False),
        ("queryParams: {a: {exact: x}}", "queryParams: {a: {exact: y}}", False),
        ("port: 8080", "port: 8081", False),
        ("sourceNamespace: default", "uri: {exact: /a}", False),
        ("sourceNamespace: default", "sourceNamespace: default", True),
        ("sourceLabels: {a: x}, gateways: [mesh]", "sourceLabels: {a: y}, gateways: [mesh]", False),
        ("gateways: [mesh, web]", "gateways: [mesh]", True),
        ("gateways: [mesh]", "gateways: [mesh, web]", False),
    ],
)
def test_a_match_that_is_no_part_of_the_roots_is_left_out_with_a_warning(
    config: Callable[..., Config], root: str, leaf: str, *, is_kept: bool
) -> None:
    text = virtual_service(f"- {{{DELEGATE}, match: [{{{root}}}]}}\n" + routed("name: rest"))
    loaded = config(text + delegate(routed(f"name: leaf\nmatch: [{{{leaf}}}]")))
    (host,) = loaded.virtual_hosts
    assert host.routes[0].name == ("leaf" if is_kept else "rest")
    assert any(warning.endswith(LEFT_OUT) for warning in loaded.warnings) is not is_kept


@pytest.mark.parametrize(
    ("spec", "root", "problem"),
    [
        ("exportTo: [other]", DELEGATE, 'Referenced delegate not exported to default: "team/team"'),
        ("exportTo: [.]", DELEGATE, 'Referenced delegate not exported to default: "team/team"'),
        ("exportTo: ['*']", "delegate: {name: team}", 'Referenced delegate not found: "default/team"'),
    ],
)
def test_a_delegate_that_cannot_be_reached_is_refused(
    refused: Messages, spec: str, root: str, problem: str
) -> None:
    text = virtual_service(f"- {{{root}}}") + delegate(routed(""), spec)
    assert f"spec.http[0].delegate: {problem}" in refused(text)


def test_a_delegate_exported_to_the_roots_namespace_is_reached(config: Callable[..., Config]) -> None:
    text = virtual_service(f"- {{{DELEGATE}}}") + delegate(routed(""), "exportTo: [default]")
    assert len(config(text).virtual_hosts[0].routes) == 1


@pytest.mark.parametrize(
    ("spec", "problem"),
    [
        ("gateways: [web]", "spec.gateways: delegate virtual service must have no gateways specified"),
        ("tls: [{}]", "spec.tls: delegate virtual service must have no tls route specified"),
        ("tcp: [{}]", "spec.tcp: delegate virtual service must have no tcp route specified"),
    ],
)
def test_a_delegate_says_nothing_of_its_own_reach(refused: Messages, spec: str, problem: str) -> None:
    assert problem in refused(virtual_service(f"- {{{DELEGATE}}}") + delegate(routed(""), spec))


def test_a_delegate_does_not_delegate(refused: Messages) -> None:
    leaves = "- {delegate: {name: x}}"
    assert "spec.http[0]: delegate HTTP route cannot contain delegate" in refused(
        virtual_service(f"- {{{DELEGATE}}}") + delegate(leaves)
    )


def test_a_delegate_that_nobody_names_is_warned_of_and_refused_when_there_is_nothing_else(
    warned: Messages, refused: Messages
) -> None:
    lone = "has no hosts, and no other VirtualService delegates to it"
    assert warned(virtual_service(routed("")) + delegate(routed("")))[0].endswith(f"team/team: {lone}")
    assert refused(delegate(routed(""))) == [f"spec: {lone}"]
