"""Fields of a request that a response lists, and hostile lists of them."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mirror_proxy.comparison.diff.pair import CapturedResponse
from tests.comparison.diff.pairs import JSON, VALUES, answer, compared, places, sent

SENT = b"GET /a HTTP/1.1\r\nhost: shop\r\nx-mirror-proxy-shadow: v2; 00\r\nx-only: here\r\n\r\n"


@pytest.mark.parametrize(
    "shadow",
    [
        {"a": 1, "X-Only": "here"},
        {"a": 1, "HTTP_X_ONLY": ["here"]},
        {"a": 1, "x-mirror-proxy-shadow": "cut by the service"},
    ],
)
def test_a_member_that_shows_what_the_shadow_alone_was_sent_is_taken_out(shadow: dict[str, object]) -> None:
    assert compared(sent({"a": 1}), sent(shadow), sent=SENT).differences == ()


def test_a_member_with_a_value_that_was_not_sent_stays() -> None:
    found = compared(sent({"a": 1}), sent({"a": 1, "x-only": "there"}), sent=SENT).differences
    assert places(found) == [("$.x-only", "extra")]


def test_a_member_that_both_sides_have_stays() -> None:
    both = {"x-only": "here", "a": 1}
    assert places(compared(sent(both), sent({**both, "a": 2}), sent=SENT).differences) == [("$.a", "value")]


def test_a_list_without_the_fields_that_were_sent_is_compared_as_it_is() -> None:
    found = compared(sent([["x-only", "here"], [1, 2]]), sent([[1, 2]]), sent=SENT).differences
    assert places(found) == [("$", "size")]


HEADS = st.lists(
    st.sampled_from(
        [
            "x-a: b",
            "X-A: c",
            "host: v2",
            "Host: shop-shadow:80",
            "x_b: 1",
            ":",
            "x-c",
            "x-forwarded-for: 1, 2",
        ]
    )
).map(lambda lines: "".join(f"{line}\r\n" for line in lines).encode())
STARTS = st.sampled_from(
    [b"", b"GET", b"GET /b/a HTTP/1.1\r\n", b"GET  HTTP/1.1\r\n", b"OPTIONS * HTTP/1.1\r\n"]
)
BODIES = VALUES.map(
    lambda value: json.dumps([value, "x-a: b", {"x_a": "b", "name": "x-a", "value": "b"}]).encode()
)


@given(
    body=BODIES | st.binary(max_size=50),
    fields=HEADS,
    start=STARTS,
    head=HEADS,
    target=st.text(st.characters(max_codepoint=255), max_size=5),
    kept=st.integers(0, 99),
)
def test_whatever_was_sent_an_answer_does_not_differ_from_itself(
    body: bytes, fields: bytes, start: bytes, head: bytes, target: str, kept: int
) -> None:
    cut = CapturedResponse(200, JSON + fields, body[:kept], len(body), 0.1)
    assert compared(cut, cut, fields=fields, sent=start + head, target=target).differences == ()


def test_a_list_nested_deep_is_walked() -> None:
    deep = b'{"a":' * 900 + b'"x-only"' + b"}" * 900
    assert compared(answer(deep, JSON), answer(deep + b" ", JSON), sent=SENT).differences == ()
