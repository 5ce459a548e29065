from __future__ import annotations

import pytest

from mirror_proxy.comparison.endpoint.template import is_match


@pytest.mark.parametrize(
    ("template", "path"),
    [
        ("/shop/{sku}", "/shop/a-b.c"),
        ("/shop/{}.json", "/shop/17.json"),
        ("/shop/{sku}/photos/{number}", "/shop/a/photos/1"),
        ("/a/{from}-{to}", "/a/1-2-3"),
        ("/api/*", "/api/"),
        ("/api/*", "/api/a/b"),
        ("/a.b", "/a.b"),
    ],
)
def test_a_path_of_a_template_matches(template: str, path: str) -> None:
    assert is_match(template, path)


@pytest.mark.parametrize(
    ("template", "path"),
    [
        ("/shop/{sku}", "/shop/"),
        ("/shop/{sku}", "/shop/a/b"),
        ("/shop/{}.json", "/shop/.json"),
        ("/api/*", "/api"),
        ("/a.b", "/axb"),
        ("/shop", "/shop/"),
    ],
)
def test_another_path_does_not(template: str, path: str) -> None:
    assert not is_match(template, path)


def test_a_hostile_path_of_many_separators_matches_nothing() -> None:
    template = "/".join(["", *["{a}-{b}"] * 30, "x"])
    assert not is_match(template, "/".join(["", *["-" * 100] * 30, "y"]))
    assert not is_match("/{a}", "/" + "a" * 1_000_000)
