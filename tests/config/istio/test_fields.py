"""Fields: the tables of Istio's kinds as JSON Schema, and which spelling of a key counts as written."""

from __future__ import annotations

from typing import Any

import jsonschema
import pytest

from mirror_proxy.config.istio import destination_rule, service_entry
from mirror_proxy.config.istio.fields import is_written
from mirror_proxy.config.node import Place, to_node
from mirror_proxy.config.problems import Mark, Problems


def whole(kind: str, spec: dict[str, Any]) -> dict[str, Any]:
    head = {"apiVersion": "networking.istio.io/v1", "kind": kind, "metadata": {"name": "a"}}
    return {**head, "spec": spec}


RULE = {"host": "a", "trafficPolicy": {"loadBalancer": {"simple": "RANDOM", "warmup": {"duration": "5s"}}}}
ENTRY = {"hosts": ["a"], "ports": [{"number": 80, "name": "http"}], "resolution": "DNS"}


@pytest.mark.parametrize(
    ("table", "document"),
    [
        (destination_rule.DOCUMENT, whole("DestinationRule", RULE)),
        (service_entry.DOCUMENT, whole("ServiceEntry", ENTRY)),
    ],
)
def test_a_table_is_a_json_schema_that_takes_a_right_document(table: Any, document: dict[str, Any]) -> None:
    jsonschema.Draft202012Validator.check_schema(table.schema())
    jsonschema.validate(document, table.schema(), jsonschema.Draft202012Validator)


@pytest.mark.parametrize(
    ("table", "document"),
    [
        (destination_rule.DOCUMENT, whole("DestinationRule", {**RULE, "trafficPolicy": {"tunnel": {}}})),
        (destination_rule.DOCUMENT, whole("DestinationRule", {"hosts": ["a"]})),
        (service_entry.DOCUMENT, whole("ServiceEntry", {**ENTRY, "workloadSelector": {}})),
    ],
)
def test_the_schema_of_a_table_refuses_what_the_table_refuses(table: Any, document: dict[str, Any]) -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(document, table.schema(), jsonschema.Draft202012Validator)


@pytest.mark.parametrize(
    ("written", "expected"),
    [({"caCrl": "a"}, True), ({"ca_crl": "a"}, True), ({"caCrl": None}, False), ({"other": "a"}, False)],
)
def test_a_key_counts_as_written_in_either_spelling(written: dict[str, Any], *, expected: bool) -> None:
    assert is_written(Place(to_node(written, Mark("test")), Problems()), "caCrl") is expected
