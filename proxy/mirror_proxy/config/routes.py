"""Routes: the rules of the dialects put together as the model's virtual hosts and clusters.

Names are made here: clusters as Istio's (`outbound|<port>|<subset>|<fqdn>`), mirrors as the metrics show them
(`<route>/<destination>`); of several with one name, the second is `<name>#2`. A mirror never shares a cluster
with a primary or with another mirror. Sources: istio pilot/pkg/networking/core/route/route.go (`SortVHostRoutes`)
and httproute.go (domains of a virtual host).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from mirror_proxy.config.istio.names import SERVICE_SUFFIX, fqdn
from mirror_proxy.config.mirroring import READING_METHODS, Defaults
from mirror_proxy.config.model import (
    Cluster,
    Compare,
    Destination,
    Mirroring,
    MirrorPolicy,
    RetryPolicy,
    Route,
    VirtualHost,
)
from mirror_proxy.config.node import Place
from mirror_proxy.config.options import Options
from mirror_proxy.config.registry import Registry
from mirror_proxy.config.rules import DestinationRef, HostRule, MirrorRef, RouteRule, Target


class Routes:
    """Collects clusters and virtual hosts, rule by rule."""

    def __init__(self, registry: Registry, defaults: Defaults, compare: Compare, options: Options) -> None:
        self.clusters: dict[str, Cluster] = {}
        self.places: dict[str, Place] = {}  # of each cluster, by name
        self.virtual_hosts: list[VirtualHost] = []
        self.mirror_names: list[str] = []
        self._registry = registry
        self._defaults = defaults
        self._compare = compare
        self._options = options
        self._route_counts: dict[str, int] = {}
        self._mirror_counts: dict[str, int] = {}

    @property
    def names(self) -> list[str]:
        """The names of all routes."""
        return [route.name for host in self.virtual_hosts for route in host.routes]

    @property
    def primaries(self) -> list[Cluster]:
        """The clusters that routes lead to."""
        names = {
            one.cluster for host in self.virtual_hosts for route in host.routes for one in route.destinations
        }
        return [cluster for name, cluster in self.clusters.items() if name in names]

    def add_all(self, rules: Sequence[HostRule]) -> None:
        """Add every rule; one alone takes every host, as Istio's listener for one service does.

        Rules that share a host are joined, the oldest first, with routes for every request at the end.
        """
        ordered = sorted(rules, key=lambda rule: (rule.created, rule.name, rule.namespace))
        is_alone = len(rules) == 1 and self._options.host_match == "auto"
        routes = [tuple(self._routes_of(rule)) for rule in ordered]
        for domains, numbers in _by_owners(ordered, self._options.namespace):
            self.virtual_hosts.append(
                VirtualHost(
                    "+".join(f"{ordered[number].namespace}/{ordered[number].name}" for number in numbers),
                    ("*",) if is_alone else domains,
                    _joined([routes[number] for number in numbers]),
                )
            )

    def _routes_of(self, rule: HostRule) -> Iterator[Route]:
        for index, route in enumerate(rule.routes):
            name = _numbered(route.name or f"{rule.name}[{index}]", self._route_counts)
            built = self._route(route, name, rule)
            if built is not None:
                yield built

    def _route(self, route: RouteRule, name: str, rule: HostRule) -> Route | None:
        """Return the model's route, or None when none of its destinations is known, which is reported."""
        known = [(one, self._cluster(one.target)) for one in route.destinations]
        found = [(one, cluster) for one, cluster in known if cluster is not None]
        served = [cluster for one, cluster in found if one.weight or len(found) == 1]
        mirrors = [self._mirror(one, route, name, rule, served) for one in route.mirrors]
        if route.destinations and not found:
            return None
        policies = [mirror for mirror in mirrors if mirror is not None]
        if policies and self._compare.share_of(name).numerator:
            policies += self._baselines(name, found)
        return Route(
            name=name,
            destinations=tuple(_destination(one, cluster) for one, cluster in found),
            mirrors=tuple(policies),
            matches=route.matches,
            timeout_s=route.timeout_s,
            retries=_retries(route.retries, [cluster for _, cluster in found]),
            request_headers=route.request_headers,
            response_headers=route.response_headers,
            rewrite=route.rewrite,
            redirect=route.redirect,
            direct_response=route.direct_response,
            fault=route.fault,
            cors=route.cors,
        )

    def _cluster(self, target: Target) -> Cluster | None:
        cluster = self._registry.cluster(target)
        if cluster is not None:
            cluster = replace(cluster, health_check=self._defaults.health_checks.of(cluster))
            self._keep(cluster, target)
        return cluster

    def _mirror(
        self,
        mirror: MirrorRef,
        route: RouteRule,
        route_name: str,
        rule: HostRule,
        primaries: Sequence[Cluster],
    ) -> MirrorPolicy | None:
        wanted = rule.mirror_name or f"{route_name}/{mirror.target.label}"
        name = _numbered(wanted, self._mirror_counts)
        self.mirror_names.append(name)
        mirroring = self._defaults.of(name)
        if route.timeout_s is not None:
            mirroring = replace(mirroring, timeout_s=min(mirroring.timeout_s, route.timeout_s))
        cluster = self._registry.cluster(mirror.target, mirror=True)
        if cluster is None:
            return None
        cluster = replace(
            cluster, name=f"{cluster.name}@{name}", connect_timeout_s=mirroring.connect_timeout_s
        )
        self._keep(cluster, mirror.target)
        _warn_of_itself(mirror.target.place, name, cluster, primaries)
        return MirrorPolicy(
            name=name,
            cluster=cluster.name,
            numerator=mirror.numerator,
            denominator=mirror.denominator,
            mirroring=mirroring,
            host_suffix=self._defaults.host_suffix and mirroring.host == "primary",
            trace_share=self._defaults.trace_share,
        )

    def _baselines(
        self, route: str, found: Sequence[tuple[DestinationRef, Cluster]]
    ) -> Iterator[MirrorPolicy]:
        """Yield the baselines of a route: policies that show how responses of one version differ."""
        baselines = self._defaults.baselines
        secondary = baselines.secondary_of(route)
        cluster = self._registry.cluster(secondary) if secondary is not None else None
        if secondary is not None and cluster is not None:
            yield self._baseline(f"{route}/secondary", secondary, cluster)
        repeat = baselines.repeat
        if repeat is None:
            return
        for one, cluster in found:
            policy = self._baseline(f"{route}/repeat", one.target, cluster)
            mirroring = replace(
                _unchanged(policy.mirroring), methods=READING_METHODS, max_per_second=repeat.max_per_second
            )
            yield replace(
                policy,
                numerator=repeat.share.numerator,
                denominator=repeat.share.denominator,
                mirroring=mirroring,
                role="repeat",
                repeats=one.target.label,
            )

    def _baseline(self, wanted: str, target: Target, cluster: Cluster) -> MirrorPolicy:
        name = _numbered(wanted, self._mirror_counts)
        self.mirror_names.append(name)
        mirroring = self._defaults.of(name)
        if name not in dict(self._defaults.overrides):  # v1 does not detect shadows: it would write
            mirroring = replace(_unchanged(mirroring), methods=READING_METHODS)
        cluster = replace(
            cluster,
            name=f"{cluster.name}@{name}",
            connect_timeout_s=mirroring.connect_timeout_s,
            health_check=None,
        )
        self._keep(cluster, target)
        return MirrorPolicy(
            name,
            cluster.name,
            mirroring=mirroring,
            trace_share=self._defaults.trace_share,
            role="secondary",
        )

    def _keep(self, cluster: Cluster, target: Target) -> None:
        self.clusters[cluster.name] = cluster
        self.places.setdefault(cluster.name, target.place)


def _unchanged(mirroring: Mirroring) -> Mirroring:
    """Return limits under which v1 gets requests as they are; host, path and body are what v2 needs."""
    return replace(mirroring, host="primary", path="", body=True)


def _numbered(wanted: str, counts: dict[str, int]) -> str:
    """Return the name, numbered from the second that wants it on."""
    count = counts.get(wanted, 0) + 1
    while (name := wanted if count == 1 else f"{wanted}#{count}") in counts:
        count += 1
    counts[wanted] = count
    counts.setdefault(name, 1)
    return name


def _destination(one: DestinationRef, cluster: Cluster) -> Destination:
    return Destination(
        one.target.label, cluster.name, one.weight, one.request_headers, one.response_headers, one.authority
    )


def _retries(retries: RetryPolicy, clusters: Sequence[Cluster]) -> RetryPolicy:
    """Return retries that may use the same host again, where a hash allows no other."""
    if len(clusters) == 1 and clusters[0].balancer.policy == "hash":
        return replace(retries, ignore_previous_hosts=False)
    return retries


def _warn_of_itself(place: Place, name: str, cluster: Cluster, primaries: Sequence[Cluster]) -> None:
    if not cluster.endpoints or all(cluster.endpoints != primary.endpoints for primary in primaries):
        return
    which = "the primary itself" if len(primaries) == 1 else "one of the route's own destinations"
    place.warn(f"the mirror {name} is {which}, {cluster.endpoints[0].address}")


def _by_owners(
    rules: Sequence[HostRule], namespace: str
) -> Iterable[tuple[tuple[str, ...], tuple[int, ...]]]:
    """Return domains that the same rules have, with the numbers of those; report rules that may not share one.

    `namespace` is the proxy's own. A short name of another namespace is a fallback.
    """
    owners: dict[str, list[int]] = {}
    fallback: dict[str, int] = {}
    for number, rule in enumerate(rules):
        for domain, is_fallback in _domains(rule, namespace).items():
            if is_fallback:
                fallback.setdefault(domain, number)
            else:
                owners.setdefault(domain, []).append(number)
    _refuse_conflicts(rules, owners)
    for domain, number in fallback.items():
        owners.setdefault(domain, [number])
    domains_of: dict[tuple[int, ...], list[str]] = {}
    for domain, numbers in owners.items():
        domains_of.setdefault(tuple(numbers), []).append(domain)
    return [(tuple(some), numbers) for numbers, some in domains_of.items()]


def _domains(rule: HostRule, namespace: str) -> dict[str, bool]:
    """Return the domains of a rule's hosts, and of each whether it is a fallback: another rule's wins.

    A service has its short forms too, but to its bare name only within its own namespace.
    """
    domains: dict[str, bool] = {}
    for host in (host.lower() for host in rule.hosts):
        longest = fqdn(host, rule.namespace)
        service, dot, of = longest.removesuffix(SERVICE_SUFFIX).partition(".")
        if not longest.endswith(SERVICE_SUFFIX) or not dot or "." in of or host.startswith("*"):
            domains[f"[{host}]" if ":" in host else host] = False
            continue
        if host == service or of == namespace:
            domains[service] = of != namespace
        domains.update(dict.fromkeys((f"{service}.{of}", f"{service}.{of}.svc", longest), False))
    return domains


def _joined(lists: Sequence[tuple[Route, ...]]) -> tuple[Route, ...]:
    """Return the routes of several rules in order, those that take every request moved to the end."""
    if len(lists) == 1:
        return lists[0]
    first: list[Route] = []
    last: list[Route] = []
    for route in (route for routes in lists for route in routes):
        some = tuple(match for match in route.matches if not match.is_catch_all)
        if some:
            first.append(replace(route, matches=some))
        if len(some) < len(route.matches) or not route.matches:
            last.append(replace(route, matches=tuple(one for one in route.matches if one.is_catch_all)))
    return (*first, *last)


def _refuse_conflicts(rules: Sequence[HostRule], owners: Mapping[str, Sequence[int]]) -> None:
    """Report each host that several rules have which do not share, at the last of them."""
    conflicts: dict[tuple[int, ...], list[str]] = {}
    for domain, numbers in owners.items():
        unshared = tuple(number for number in numbers if not rules[number].is_shared)
        if len(unshared) > 1:
            conflicts.setdefault(unshared, []).append(domain)
    for numbers, domains in conflicts.items():
        _refuse_conflict([rules[number] for number in numbers], domains)


def _refuse_conflict(rules: Sequence[HostRule], domains: Sequence[str]) -> None:
    """Report each host that rules have in common, by the longest of its forms."""
    place = _place_of_hosts(rules[-1])
    subjects = [rule.place.subject for rule in rules]
    names = ",".join(f"{rule.namespace}/{rule.name}" for rule in rules)
    for domain in domains:
        if any(longer.startswith(f"{domain}.") for longer in domains):
            continue
        if all(subject.startswith("VirtualService ") for subject in subjects):
            place.refuse(
                f"The VirtualServices {names} associated with mesh gateway define the same host {domain}"
                " which can lead to undefined behavior."
                " This can be fixed by merging the conflicting VirtualServices into a single resource."
            )
        else:
            place.refuse(
                f"{' and '.join(subjects)} define the same host {domain}",
                "leave it to one of them, or merge them",
            )


def _place_of_hosts(rule: HostRule) -> Place:
    """Return the place of a rule's hosts: `hosts` of a VirtualService, `hostnames` of an HTTPRoute."""
    spec = rule.place.get("spec") or rule.place
    return spec.get("hosts") or spec.get("hostnames") or spec
