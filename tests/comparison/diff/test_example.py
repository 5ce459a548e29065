from __future__ import annotations

import json
from dataclasses import asdict

import pytest

from mirror_proxy.comparison.diff.difference import Difference
from mirror_proxy.comparison.diff.example import Example, Side, from_document

EXAMPLE = Example(
    1.5,
    "r",
    "m",
    "v1",
    "id",
    "GET",
    "/\udcff",
    (("host", "shop"),),
    Side(200, 1.0, (("x-a", "1"), ("x-a", "2")), "{}"),
    Side(500, 2.0, (), "", "no text"),
    (Difference("status", "value", "200", "500"), Difference("$.a", "missing", "1")),
    7,
    "body",
    "note",
)


def test_an_example_comes_back_from_json_as_it_was() -> None:
    assert from_document(json.loads(json.dumps(asdict(EXAMPLE)))) == EXAMPLE


def test_an_example_of_a_store_from_before_requests_bodies_were_kept_has_none() -> None:
    document = {key: value for key, value in asdict(EXAMPLE).items() if key not in {"body", "note"}}
    assert (from_document(document).body, from_document(document).number) == ("", 7)


@pytest.mark.parametrize(
    "document", [{}, {"primary": 1}, asdict(EXAMPLE) | {"more": 1}, asdict(EXAMPLE) | {"differences": [{}]}]
)
def test_what_is_no_example_is_an_error(document: dict[str, object]) -> None:
    with pytest.raises((ValueError, TypeError, KeyError)):
        from_document(document)
