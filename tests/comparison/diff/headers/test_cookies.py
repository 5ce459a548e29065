"""Cookies: compared by their names and attributes, never by their values, which are secrets."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mirror_proxy.comparison.diff.difference import Difference
from tests.comparison.diff.pairs import answer, compared


def cookies(primary: list[str], shadow: list[str]) -> tuple[Difference, ...]:
    ours, theirs = (
        answer(fields="".join(f"Set-Cookie: {cookie}\r\n" for cookie in side).encode("latin-1"))
        for side in (primary, shadow)
    )
    return compared(ours, theirs).differences


@pytest.mark.parametrize(
    ("primary", "shadow"),
    [
        (["a=1; Path=/"], ["a=2; path=/"]),
        (["a=1", "b=2"], ["b=3", "a=4"]),
        (["a=1; Path=/; HttpOnly"], ["a=1;HttpOnly;Path=/"]),
        (["a=1; SameSite=Lax; Domain=Shop.org"], ["a=1; samesite=lax; domain=shop.org"]),
        (["a=1; Secure; "], ["a=1; Secure"]),
    ],
)
def test_values_order_and_case_of_cookies_make_no_difference(primary: list[str], shadow: list[str]) -> None:
    assert cookies(primary, shadow) == ()


@pytest.mark.parametrize(
    ("primary", "shadow", "found"),
    [
        (["a=1"], [], Difference("header set-cookie a", "missing", "(redacted)", "")),
        ([], ["a=1"], Difference("header set-cookie a", "extra", "", "(redacted)")),
        (["a=1"], ["a="], Difference("header set-cookie a", "value", "(redacted)", "")),
        (["a=1; HttpOnly"], ["a=1"], Difference("header set-cookie a; HttpOnly", "missing", "", "")),
        (["a=1"], ["a=1; SECURE"], Difference("header set-cookie a; Secure", "extra", "", "")),
        (["a=1; Path=/a"], ["a=1; Path=/b"], Difference("header set-cookie a; Path", "value", "/a", "/b")),
        (
            ["a=1; Expires=Tue, 28 Nov 2023 22:13:20 GMT"],
            ["a=1; Expires=Tue, 28 Nov 2023 22:13:21 GMT"],
            Difference(
                "header set-cookie a; Expires",
                "time",
                "Tue, 28 Nov 2023 22:13:20 GMT",
                "Tue, 28 Nov 2023 22:13:21 GMT",
            ),
        ),
    ],
)
def test_a_cookie_or_an_attribute_is_a_place_of_its_own(
    primary: list[str], shadow: list[str], found: Difference
) -> None:
    assert cookies(primary, shadow) == (found,)


LINES = st.lists(st.text(alphabet='ab=;, "\té', max_size=20), max_size=4)


@given(primary=LINES, shadow=LINES)
def test_no_value_of_a_cookie_is_shown_whatever_the_lines_hold(primary: list[str], shadow: list[str]) -> None:
    marked = [f"n=SECRET{line}" for line in primary], [f"n=SECRET2{line}" for line in shadow]
    assert "SECRET" not in repr(cookies(*marked))
