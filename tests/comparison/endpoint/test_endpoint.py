from __future__ import annotations

import pytest

from mirror_proxy.comparison.endpoint.endpoint import MAX_CHARACTERS, MAX_SEGMENTS, name


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("/", "GET /"),
        ("/shop/17?color=red", "GET /shop/{}"),
        ("/shop/17.json#top", "GET /shop/{}.json"),
        ("/shop/", "GET /shop/"),
        ("http://shop.example/shop/17", "GET /shop/{}"),
        ("http://shop.example", "GET /"),
        ("//a/b", "GET //a/b"),
        ("*", "GET *"),
        ("", "GET "),
    ],
)
def test_an_endpoint_is_the_method_and_the_path_without_what_varies(target: str, expected: str) -> None:
    assert name("GET", target) == expected


def test_a_head_is_an_endpoint_of_its_own() -> None:
    assert name("HEAD", "/shop/1") == "HEAD /shop/{}"


def test_a_path_is_followed_for_so_many_segments_and_characters() -> None:
    assert name("GET", "/a" * MAX_SEGMENTS) == "GET " + "/a" * MAX_SEGMENTS
    assert name("GET", "/a" * 10_000) == "GET " + "/a" * MAX_SEGMENTS + "/{*}"
    long = "x" * 40
    assert name("GET", f"/{long}" * 6) == f"GET /{long}/{long}/{long}/{{*}}"


def test_a_hostile_request_has_a_short_endpoint() -> None:
    assert len(name("M" * 1_000, "x" * 1_000_000)) <= MAX_CHARACTERS + 30
