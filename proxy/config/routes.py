"""Routes: the rules of the dialects put together as the model's virtual hosts and clusters.

Names are made here: clusters as Istio's (`outbound|<port>|<subset>|<fqdn>`), mirrors as the metrics show them
(`<route>/<destination>`). A mirror never shares a cluster with a primary or with another mirror.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from proxy.config.istio.names import fqdn
from proxy.config.mirroring import Defaults
from proxy.config.model import Cluster, Destination, MirrorPolicy, Route, VirtualHost
from proxy.config.node import Place
from proxy.config.options import Options
from proxy.config.registry import Registry
from proxy.config.rules import HostRule, MirrorRef, RouteRule, Target


class Routes:
    """Collects clusters and virtual hosts, rule by rule."""

    def __init__(self, registry: Registry, defaults: Defaults, options: Options) -> None:
        self.clusters: dict[str, Cluster] = {}
        self.places: dict[str, Place] = {}  # of each cluster, by name
        self.virtual_hosts: list[VirtualHost] = []
        self.mirror_names: list[str] = []
        self._registry = registry
        self._defaults = defaults
        self._options = options

    def add_all(self, rules: Sequence[HostRule]) -> None:
        """Add every VirtualService; one alone takes every host, as Istio's listener for one service does."""
        owners: dict[str, HostRule] = {}
        for rule in rules:
            domains = ("*",) if len(rules) == 1 else _domains(rule)
            for domain in domains:
                if (other := owners.setdefault(domain, rule)) is not rule:
                    _refuse_conflict(other, rule, domain)
            self._add(rule, domains)

    def _add(self, rule: HostRule, domains: tuple[str, ...]) -> None:
        routes = tuple(
            self._route(route, route.name or f"{rule.name}[{index}]", rule)
            for index, route in enumerate(rule.routes)
        )
        self.virtual_hosts.append(VirtualHost(f"{rule.namespace}/{rule.name}", domains, routes))

    def _route(self, route: RouteRule, name: str, rule: HostRule) -> Route:
        [destination] = route.destinations
        cluster = self._registry.cluster(destination.target)
        self._keep(cluster, destination.target)
        return Route(
            name=name,
            destinations=(Destination(destination.target.label, cluster.name),),
            mirrors=tuple(self._mirror(mirror, route, name, rule, cluster) for mirror in route.mirrors),
            timeout_s=route.timeout_s,
            retries=route.retries,
            request_headers=route.request_headers,
            response_headers=route.response_headers,
        )

    def _mirror(
        self,
        mirror: MirrorRef,
        route: RouteRule,
        route_name: str,
        rule: HostRule,
        primary: Cluster,
    ) -> MirrorPolicy:
        name = self._mirror_name(rule.mirror_name or f"{route_name}/{mirror.target.label}")
        mirroring = self._defaults.of(name)
        if route.timeout_s is not None:
            mirroring = replace(mirroring, timeout_s=min(mirroring.timeout_s, route.timeout_s))
        cluster = self._registry.cluster(mirror.target)
        cluster = replace(
            cluster, name=f"{cluster.name}@{name}", connect_timeout_s=mirroring.connect_timeout_s
        )
        self._keep(cluster, mirror.target)
        if cluster.endpoints == primary.endpoints:
            mirror.target.place.warn(
                f"the mirror {name} is the primary itself, {primary.endpoints[0].address}"
            )
        return MirrorPolicy(
            name=name,
            cluster=cluster.name,
            numerator=mirror.numerator,
            denominator=mirror.denominator,
            mirroring=mirroring,
            host_suffix=self._defaults.host_suffix,
        )

    def _keep(self, cluster: Cluster, target: Target) -> None:
        self.clusters[cluster.name] = cluster
        self.places.setdefault(cluster.name, target.place)

    def _mirror_name(self, wanted: str) -> str:
        name, count = wanted, 1
        while name in self.mirror_names:
            count += 1
            name = f"{wanted}#{count}"
        self.mirror_names.append(name)
        return name


def _domains(rule: HostRule) -> tuple[str, ...]:
    """Return the domains of a rule's hosts: a short name also answers to its longer forms."""
    domains: dict[str, None] = {}
    for host in (host.lower() for host in rule.hosts):
        longest = fqdn(host, rule.namespace)
        domains[host] = None
        if longest != host:
            parts = longest.split(".")
            domains.update(dict.fromkeys(".".join(parts[:length]) for length in (2, 3, len(parts))))
    return tuple(domains)


def _refuse_conflict(one: HostRule, other: HostRule, domain: str) -> None:
    names = ",".join(f"{rule.namespace}/{rule.name}" for rule in (one, other))
    other.place.at("spec").at("hosts").refuse(
        f"The VirtualServices {names} associated with mesh gateway define the same host {domain}"
        " which can lead to undefined behavior."
        " This can be fixed by merging the conflicting VirtualServices into a single resource."
    )
