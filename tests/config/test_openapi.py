from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from mirror_proxy.config import openapi
from mirror_proxy.config.openapi import MAX_TEMPLATES, templates


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "api.yaml"


def read(file: Path, text: str) -> list[str]:
    file.write_text(text)
    return [f"{one.method} {one.path}" for one in templates(str(file))]


def test_each_operation_of_version_3_is_an_endpoint_below_each_server(file: Path) -> None:
    text = """
openapi: 3.0.3
info: {title: shop}
servers:
  - {url: "https://{host}.example:8443/{base}/", variables: {host: {default: a}, base: {default: v1}}}
  - {url: /beta}
paths:
  /shop/{sku}:
    parameters: []
    get: {}
    delete: {}
    x-note: {}
  /health:
    servers: [{url: http://shop.example}]
    get: {}
"""
    assert read(file, text) == [
        "GET /v1/shop/{sku}",
        "GET /beta/shop/{sku}",
        "DELETE /v1/shop/{sku}",
        "DELETE /beta/shop/{sku}",
        "GET /health",
    ]


def test_version_2_has_a_base_path(file: Path) -> None:
    document = {"swagger": "2.0", "basePath": "/v1/", "paths": {"/a/{b}.json": {"post": {}}}}
    assert read(file, json.dumps(document, indent=4)) == ["POST /v1/a/{b}.json"]


def test_a_segment_of_many_parameters_is_one(file: Path) -> None:
    assert read(file, "{openapi: 3.1.0, paths: {'/a/{b}-{c}-{d}/{e}': {get: {}}}}") == ["GET /a/{}/{e}"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "{file} is empty"),
        ("[1]", "{file} is no OpenAPI document; its first keys are openapi (or swagger), info and paths"),
        ("a: b", "{file} is no OpenAPI document; its first keys are openapi (or swagger), info and paths"),
        ("openapi: 3.0.0", "{file} has no paths; an OpenAPI document lists its endpoints there"),
        ("a:\n  - b\n c", "{file}:3: "),
    ],
)
def test_a_file_of_no_use_is_refused_by_name(file: Path, text: str, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message.format(file=file))):
        read(file, text)


@pytest.mark.parametrize(
    "text",
    [
        "{openapi: 3, paths: {/a: 1, /b: {get: 1}, /c: {get: {}}}}",
        "{openapi: 3, servers: 1, paths: {/c: {get: {}}}}",
        "{openapi: 3, servers: [1, {url: 'http://['}, {url: {}}], paths: {/c: {get: {}}}}",
        "{openapi: 3, servers: [{url: '/{v}', variables: {v: 1}}, {url: ''}], paths: {/c: {get: {servers: [{}]}}}}",
    ],
)
def test_what_is_not_as_it_should_be_is_left_out(file: Path, text: str) -> None:
    assert read(file, text) == ["GET /c"]


def test_operations_beyond_the_bound_are_not_read(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openapi, "MAX_TEMPLATES", 1)
    with pytest.raises(ValueError, match="more than 1 operations; give those that matter as templates"):
        read(file, "{openapi: 3, paths: {/a: {get: {}, put: {}}}}")
    assert MAX_TEMPLATES > 1
