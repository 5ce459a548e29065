from __future__ import annotations

import pytest

from mirror_proxy.comparison.endpoint.repeat_safety import RepeatSafety
from mirror_proxy.config.model import RepeatSafe

SAFETY = RepeatSafety(
    (
        RepeatSafe("POST", "/search/{index}"),
        RepeatSafe("POST", "/graphql", ("query",)),
        RepeatSafe("POST", "/", ("Get*", "Describe*")),
    )
)
JSON = b"\r\nhost: a\r\ncontent-type: application/json"


@pytest.mark.parametrize(
    ("method", "target", "fields", "expected"),
    [
        ("POST", "/search/shop?q=1", b"", True),
        ("PUT", "/search/shop", b"", False),
        ("POST", "/search", b"", False),
        ("POST", "/graphql", JSON, None),
        ("POST", "/", b"\r\nX-Amz-Target: DynamoDB_20120810.GetItem", True),
        ("POST", "/", b"\r\nX-Amz-Target: DynamoDB_20120810.PutItem", False),
        ("POST", "/?Action=DescribeTable", b"", True),
        ("POST", "/", b"\r\nhost: a", None),
    ],
)
def test_the_head_decides_where_it_has_all_that_the_rules_ask_for(
    method: str, target: str, fields: bytes, expected: bool | None
) -> None:
    assert SAFETY.of_head(method, target, fields) is expected


@pytest.mark.parametrize(
    ("target", "body", "expected"),
    [
        ("/graphql", b'{"query": "{ shop }"}', True),
        ("/graphql", b'{"query": "mutation { buy }"}', False),
        ("/graphql", b'{"query": "query A { a } mutation B { b }", "operationName": "B"}', False),
        ("/graphql", b'[{"query": "{ a }"}, {"query": "mutation { b }"}]', False),
        ("/graphql", b'[{"query": "{ a }"}, {"query": "{ b }"}]', True),
        ("/graphql", b'{"operationName": "Saved"}', False),
        ("/graphql", b"", False),
        ("/", b'{"jsonrpc": "2.0", "method": "GetUser"}', True),
        ("/", b'{"jsonrpc": "2.0", "method": "SetUser"}', False),
        ("/", b'[{"jsonrpc": "2.0", "method": "GetUser"}, {"jsonrpc": "2.0", "method": "SetUser"}]', False),
        ("/else", b'{"jsonrpc": "2.0", "method": "GetUser"}', False),
    ],
)
def test_the_body_decides_by_the_kind_or_name_of_its_operation(
    target: str, body: bytes, expected: bool
) -> None:
    assert SAFETY.of_body("POST", target, JSON, body) is expected


@pytest.mark.parametrize(
    ("method", "expected"),
    [
        ("GetUser", True),
        ("Get", True),
        ("Getaway", False),
        ("get", False),
        ("Get_user", True),
        ("Put", False),
    ],
)
def test_a_word_is_the_first_of_an_operation_s_name_on_any_path(method: str, expected: bool) -> None:
    safety = RepeatSafety((RepeatSafe("", "/*", ("Get", "List")),))
    body = b'{"jsonrpc": "2.0", "method": "%b"}' % method.encode()
    assert safety.of_head("POST", "/a/b", JSON) is None
    assert safety.of_body("POST", "/a/b", JSON, body) is expected


def test_without_rules_nothing_is_safe() -> None:
    assert RepeatSafety(()).of_head("POST", "/", b"") is False
