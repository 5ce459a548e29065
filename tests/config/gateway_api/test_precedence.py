"""Precedence: the most specific match is tried first, whatever rule and document it stands in."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from mirror_proxy.config.rules import HostRule

Rules = Callable[..., list[HostRule]]


def document(name: str, rules: str, hosts: str = "[a.example]", metadata: str = "") -> str:
    return (
        "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\n"
        f"metadata: {{name: {name}{metadata}}}\nspec:\n  hostnames: {hosts}\n  rules: {rules}\n---\n"
    )


def rule(name: str, *matches: str) -> str:
    return f"{{name: {name}, matches: [{', '.join(matches)}]}}"


def names(host_rule: HostRule) -> list[str]:
    return [route.name for route in host_rule.routes]


EXACT = "{path: {type: Exact, value: /a/b}}"
LONG = "{path: {value: /a/b/c}}"
SHORT = "{path: {value: /a}}"
PATTERN = "{path: {type: RegularExpression, value: '/a/.*'}}"
METHOD = "{path: {value: /a}, method: GET}"
HEADER = "{path: {value: /a}, headers: [{name: h, value: a}]}"
HEADERS = "{path: {value: /a}, headers: [{name: h, value: a}, {name: i, value: b}]}"
QUERY = "{path: {value: /a}, queryParams: [{name: q, value: a}]}"
EVERY = "{}"
EVERY_GET = "{method: GET}"


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (EXACT, LONG),
        (LONG, SHORT),
        (SHORT, PATTERN),
        (METHOD, HEADERS),
        (HEADERS, HEADER),
        (HEADER, QUERY),
        (QUERY, SHORT),
        (SHORT, EVERY),
        (PATTERN, EVERY),
        (EVERY_GET, EVERY),
        (EVERY_GET, PATTERN),
    ],
)
def test_the_more_particular_match_comes_first(host_rules: Rules, first: str, second: str) -> None:
    for order in ((("one", first), ("two", second)), (("two", second), ("one", first))):
        rules = ", ".join(rule(name, match) for name, match in order)
        [host_rule] = host_rules(document("shop", f"[{rules}]"))
        assert names(host_rule) == ["one", "two"]


def test_a_trailing_slash_makes_no_prefix_longer(host_rules: Rules) -> None:
    rules = f"[{rule('one', '{path: {value: /a}}')}, {rule('two', '{path: {value: /b/}}')}]"
    [host_rule] = host_rules(document("shop", rules))
    assert names(host_rule) == ["one", "two"]


def test_among_equals_the_first_in_the_document_comes_first(host_rules: Rules) -> None:
    [host_rule] = host_rules(document("shop", f"[{rule('one', SHORT)}, {rule('two', SHORT)}]"))
    assert names(host_rule) == ["one", "two"]


@pytest.mark.parametrize(
    ("one", "two"),
    [
        (
            ("z", ', creationTimestamp: "2026-01-01T00:00:00Z"'),
            ("a", ', creationTimestamp: "2026-01-02T00:00:00Z"'),
        ),
        (("z", ', creationTimestamp: "2026-01-01T00:00:00Z"'), ("a", "")),
        (("a", ""), ("z", "")),
        (("z", ", namespace: a"), ("a", ", namespace: b")),
    ],
)
def test_among_equal_documents_the_oldest_comes_first_then_the_first_by_name(
    host_rules: Rules, one: tuple[str, str], two: tuple[str, str]
) -> None:
    texts = [
        document(name, f"[{rule(label, SHORT)}]", metadata=more)
        for label, (name, more) in (("one", one), ("two", two))
    ]
    for text in ("".join(texts), "".join(reversed(texts))):
        [host_rule] = host_rules(text)
        assert names(host_rule) == ["one", "two"]
        assert (host_rule.name, host_rule.namespace) == (
            f"{one[0]}+{two[0]}",
            "a" if "namespace" in one[1] else "default",
        )


def test_a_rule_stays_whole_while_nothing_comes_between_its_matches(host_rules: Rules) -> None:
    [host_rule] = host_rules(document("shop", f"[{rule('one', SHORT, EXACT)}, {rule('two', EVERY)}]"))
    assert names(host_rule) == ["one", "two"]
    assert [match.path and match.path.kind for match in host_rule.routes[0].matches] == ["exact", "segments"]


def test_a_rule_whose_matches_are_tried_apart_is_parted(host_rules: Rules) -> None:
    [host_rule] = host_rules(document("shop", f"[{rule('one', SHORT, EXACT)}, {rule('two', LONG)}]"))
    assert names(host_rule) == ["one.1", "two", "one.0"]


def test_hosts_of_the_same_documents_stay_together(host_rules: Rules) -> None:
    text = document("shop", f"[{rule('one', SHORT)}]", "[a.example, b.example]")
    [host_rule] = host_rules(text)
    assert host_rule.hosts == ("a.example", "b.example")


def test_each_host_has_the_rules_of_all_documents_that_name_it(host_rules: Rules) -> None:
    text = document("p", f"[{rule('one', SHORT)}]", "[a.example, b.example]")
    text += document("q", f"[{rule('two', EXACT)}]", "[b.example, c.example]")
    assert [(host_rule.name, host_rule.hosts, names(host_rule)) for host_rule in host_rules(text)] == [
        ("p", ("a.example",), ["one"]),
        ("p+q", ("b.example",), ["two", "one"]),
        ("q", ("c.example",), ["two"]),
    ]
