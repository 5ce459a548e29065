"""The JSON Schema of the MirrorProxy document that ships for editors: made from the loader's own table."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from mirror_proxy.config import document, settings
from mirror_proxy.config.node import plain
from mirror_proxy.config.problems import Problems

ROOT = Path(__file__).parents[2]
SCHEMA = ROOT / "proxy/mirror_proxy/config/mirrorproxy.schema.json"
EXAMPLES = (ROOT / "config/mirror-proxy.yaml", ROOT / "config/shop/mirror-proxy.yaml")


def test_the_json_schema_that_ships_is_that_of_the_table() -> None:
    shipped = json.loads(SCHEMA.read_text())
    remake = "remake it: python -m mirror_proxy.config.settings > proxy/mirror_proxy/config/mirrorproxy.schema.json"
    assert shipped == settings.json_schema(), remake


def mirror_proxies() -> Iterator[Any]:
    for path in EXAMPLES:
        yield from (plain(found.root) for found in document.read([str(path)], Problems()))


def test_the_json_schema_accepts_the_examples() -> None:
    schema = json.loads(SCHEMA.read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    found = list(mirror_proxies())
    assert len(found) == 2
    for example in found:
        jsonschema.validate(example, schema, jsonschema.Draft202012Validator)


@pytest.mark.parametrize(
    "spec",
    [
        {"worker": 1},
        {"workers": 0},
        {"limits": {"maxHeader": 1}},
        {"listeners": [{"address": "8080"}]},
        {"listeners": []},
        {"drain": {"grace": 5}},
        {"drain": {"grace": "5"}},
        {"mirroring": {"overrides": {"a": {"x": 1}}}},
        {"mirroring": {"methods": "unsafe"}},
        {"mirroring": {"maxLagBytes": "1KB"}},
        {"tracing": {"sample": "child"}},
        {"compare": {"percent": 101}},
    ],
)
def test_the_json_schema_refuses_what_the_loader_refuses(spec: dict[str, Any]) -> None:
    example = {
        "apiVersion": "mirror-proxy.dev/v1",
        "kind": "MirrorProxy",
        "metadata": {"name": "a"},
        "spec": spec,
    }
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(example, json.loads(SCHEMA.read_text()), jsonschema.Draft202012Validator)
