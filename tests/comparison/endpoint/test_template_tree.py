from __future__ import annotations

import pytest

from mirror_proxy.comparison.endpoint.template_tree import TemplateTree
from mirror_proxy.config.model import EndpointTemplate

TREE = TemplateTree(
    EndpointTemplate(method, path)
    for method, path in (
        ("GET", "/shop/{sku}"),
        ("GET", "/shop/search"),
        ("GET", "/shop/{sku}.json"),
        ("GET", "/shop/{sku}/photos/{number}"),
        ("GET", "/shop/search/recent"),
        ("", "/cart/*"),
        ("POST", "/cart/{item}"),
        ("GET", "/"),
    )
)


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("GET", "/shop/red", "/shop/{sku}"),
        ("GET", "/shop/search", "/shop/search"),
        ("GET", "/shop/red.json", "/shop/{sku}.json"),
        ("GET", "/shop/search/photos/1", "/shop/{sku}/photos/{number}"),
        ("POST", "/shop/red", None),
        ("GET", "/shop/red/photos", None),
        ("PUT", "/cart/a/b", "/cart/*"),
        ("GET", "/cart/a", "/cart/*"),
        ("POST", "/cart/a", "/cart/{item}"),
        ("GET", "/", "/"),
        ("GET", "", None),
        ("GET", "*", None),
        ("GET", "/{sku}", None),
    ],
)
def test_the_most_specific_template_is_found(method: str, path: str, expected: str | None) -> None:
    assert TREE.find(method, path) == expected


def test_without_templates_nothing_is_found() -> None:
    assert TemplateTree(()).find("GET", "/") is None


def test_a_hostile_path_visits_each_node_at_most_once() -> None:
    paths = ["/a/" * depth + "{b}" for depth in range(12)] + ["/" + "/".join(["{x}"] * 12)]
    tree = TemplateTree(EndpointTemplate("GET", path) for path in paths)
    assert tree.find("GET", "/a" * 100_000) is None
    assert tree.find("GET", "/a" * 12) == "/" + "/".join(["{x}"] * 12)
