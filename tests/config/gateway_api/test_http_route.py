"""HTTPRoute: hosts, backends, timeouts and retries, and what the API server would refuse of them."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from mirror_proxy.config.model import DirectResponse, HeaderOps, Redirect, RetryPolicy
from mirror_proxy.config.rules import HostRule, RouteRule

Rules = Callable[..., list[HostRule]]
Rule = Callable[..., RouteRule]
Messages = Callable[..., list[str]]

HEAD = "apiVersion: gateway.networking.k8s.io/v1beta1\nkind: HTTPRoute\nmetadata: {name: shop}\n"
RULES = "rules: [{backendRefs: [{name: v1, port: 80}]}]"


def spec(text: str) -> str:
    return f"{HEAD}spec: {{{text}}}\n"


@pytest.mark.parametrize(
    ("fields", "hosts"),
    [
        ("", ("*",)),
        ("hostnames: [], ", ("*",)),
        ("hostnames: [a.example, '*.b.example'], ", ("a.example", "*.b.example")),
        ("parentRefs: [{name: gw, sectionName: http, port: 80}], hostnames: [a.example], ", ("a.example",)),
        ("parentRefs: [{kind: Service, name: v1, port: 80}], ", ("v1.default.svc.cluster.local",)),
        (
            "parentRefs: [{kind: Service, group: '', name: v1, namespace: other}], hostnames: [a.example], ",
            ("v1.other.svc.cluster.local",),
        ),
        (
            "parentRefs: [{kind: Service, name: v1}, {name: gw}], hostnames: [a.example], ",
            ("v1.default.svc.cluster.local", "a.example"),
        ),
    ],
)
def test_hosts_are_those_listed_or_the_service_it_is_attached_to(
    host_rules: Rules, fields: str, hosts: tuple[str, ...]
) -> None:
    [rule] = host_rules(spec(fields + RULES))
    assert rule.hosts == hosts
    assert (rule.name, rule.namespace, rule.mirror_name) == ("shop", "default", None)


def test_a_rule_is_called_by_its_name_or_its_number(host_rules: Rules) -> None:
    [rule] = host_rules(spec("rules: [{name: a, matches: [{path: {value: /a}}]}, {}]"))
    assert [route.name for route in rule.routes] == ["a", "shop[1]"]


def test_backends_share_by_weight_and_change_headers_of_their_own(route_rule: Rule) -> None:
    route = route_rule(
        "",
        """\
  backendRefs:
  - name: v1
    port: 80
    weight: 9
  - group: ""
    kind: Service
    name: v2
    namespace: other
    port: 81
    filters:
    - {type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: a, value: b}]}}
    - {type: ResponseHeaderModifier, responseHeaderModifier: {remove: [c]}}
    - {type: URLRewrite, urlRewrite: {hostname: v2.example}}
  - {name: v3, port: 80, weight: 0}
""",
    )
    assert [(one.target.label, one.target.port, one.weight) for one in route.destinations] == [
        ("v1", 80, 9),
        ("v2.other.svc.cluster.local", 81, 1),
        ("v3", 80, 0),
    ]
    second = route.destinations[1]
    assert second.request_headers == HeaderOps(set=(("a", "b"),))
    assert second.response_headers == HeaderOps(remove=("c",))
    assert second.authority == "v2.example"


def test_one_backend_with_weight_leaves_the_others_to_be_given_some(route_rule: Rule) -> None:
    route = route_rule("", "  backendRefs: [{name: v1, port: 80}, {name: v2, port: 80, weight: 0}]\n")
    assert [(one.target.label, one.weight) for one in route.destinations] == [("v1", 1), ("v2", 0)]


def test_a_single_backend_changes_headers_after_the_rule(route_rule: Rule) -> None:
    change = "type: RequestHeaderModifier, requestHeaderModifier"
    route = route_rule(
        f"filters: [{{{change}: {{set: [{{name: a, value: b}}], remove: [c]}}}}]",
        f"  backendRefs: [{{name: v1, port: 80, filters: [{{{change}: {{set: [{{name: a, value: d}}]}}}}]}}]\n",
    )
    assert route.request_headers == HeaderOps(("c",), (("a", "b"), ("a", "d")))
    assert [(one.weight, one.request_headers) for one in route.destinations] == [(1, HeaderOps())]


@pytest.mark.parametrize(
    "backend",
    [
        "",
        "  backendRefs: []\n",
        "  backendRefs: [{name: v1, port: 80, weight: 0}]\n",
        "  backendRefs: [{name: v1, port: 80, weight: 0}, {name: v2, port: 80, weight: 0}]\n",
    ],
)
def test_without_a_backend_of_weight_the_answer_is_500(route_rule: Rule, backend: str) -> None:
    route = route_rule("matches: [{}]", backend)
    assert (route.destinations, route.direct_response) == ((), DirectResponse(500))


def test_without_rules_the_answer_is_500(host_rules: Rules) -> None:
    [rule] = host_rules(spec("hostnames: [a.example]"))
    [route] = rule.routes
    assert (route.name, route.direct_response) == ("shop[0]", DirectResponse(500))


def test_what_is_not_sent_is_not_mirrored(warnings: Messages, route_rule: Rule) -> None:
    mirror = "filters: [{type: RequestMirror, requestMirror: {backendRef: {name: v2, port: 80}}}]"
    assert route_rule(mirror, "").mirrors == ()
    [warning] = warnings(mirror, "")
    assert warning.endswith("mirrors nothing: no backend has weight, so the answer is 500")


@pytest.mark.parametrize(
    ("timeouts", "whole", "one"),
    [
        ("{}", None, None),
        ("{request: 10s}", 10.0, None),
        ("{request: 0s}", None, None),
        ("{request: 0s, backendRequest: 500ms}", None, 0.5),
        ("{request: 1m30s, backendRequest: 5s}", 90.0, 5.0),
        ("{backendRequest: 1h2m3s4ms}", None, 3723.004),
    ],
)
def test_timeouts_bound_the_whole_and_each_try(
    route_rule: Rule, timeouts: str, whole: float | None, one: float | None
) -> None:
    route = route_rule(f"timeouts: {timeouts}")
    assert (route.timeout_s, route.retries) == (whole, RetryPolicy(per_try_timeout_s=one))


@pytest.mark.parametrize(
    ("timeouts", "message"),
    [
        ("{request: 1s, backendRequest: 2s}", "backendRequest timeout cannot be longer than request timeout"),
        ("{request: 1.5s}", '"1.5s" is not a duration of Gateway API; write such as 5s, 300ms or 1m30s'),
        ("{request: 100us}", '"100us" is not a duration of Gateway API; write such as 5s, 300ms or 1m30s'),
        (
            "{request: 123456s}",
            '"123456s" is not a duration of Gateway API; write such as 5s, 300ms or 1m30s',
        ),
        ("{request: 5}", 'must be of type string: "integer"'),
        ("{requests: 5s}", 'unknown field "requests"; did you mean "request"?'),
    ],
)
def test_a_timeout_that_cannot_be_is_refused(rule_refusals: Messages, timeouts: str, message: str) -> None:
    [problem] = rule_refusals(f"timeouts: {timeouts}")
    assert problem.endswith(f": {message}")


def test_retries_are_those_of_istio_and_of_the_codes(route_rule: Rule) -> None:
    default = RetryPolicy()
    assert route_rule("retry: {}").retries == default
    route = route_rule(
        "retry: {codes: [500, 503], attempts: 3, backoff: 100ms}\ntimeouts: {backendRequest: 1s}"
    )
    assert route.retries == RetryPolicy(
        3, 1.0, default.on | {"retriable-status-codes"}, frozenset((500, 503)), back_off_s=0.1
    )


@pytest.mark.parametrize(
    ("retry", "message"),
    [
        ("{attempts: 0}", "retry.attempts: must be in the range 1..2147483647 (it is 0)"),
        ("{codes: [200]}", "retry.codes[0]: must be in the range 400..599 (it is 200)"),
    ],
)
def test_a_retry_that_cannot_be_is_refused(rule_refusals: Messages, retry: str, message: str) -> None:
    assert rule_refusals(f"retry: {retry}") == [message]


def test_session_persistence_is_ignored_aloud(warnings: Messages) -> None:
    [warning] = warnings("sessionPersistence: {type: Cookie}")
    assert warning.startswith("sessionPersistence: ignored: sessions are not kept to a backend; ")


@pytest.mark.parametrize(
    ("backend", "message"),
    [
        ("{name: v1}", "backendRefs[0]: Must have port for Service reference"),
        ("{name: v1, port: 0}", "backendRefs[0].port: must be in the range 1..65535 (it is 0)"),
        (
            "{name: v1, port: 80, weight: -1}",
            "backendRefs[0].weight: must be in the range 0..1000000 (it is -1)",
        ),
        (
            "{name: v1, port: 80, weight: 1000001}",
            "backendRefs[0].weight: must be in the range 0..1000000 (it is 1000001)",
        ),
        (
            "{name: v1, port: 80, kind: Bucket}",
            "backendRefs[0]: InvalidKind: only a Service can be a backend here, not a Bucket",
        ),
        ("{nam: v1, port: 80}", 'backendRefs[0].nam: unknown field "nam"; did you mean "name"?'),
        (
            "{name: v1, port: 80, filters: [{type: CORS, cors: {}}]}",
            "backendRefs[0].filters: CORS: one backend alone cannot have such a filter here; give it to the rule",
        ),
        (
            (
                "{name: v1, port: 80, filters: [{type: URLRewrite, urlRewrite:"
                " {path: {type: ReplaceFullPath, replaceFullPath: /a}}}]}"
            ),
            "backendRefs[0].filters: one backend alone cannot rewrite the path here; give it to the rule",
        ),
    ],
)
def test_a_backend_that_cannot_be_is_refused(rule_refusals: Messages, backend: str, message: str) -> None:
    assert message in rule_refusals("", f"  backendRefs: [{backend}]\n")


def test_too_many_backends_are_refused(rule_refusals: Messages) -> None:
    items = ", ".join(["{name: a, port: 1}"] * 17)
    assert rule_refusals("", f"  backendRefs: [{items}]\n") == [
        "backendRefs: Too many: 17: must have at most 16 items"
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("rules: []", "spec.rules: needs at least 1 item"),
        (f"rules: [{', '.join(['{}'] * 17)}]", "spec.rules: Too many: 17: must have at most 16 items"),
        ("rules: [{name: a}, {name: a}]", "spec.rules: Rule name must be unique within the route"),
        ("rules: [{name: A_b}]", 'spec.rules[0].name: "A_b" is not a name, such as checkout (lower case)'),
        ("rule: []", 'spec.rule: unknown field "rule"; did you mean "rules"?'),
        ("rules: [{match: []}]", 'spec.rules[0].match: unknown field "match"; did you mean "matches"?'),
        (f"hosts: [a], {RULES}", 'spec.hosts: unknown field "hosts"; did you mean "hostnames"?'),
        (
            f"hostnames: [10.0.0.1.], {RULES}",
            'spec.hostnames[0]: "10.0.0.1." is not a hostname, such as shop.example.com or *.example.com',
        ),
        (
            f"hostnames: [Shop.example], {RULES}",
            'spec.hostnames[0]: "Shop.example" is not a hostname, such as shop.example.com or *.example.com',
        ),
        (
            f"hostnames: [a.*.example], {RULES}",
            'spec.hostnames[0]: "a.*.example" is not a hostname, such as shop.example.com or *.example.com',
        ),
        (f"hostnames: [{'a' * 254}], {RULES}", "spec.hostnames[0]: Too long: may not be more than 253 bytes"),
        (
            f"hostnames: [{', '.join(['a'] * 17)}], {RULES}",
            "spec.hostnames: Too many: 17: must have at most 16 items",
        ),
        (f"parentRefs: [{{}}], {RULES}", "spec.parentRefs[0].name: Required value"),
        (
            f"parentRefs: [{{name: a, port: 0}}], {RULES}",
            "spec.parentRefs[0].port: must be in the range 1..65535 (it is 0)",
        ),
    ],
)
def test_a_route_that_the_api_server_refuses_is_refused(refusals: Messages, text: str, message: str) -> None:
    assert refusals(spec(text)) == [message]


def test_too_many_matches_in_all_are_refused(refusals: Messages) -> None:
    rule = f"{{matches: [{', '.join(['{}'] * 64)}]}}"
    assert refusals(spec(f"rules: [{rule}, {rule}, {{}}]")) == [
        (
            "spec.rules: While 16 rules and 64 matches per rule are allowed,"
            " the total number of matches across all rules in a route must be less than 128"
        )
    ]


def test_a_redirect_needs_no_backend(route_rule: Rule) -> None:
    route = route_rule("filters: [{type: RequestRedirect, requestRedirect: {scheme: https}}]", "")
    assert route.redirect == Redirect(302, scheme="https", port="from_protocol")
    assert route.direct_response is None
