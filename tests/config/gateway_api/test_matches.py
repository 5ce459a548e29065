"""Matches of an HTTPRoute: what they become in the model, and what the API server would refuse."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from mirror_proxy.config.model import FieldMatch, Match, StringMatch
from mirror_proxy.config.rules import RouteRule

Rule = Callable[..., RouteRule]
Messages = Callable[..., list[str]]


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("{type: Exact, value: /a/}", StringMatch("exact", "/a/")),
        ("{type: PathPrefix, value: /a}", StringMatch("segments", "/a")),
        ("{value: /a/}", StringMatch("segments", "/a")),
        ("{type: PathPrefix, value: /}", StringMatch("prefix", "/")),
        ("{type: PathPrefix}", StringMatch("prefix", "/")),
        ("{}", StringMatch("prefix", "/")),
        ("{type: RegularExpression, value: '/a/[0-9]+'}", StringMatch("regex", "/a/[0-9]+")),
    ],
)
def test_a_path_is_exact_a_prefix_of_segments_or_a_pattern(
    route_rule: Rule, path: str, expected: StringMatch
) -> None:
    assert route_rule(f"matches: [{{path: {path}}}]").matches == (Match(path=expected),)


@pytest.mark.parametrize("matches", ["", "matches: []", "matches: [{}]"])
def test_without_matches_a_rule_takes_every_request(route_rule: Rule, matches: str) -> None:
    [match] = route_rule(matches).matches
    assert match.is_catch_all


def test_all_conditions_of_a_match_are_read(route_rule: Rule) -> None:
    route = route_rule("""
        matches:
        - path: {type: Exact, value: /a}
          method: POST
          headers: [{name: X-User, value: me}, {name: agent, type: RegularExpression, value: 'curl/.*'}]
          queryParams: [{name: Q, value: "1"}, {name: r, type: RegularExpression, value: "[0-9]"}]
        """)
    assert route.matches == (
        Match(
            path=StringMatch("exact", "/a"),
            method=StringMatch("exact", "POST"),
            headers=(
                FieldMatch("x-user", StringMatch("exact", "me")),
                FieldMatch("agent", StringMatch("regex", "curl/.*")),
            ),
            query=(
                FieldMatch("Q", StringMatch("exact", "1")),
                FieldMatch("r", StringMatch("regex", "[0-9]")),
            ),
        ),
    )


def test_several_matches_are_alternatives(route_rule: Rule) -> None:
    route = route_rule("matches: [{path: {value: /a}}, {path: {value: /b}}]")
    assert [match.path and match.path.value for match in route.matches] == ["/a", "/b"]


def test_of_headers_with_one_name_the_first_counts(route_rule: Rule, warnings: Messages) -> None:
    fields = "matches: [{headers: [{name: Foo, value: a}, {name: foo, value: b}]}]"
    [match] = route_rule(fields).matches
    assert match.headers == (FieldMatch("foo", StringMatch("exact", "a")),)
    assert warnings(fields) == ['matches[0].headers[1]: ignored: an earlier entry has the name "foo"']


def test_parameters_differ_by_case(route_rule: Rule) -> None:
    [match] = route_rule("matches: [{queryParams: [{name: Q, value: a}, {name: q, value: b}]}]").matches
    assert [field.name for field in match.query] == ["Q", "q"]


PLAIN = "type one of ['Exact', 'PathPrefix']"
WHERE = "matches[0].path: "


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("{value: a}", f"value must be an absolute path and start with '/' when {PLAIN}"),
        ("{value: ''}", f"value must be an absolute path and start with '/' when {PLAIN}"),
        ("{type: Exact, value: //a}", f"must not contain '//' when {PLAIN}"),
        ("{value: /a/./b}", f"must not contain '/./' when {PLAIN}"),
        ("{value: /a/../b}", f"must not contain '/../' when {PLAIN}"),
        ("{value: /a%2fb}", f"must not contain '%2f' when {PLAIN}"),
        ("{value: /a%2Fb}", f"must not contain '%2F' when {PLAIN}"),
        ("{value: '/a#b'}", f"must not contain '#' when {PLAIN}"),
        ("{value: /a/..}", f"must not end with '/..' when {PLAIN}"),
        ("{value: /a/.}", f"must not end with '/.' when {PLAIN}"),
        (
            "{value: '/a b'}",
            (
                "must only contain valid characters (matching"
                " ^(?:[-A-Za-z0-9/._~!$&'()*+,;=:@]|[%][0-9a-fA-F]{2})+$) for types ['Exact', 'PathPrefix']"
            ),
        ),
    ],
)
def test_a_path_that_the_api_server_refuses_is_refused(
    rule_refusals: Messages, path: str, message: str
) -> None:
    assert rule_refusals(f"matches: [{{path: {path}}}]") == [WHERE + message]


@pytest.mark.parametrize(
    ("match", "message"),
    [
        ("path: {type: Prefix}", 'path.type: "Prefix" is not one of Exact, PathPrefix, RegularExpression'),
        ("path: {valu: /}", 'path.valu: unknown field "valu"; did you mean "value"?'),
        ("method: FETCH", 'method: "FETCH" is not one of GET, HEAD, POST'),
        ("headers: [{name: ':path', value: a}]", 'headers[0].name: ":path" is not the name of a header'),
        ("headers: [{name: a}]", "headers[0].value: Required value"),
        ("headers: [{value: a}]", "headers[0].name: Required value"),
        ("headers: [{name: a, value: ''}]", "headers[0].value: should be at least 1 chars long"),
        ("queryParams: [{name: a, value: ''}]", "queryParams[0].value: should be at least 1 chars long"),
        ("header: []", 'header: unknown field "header"; did you mean "headers"?'),
        ("headers: [{name: a, value: 1}]", 'headers[0].value: must be of type string: "integer"'),
    ],
)
def test_a_match_that_the_api_server_refuses_is_refused(
    rule_refusals: Messages, match: str, message: str
) -> None:
    [problem] = rule_refusals(f"matches: [{{{match}}}]")
    assert problem.startswith(f"matches[0].{message}")


@pytest.mark.parametrize(
    ("match", "place"),
    [
        ("path: {type: RegularExpression, value: '/(a'}", "path"),
        ("headers: [{name: a, type: RegularExpression, value: '(a'}]", "headers[0]"),
        ("queryParams: [{name: a, type: RegularExpression, value: '(a'}]", "queryParams[0]"),
    ],
)
def test_a_pattern_that_re2_refuses_is_refused(rule_refusals: Messages, match: str, place: str) -> None:
    [problem] = rule_refusals(f"matches: [{{{match}}}]")
    assert problem.startswith(f"matches[0].{place}: ")
    assert "is not a regular expression of RE2: missing" in problem


@pytest.mark.parametrize(
    ("field", "most"),
    [("path: {{value: /{0}}}", 1024), ("headers: [{{name: a, value: {0}}}]", 4096)],
)
def test_a_value_that_is_too_long_is_refused(rule_refusals: Messages, field: str, most: int) -> None:
    [problem] = rule_refusals(f"matches: [{{{field.format('a' * (most + 1))}}}]")
    assert problem.endswith(f"Too long: may not be more than {most} bytes")


@pytest.mark.parametrize(("field", "place"), [("headers", "headers"), ("queryParams", "queryParams")])
def test_too_many_conditions_are_refused(rule_refusals: Messages, field: str, place: str) -> None:
    items = ", ".join(f"{{name: a{index}, value: b}}" for index in range(17))
    assert rule_refusals(f"matches: [{{{field}: [{items}]}}]") == [
        f"matches[0].{place}: Too many: 17: must have at most 16 items"
    ]


def test_too_many_matches_are_refused(rule_refusals: Messages) -> None:
    assert rule_refusals(f"matches: [{', '.join(['{}'] * 65)}]") == [
        "matches: Too many: 65: must have at most 64 items"
    ]
