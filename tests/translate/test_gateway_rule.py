"""Rules in Gateway API's terms: what it takes for an origin and for a path."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from mirror_proxy.config.loader import Loaded
from mirror_proxy.config.options import Options
from mirror_proxy.translate import gateway_api
from mirror_proxy.translate.translation import Translation

Load = Callable[..., Loaded]
STRICT = Options(host_match="strict")
HEAD = """\
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: shop}
spec:
  hosts: [shop.example.com]
  http:
"""
TO_V1 = "route: [{destination: {host: v1, port: {number: 80}}}]"


@pytest.fixture
def translated(load: Load) -> Callable[[str], Translation]:
    """Translate a VirtualService whose one route has the given fields."""
    return lambda fields: gateway_api.documents(load(f"{HEAD}  - {{name: a, {fields}}}\n"), STRICT)


def cors(origins: str) -> str:
    return f"corsPolicy: {{unmatchedPreflights: IGNORE, allowOrigins: {origins}}}, {TO_V1}"


@pytest.mark.parametrize(
    ("origins", "written"),
    [
        ("[{exact: 'https://a'}, {regex: 'https://[ab]'}]", [["https://a"]]),
        ("[{exact: 'https://a'}, {regex: .*}]", [["*"]]),
        ("[{prefix: 'https://'}]", [["https://*"]]),
        ("[{regex: 'https://[ab]'}]", []),
    ],
)
def test_origins_are_written_as_gateway_api_takes_them_and_never_more(
    translated: Callable[[str], Translation], origins: str, written: list[list[str]]
) -> None:
    [rule] = translated(cors(origins)).documents[0]["spec"]["rules"]
    filters: list[dict[str, Any]] = rule.get("filters", [])
    assert [one["cors"]["allowOrigins"] for one in filters] == written


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        (cors("[{prefix: 'https://a.'}]"), 'corsPolicy: an origin that begins with "https://a."'),
        (cors("[{exact: 'null'}]"), 'corsPolicy: an origin that is "null"'),
        (cors("[{exact: 'null'}]"), "corsPolicy: the filter is left out, as no origin is left"),
        (
            "redirect: {uri: b}",
            'the rule is left out: "b" in place of a path: HTTPRoute takes ASCII that begins with a slash',
        ),
    ],
)
def test_an_origin_or_a_path_that_gateway_api_does_not_take_is_told(
    translated: Callable[[str], Translation], fields: str, told: str
) -> None:
    assert f"a: {told}" in translated(fields).untranslated
