from __future__ import annotations

import pytest

from mirror_proxy.comparison.endpoint.path import MAX_CHARACTERS, MAX_SEGMENTS, shapes


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("/", "/"),
        ("/shop/17?color=red", "/shop/{}"),
        ("/shop/17.json#top", "/shop/{}.json"),
        ("/shop/", "/shop/"),
        ("http://shop.example/shop/17", "/shop/{}"),
        ("http://shop.example", "/"),
        ("//a/b", "//a/b"),
        ("*", "*"),
        ("", ""),
    ],
)
def test_a_path_has_no_query_and_placeholders_for_what_varies(target: str, expected: str) -> None:
    assert "/".join(shapes(target)) == expected


def test_segments_and_characters_of_a_path_beyond_the_bound_are_one_rest() -> None:
    assert "/".join(shapes("/a" * MAX_SEGMENTS)) == "/a" * MAX_SEGMENTS
    assert "/".join(shapes("/a" * 10_000)) == "/a" * MAX_SEGMENTS + "/{*}"
    long = "x" * 40
    assert "/".join(shapes(f"/{long}" * 6)) == f"/{long}/{long}/{long}/{{*}}"


def test_a_hostile_target_has_a_short_path() -> None:
    assert len("/".join(shapes("x" * 1_000_000))) <= MAX_CHARACTERS
