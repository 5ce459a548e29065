"""Canonical: Istio's and Kubernetes' documents as `kubectl apply` takes them.

Keys become lowerCamelCase, the version Istio's `v1`; what a server adds to an object, and null, goes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mirror_proxy.config.document import Document
from mirror_proxy.config.istio import destination_rule, service_entry, virtual_service
from mirror_proxy.config.node import Node, plain
from mirror_proxy.config.schema import ListOf, MapOf, Record, Type, camel

TABLES: Mapping[str, Type] = {
    "VirtualService": virtual_service.DOCUMENT,
    "DestinationRule": destination_rule.DOCUMENT,
    "ServiceEntry": service_entry.DOCUMENT,
}
VERSION = "networking.istio.io/v1"
OF_THE_SERVER = ("creationTimestamp", "generation", "managedFields", "resourceVersion", "selfLink", "uid")


def canonical(document: Document) -> dict[str, Any]:
    """Return a document that loads as the given one does."""
    table = TABLES.get(document.kind)
    written: dict[str, Any] = _renamed(table, document.root) if table else plain(document.root)
    if table:
        written["apiVersion"] = VERSION
    written.pop("status", None)
    for key in OF_THE_SERVER:
        written["metadata"].pop(key, None)
    return written


def _renamed(table: Type | None, node: Node) -> Any:
    """Return a node's value with each key as its table has it."""
    if isinstance(table, Record) and isinstance(node.value, dict):
        return _record(table, node.value)
    if isinstance(table, ListOf) and isinstance(node.value, list):
        return [_renamed(table.item, item) for item in node.value]
    if isinstance(table, MapOf) and isinstance(node.value, dict):
        return {key: _renamed(table.value, child) for key, child in node.value.items()}
    return plain(node)


def _record(table: Record, written: Mapping[str, Node]) -> dict[str, Any]:
    renamed: dict[str, Any] = {}
    for name, child in written.items():
        known = table.by_name.get(name) or table.by_name.get(camel(name))
        if child.value is not None and known and (name == known.key or known.key not in renamed):
            renamed[known.key] = _renamed(known.kind, child)
    return renamed
