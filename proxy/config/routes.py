"""Routes: the rules of the dialects put together as the model's virtual hosts and clusters.

Names are made here: clusters as Istio's (`outbound|<port>|<subset>|<fqdn>`), mirrors as the metrics show them
(`<route>/<destination>`). A mirror never shares a cluster with a primary or with another mirror.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from proxy.config.istio.destination_rule import DestinationRule, TrafficPolicy
from proxy.config.istio.names import fqdn
from proxy.config.istio.virtual_service import MirrorRule, RouteRule, Target, VirtualServiceRule
from proxy.config.mirroring import Defaults
from proxy.config.model import Address, Cluster, Destination, MirrorPolicy, Route, VirtualHost
from proxy.config.node import Place


class Routes:
    """Collects clusters and virtual hosts, rule by rule."""

    def __init__(self, policies: Iterable[DestinationRule], defaults: Defaults, listener_port: int) -> None:
        self.clusters: dict[str, Cluster] = {}
        self.places: dict[str, Place] = {}  # of each cluster, by name
        self.virtual_hosts: list[VirtualHost] = []
        self.mirror_names: list[str] = []
        self._policies: dict[str, DestinationRule] = {}
        self._used: set[str] = set()
        self._defaults = defaults
        self._listener_port = listener_port
        for policy in policies:
            if self._policies.setdefault(policy.host, policy) is not policy:
                policy.place.warn(f"ignored: another DestinationRule for {policy.host} comes first")

    def add_all(self, rules: Sequence[VirtualServiceRule]) -> None:
        """Add every VirtualService; one alone takes every host, as Istio's listener for one service does."""
        owners: dict[str, VirtualServiceRule] = {}
        for rule in rules:
            domains = ("*",) if len(rules) == 1 else _domains(rule)
            for domain in domains:
                if (other := owners.setdefault(domain, rule)) is not rule:
                    _refuse_conflict(other, rule, domain)
            self._add(rule, domains)
        for host in self._policies.keys() - self._used:
            self._policies[host].place.warn(
                f"The host {host} defined in the DestinationRule does not match any services in the mesh."
            )

    def _add(self, rule: VirtualServiceRule, domains: tuple[str, ...]) -> None:
        document = rule.document
        routes = tuple(
            self._route(route, route.name or f"{document.name}[{index}]", rule)
            for index, route in enumerate(rule.routes)
        )
        self.virtual_hosts.append(VirtualHost(f"{document.namespace}/{document.name}", domains, routes))

    def _route(self, route: RouteRule, name: str, rule: VirtualServiceRule) -> Route:
        cluster = self._cluster(route.target, rule.document.namespace)
        self._keep(cluster, route.target)
        return Route(
            name=name,
            destinations=(Destination(route.target.host, cluster.name),),
            mirrors=tuple(self._mirror(mirror, route, name, rule, cluster) for mirror in route.mirrors),
            timeout_s=route.timeout_s,
            retries=route.retries,
            request_headers=route.request_headers,
            response_headers=route.response_headers,
        )

    def _mirror(
        self,
        mirror: MirrorRule,
        route: RouteRule,
        route_name: str,
        rule: VirtualServiceRule,
        primary: Cluster,
    ) -> MirrorPolicy:
        name = self._mirror_name(rule.mirror_name or f"{route_name}/{mirror.target.host}")
        mirroring = self._defaults.of(name)
        if route.timeout_s is not None:
            mirroring = replace(mirroring, timeout_s=min(mirroring.timeout_s, route.timeout_s))
        cluster = self._cluster(mirror.target, rule.document.namespace)
        cluster = replace(
            cluster, name=f"{cluster.name}@{name}", connect_timeout_s=mirroring.connect_timeout_s
        )
        self._keep(cluster, mirror.target)
        if cluster.address == primary.address:
            mirror.target.place.warn(f"the mirror {name} is the primary itself, {primary.address}")
        if mirror.target.port is None:
            mirror.target.place.warn(f"no port: {self._listener_port} is taken", "set port.number")
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

    def _cluster(self, target: Target, namespace: str) -> Cluster:
        if "_" in target.host:
            target.place.warn(f"a mesh would refuse the host {target.host} for its underscore")
        host = fqdn(target.host, namespace)
        port = target.port or self._listener_port
        policy = TrafficPolicy()
        if host in self._policies:
            self._used.add(host)
            policy = self._policies[host].at(port)
        cluster = Cluster(
            name=f"outbound|{port}||{host}",
            address=Address(target.host, port),
            tls=policy.tls,
            max_connections=policy.max_connections,
            max_pending=policy.max_pending,
        )
        return replace(
            cluster,
            connect_timeout_s=policy.connect_timeout_s or cluster.connect_timeout_s,
            idle_timeout_s=policy.idle_timeout_s or cluster.idle_timeout_s,
        )


def _domains(rule: VirtualServiceRule) -> tuple[str, ...]:
    """Return the domains of a rule's hosts: a short name also answers to its longer forms."""
    domains: dict[str, None] = {}
    for host in (host.lower() for host in rule.hosts):
        longest = fqdn(host, rule.document.namespace)
        domains[host] = None
        if longest != host:
            parts = longest.split(".")
            domains.update(dict.fromkeys(".".join(parts[:length]) for length in (2, 3, len(parts))))
    return tuple(domains)


def _refuse_conflict(one: VirtualServiceRule, other: VirtualServiceRule, domain: str) -> None:
    names = ",".join(f"{rule.document.namespace}/{rule.document.name}" for rule in (one, other))
    other.place.at("spec").at("hosts").refuse(
        f"The VirtualServices {names} associated with mesh gateway define the same host {domain}"
        " which can lead to undefined behavior."
        " This can be fixed by merging the conflicting VirtualServices into a single resource."
    )
