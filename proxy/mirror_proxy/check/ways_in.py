"""Ways in: Services that lead clients to a mirror's workloads, past the proxy."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mirror_proxy.check import words
from mirror_proxy.config.document import Document
from mirror_proxy.config.istio.names import fqdn
from mirror_proxy.config.model import Cluster, Config, Route
from mirror_proxy.config.node import plain

WORKLOADS = ("Deployment", "StatefulSet", "Pod")


def ways_in(documents: Sequence[Document], config: Config) -> Iterator[tuple[str, str, str]]:
    """Yield each Service that leads to a primary and to its mirror, with the names of the two.

    In a mesh the VirtualService stands before such a Service; without one its virtual address spreads clients
    over both. A version that answers clients anyway is no secret.
    """
    services = [_Service(document, documents) for document in documents if document.kind == "Service"]
    clusters = {cluster.name: cluster for cluster in config.clusters}
    for route in config.routes():
        for mirror in (one for one in route.mirrors if not one.is_baseline):
            behind = clusters[mirror.cluster]
            for primary, cluster in _primaries(route, clusters):
                if _host_and_subset(cluster) == _host_and_subset(behind):
                    continue
                for service in services:
                    if service.leads_to(cluster) and service.leads_to(behind):
                        yield service.subject, primary, mirror.name


def _primaries(route: Route, clusters: Mapping[str, Cluster]) -> Iterator[tuple[str, Cluster]]:
    for destination, weight in zip(route.destinations, words.shares(route.destinations), strict=True):
        if weight:
            yield destination.name, clusters[destination.cluster]


def _host_and_subset(cluster: Cluster) -> tuple[str, ...]:
    """Give the last two parts of `outbound|<port>|<subset>|<host>`, without the name of a mirror."""
    return tuple(cluster.name.partition("@")[0].split("|")[-2:])


class _Service:
    """A Service, and the workloads that it selects."""

    def __init__(self, document: Document, documents: Sequence[Document]) -> None:
        self.subject = document.subject
        self._host = fqdn(document.name, document.namespace)
        self._selector: Mapping[str, Any] = _spec(document).get("selector") or {}
        near = [one for one in documents if one.kind in WORKLOADS and one.namespace == document.namespace]
        self._workloads = {one.name for one in near if self._selects(_labels(one))}

    def leads_to(self, cluster: Cluster) -> bool:
        """Tell whether it selects a cluster's workloads: those of its host, and those that bear an endpoint's name."""
        names = {endpoint.address.host.partition(".")[0] for endpoint in cluster.endpoints}
        is_its_host = bool(self._selector) and _host_and_subset(cluster)[-1] == self._host
        return is_its_host or bool(names & self._workloads)

    def _selects(self, labels: Mapping[str, Any]) -> bool:
        wanted = self._selector.items()
        return bool(wanted) and all(labels.get(key) == value for key, value in wanted)


def _labels(workload: Document) -> Mapping[str, Any]:
    root = plain(workload.root)
    holder = root if workload.kind == "Pod" else (_spec(workload).get("template") or {})
    return (holder.get("metadata") or {}).get("labels") or {}


def _spec(document: Document) -> Mapping[str, Any]:
    return plain(document.root).get("spec") or {}
