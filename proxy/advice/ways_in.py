"""Ways in: Services that lead clients to a mirror's workloads, past the proxy."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from proxy.config.document import Document
from proxy.config.model import Config
from proxy.config.node import plain

WORKLOADS = ("Deployment", "StatefulSet", "Pod")


def ways_in(documents: Sequence[Document], config: Config) -> Iterator[tuple[str, str, str]]:
    """Yield each Service that selects a primary's workload and a mirror's, with the two workloads.

    A workload is a cluster's when an endpoint bears its name. In a mesh the VirtualService stands before such
    a Service; without one its virtual address spreads clients over both versions.
    """
    names = {
        cluster.name: {_label(one.address.host) for one in cluster.endpoints} for cluster in config.clusters
    }
    routes = [route for host in config.virtual_hosts for route in host.routes if route.mirrors]
    primaries = set[str]().union(*(names[one.cluster] for route in routes for one in route.destinations))
    mirrors = set[str]().union(*(names[one.cluster] for route in routes for one in route.mirrors)) - primaries
    workloads = [document for document in documents if document.kind in WORKLOADS]
    for service in (document for document in documents if document.kind == "Service"):
        chosen = [document.name for document in workloads if _selects(service, document)]
        primary = next((name for name in chosen if name in primaries), None)
        mirror = next((name for name in chosen if name in mirrors), None)
        if primary and mirror:
            yield service.subject, primary, mirror


def _selects(service: Document, workload: Document) -> bool:
    """Tell whether a Service sends to a workload's pods."""
    selector: Mapping[str, Any] = (_spec(service).get("selector")) or {}
    labels = _labels(workload)
    is_near = service.namespace == workload.namespace
    return is_near and bool(selector) and all(labels.get(key) == value for key, value in selector.items())


def _labels(workload: Document) -> Mapping[str, Any]:
    root = plain(workload.root)
    holder = root if workload.kind == "Pod" else (_spec(workload).get("template") or {})
    return (holder.get("metadata") or {}).get("labels") or {}


def _spec(document: Document) -> Mapping[str, Any]:
    return plain(document.root).get("spec") or {}


def _label(host: str) -> str:
    return host.partition(".")[0]
