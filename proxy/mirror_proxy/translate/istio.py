"""Istio's documents of a configuration, as `kubectl apply` takes them.

Documents of Istio and Kubernetes stay as they are, in canonical spelling: keys in lowerCamelCase, Istio's version `v1`,
without null and without the fields that a server adds. An HTTPRoute becomes a VirtualService for each of its virtual
hosts. A host outside the mesh, and an `--endpoint`, becomes a ServiceEntry. Settings of this proxy are left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from mirror_proxy.config.document import Document
from mirror_proxy.config.gateway_api import http_route, precedence
from mirror_proxy.config.istio import destination_rule, service_entry, virtual_service
from mirror_proxy.config.istio.names import SERVICE_SUFFIX, fqdn, short_name
from mirror_proxy.config.loader import Loaded
from mirror_proxy.config.model import Cluster, VirtualHost, is_ip
from mirror_proxy.config.node import Node, plain
from mirror_proxy.config.options import EndpointOption, Options
from mirror_proxy.config.problems import Problems
from mirror_proxy.config.rules import HostRule
from mirror_proxy.config.schema import ListOf, MapOf, Record, Type, camel
from mirror_proxy.config.settings import KIND as SETTINGS
from mirror_proxy.translate.istio_route import http_routes
from mirror_proxy.translate.services import Labels, items_of, rules_for, subsets_of
from mirror_proxy.translate.translation import (
    HostRef,
    Message,
    Translation,
    fewest_hosts,
    leave_out_settings,
    own_name,
    present,
)

GATEWAY = "mirror-proxy"
NO_EQUIVALENT = "Istio has no word for it"
REASONS = {
    "spec.shadowHostSuffix": "istiod says it for the whole mesh, by DISABLE_SHADOW_HOST_SUFFIX=false",
    "spec.mirroring.sampling": "a mesh draws at random for each request",
    "spec.mirroring.maxInFlight": "connectionPool in the mirror's DestinationRule comes near",
    "spec.mirroring.breaker": "outlierDetection in the mirror's DestinationRule comes near",
    "spec.tracing.mirrors": "a mesh never samples the traces of shadows",
    "spec.tracing": "a Telemetry says it",
    "spec.listeners": "a mesh listens by its Sidecars and Gateways",
    "spec.healthChecks": "a mesh takes the endpoints whose readinessProbe passes",
    "spec.accessLog": "a Telemetry says it",
    "spec.forwardClientCert": "gatewayTopology.forwardClientCertDetails in a ProxyConfig says it",
    "spec.pathNormalization": "meshConfig.pathNormalization says it for the whole mesh; base is its default",
    "spec.limits.streamIdleTimeout": "only an EnvoyFilter says it; a mesh has no such limit",
}
TABLES: Mapping[str, Type] = {
    "VirtualService": virtual_service.DOCUMENT,
    "DestinationRule": destination_rule.DOCUMENT,
    "ServiceEntry": service_entry.DOCUMENT,
}
VERSION = "networking.istio.io/v1"
OF_THE_SERVER = ("creationTimestamp", "generation", "managedFields", "resourceVersion", "selfLink", "uid")


def documents(loaded: Loaded, options: Options) -> Translation:
    """Return the documents of a configuration, loaded with `--host-match strict`."""
    translation = Translation()
    loaded = replace(loaded, config=loaded.config.without_baselines())
    for document in loaded.documents:
        if document.kind == SETTINGS:
            leave_out_settings(document, translation, REASONS, NO_EQUIVALENT)
        elif document.kind != http_route.KIND:
            translation.documents.append(canonical(document))
    clusters = {cluster.name: cluster for cluster in loaded.config.clusters}
    taken = {(document.kind, document.namespace, document.name) for document in loaded.documents}
    own, shared = of_http_routes(loaded)
    for host in own:
        translation.documents.append(virtual_service_of(host, clusters, translation, taken))
    for host in shared:
        translation.leave_out(host.name, "rules of an HTTPRoute for hosts that a VirtualService has too")
    _ServiceEntries(loaded, options, translation).add()
    if any(route.mirrors for route in loaded.config.routes()):
        translation.note(
            "A mesh mirrors without this proxy's safety (timeout, maxInFlight, maxLagBytes, breaker):"
            " a slow mirror can slow clients there."
        )
    return translation


def of_http_routes(loaded: Loaded) -> tuple[list[VirtualHost], list[VirtualHost]]:
    """Return the virtual hosts that come from HTTPRoutes, and those that come from VirtualServices too."""
    found = (http_route.read(one, Problems()) for one in loaded.documents if one.kind == http_route.KIND)
    rules = precedence.host_rules([route for route in found if route is not None])
    names = {
        host.lower(): f"{rule.namespace}/{rule.name}"
        for rule in rules
        for host in (*rule.hosts, *_alone(rules))
    }
    named = [
        (host, {names[domain] for domain in host.domains if domain in names})
        for host in loaded.config.virtual_hosts
    ]
    return (
        [host for host, of in named if host.name in of],
        [host for host, of in named if of and host.name not in of],
    )


def _alone(rules: Sequence[HostRule]) -> tuple[str, ...]:
    """Return the host that a rule alone has beside its own: every one, unless hosts are matched strictly."""
    return ("*",) if len(rules) == 1 else ()


def virtual_service_of(
    host: VirtualHost,
    clusters: Mapping[str, Cluster],
    translation: Translation,
    taken: Iterable[tuple[str, str, str]] = (),
) -> Message:
    """Return a VirtualService that routes as `host` does; one for every host is bound to a gateway, as it must be."""
    namespace, name = own_name(host.name)
    if ("VirtualService", namespace, name) in taken:
        name = f"{name}-httproute"
    hosts = fewest_hosts(host.domains, namespace)
    if "*" in hosts:
        translation.note(
            f"VirtualService {namespace}/{name} takes every host at the Gateway {GATEWAY}: write yours."
        )
    else:
        translation.note(
            f"VirtualService {namespace}/{name} holds within the mesh: for a Gateway add spec.gateways."
        )
    for route in host.routes:
        if any(field.invert for match in route.matches for field in match.query):
            translation.leave_out(route.name, "a query parameter that must not match")
    return {
        "apiVersion": VERSION,
        "kind": "VirtualService",
        "metadata": {"name": name, "namespace": namespace},
        "spec": present(
            hosts=hosts,
            gateways=[GATEWAY] if "*" in hosts else None,
            http=[item for route in host.routes for item in http_routes(route, clusters, namespace)],
        ),
    }


class _ServiceEntries:
    """ServiceEntries for the hosts that no document defines."""

    def __init__(self, loaded: Loaded, options: Options, translation: Translation) -> None:
        self._documents = loaded.documents
        self._options = options
        self._translation = translation
        self._ports: dict[str, set[int]] = {}
        for cluster in loaded.config.clusters:
            to = HostRef.of(cluster)
            self._ports.setdefault(to.fqdn, set()).add(to.port)
        self._clusters = loaded.config.clusters

    def add(self) -> None:
        """Add a ServiceEntry for each host that lies outside or has endpoints of its own."""
        defined = self._hosts_of_documents()
        options: dict[str, list[tuple[str, str, int]]] = {}
        for one, host in self._named_by_options():
            if host in defined:
                where = f"--endpoint {one.host}{'/' if one.subset else ''}{one.subset}={one.address}"
                self._translation.leave_out(where, f"in a mesh the {defined[host]} says where {one.host} is")
            else:
                options.setdefault(host, []).append((one.subset, one.address.host, one.address.port))
        for cluster in self._clusters:
            to = HostRef.of(cluster)
            if to.fqdn in defined or to.fqdn in options or to.service:
                continue
            defined[to.fqdn] = "ServiceEntry"
            self._add_outside(to)
        for host, endpoints in options.items():
            self._add_endpoints(host, endpoints)

    def _named_by_options(self) -> Iterator[tuple[EndpointOption, str]]:
        """Yield each `--endpoint` with the full names of the hosts that it is for."""
        used = list(dict.fromkeys(HostRef.of(cluster).fqdn for cluster in self._clusters))
        for one in self._options.endpoints:
            named = [host for host in used if one.host in _names_of(host)]
            for host in named or [fqdn(one.host, self._options.namespace)]:
                yield one, host

    def _hosts_of_documents(self) -> dict[str, str]:
        defined: dict[str, str] = {}
        for document in self._documents:
            if document.kind == "Service":
                defined[fqdn(document.name, document.namespace)] = document.subject
            elif document.kind == "ServiceEntry":
                defined.update((host.node.value, document.subject) for host in items_of(document, "hosts"))
        return defined

    def _add_outside(self, to: HostRef) -> None:
        if is_ip(to.fqdn):
            self._translation.leave_out(
                f"host {to.fqdn}", "a mesh routes to names only; give the address a name in a ServiceEntry"
            )
            return
        self._add(to.fqdn, "default", {"resolution": "DNS"})

    def _add_endpoints(self, host: str, endpoints: Sequence[tuple[str, str, int]]) -> None:
        """Add the endpoints of `--endpoint`, each with the labels by which its subset finds it."""
        subsets = self._subset_labels(host, {subset for subset, _, _ in endpoints if subset})
        name = f"http-{min(self._ports.get(host, {80}))}"
        written = [
            present(address=address, ports={name: port}, labels=subsets.get(subset))
            for subset, address, port in endpoints
        ]
        is_static = all(is_ip(address) for _, address, _ in endpoints)
        more = {"resolution": "STATIC" if is_static else "DNS", "endpoints": written}
        self._add(host, self._namespace_of(host), more)

    def _subset_labels(self, host: str, subsets: set[str]) -> dict[str, Labels]:
        """Return the labels of subsets; those that no DestinationRule has are given labels, and a DestinationRule."""
        known = subsets_of(self._documents, host)
        rules = rules_for(self._documents, host)
        missing = sorted(subsets - known.keys())
        if missing and rules:
            for subset in missing:
                self._translation.leave_out(
                    f"--endpoint {host}/{subset}", f"{rules[0].subject} has no such subset"
                )
        elif missing:
            known.update({subset: {"version": subset} for subset in missing})
            spec = {"host": host, "subsets": [{"name": one, "labels": known[one]} for one in missing]}
            self._append("DestinationRule", host, self._namespace_of(host), spec)
        return known

    def _namespace_of(self, host: str) -> str:
        """Return the namespace of a service, where its clients look for a DestinationRule; else that of the load."""
        is_service = short_name(host) != host
        return host.removesuffix(SERVICE_SUFFIX).partition(".")[2] if is_service else self._options.namespace

    def _add(self, host: str, namespace: str, more: Message) -> None:
        ports = [
            {"number": port, "name": f"http-{port}", "protocol": "HTTP"}
            for port in sorted(self._ports.get(host, {80}))
        ]
        spec = {"hosts": [host], "location": "MESH_EXTERNAL", "ports": ports, **more}
        self._append("ServiceEntry", host, namespace, spec)

    def _append(self, kind: str, host: str, namespace: str, spec: Message) -> None:
        self._translation.documents.append(
            {
                "apiVersion": VERSION,
                "kind": kind,
                "metadata": {"name": host, "namespace": namespace},
                "spec": spec,
            }
        )


def _names_of(host: str) -> set[str]:
    """Return the names that `--endpoint` may give to a host."""
    return {host, host.removesuffix(".cluster.local"), host.removesuffix(SERVICE_SUFFIX), short_name(host)}


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
