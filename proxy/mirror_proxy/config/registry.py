"""Registry: find the cluster of a host and subset: its endpoints, and how to connect to them.

`routes` looks each target up here. Endpoints come from `--endpoint`, then ServiceEntry, then Kubernetes' Service with
its workloads; a host that none of them defines is a DNS name. Connection settings come from DestinationRules, found
by host and namespace as in Istio. Clusters get Istio's names (`outbound|<port>|<subset>|<fqdn>`). A reference to
something that does not exist is refused in the words of `istioctl analyze` (IST0101, IST0112, IST0173).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

from mirror_proxy.config.istio.destination_rule import DestinationRule, Subset
from mirror_proxy.config.istio.names import SERVICE_SUFFIX, fqdn, short_name
from mirror_proxy.config.model import Address, Cluster, Endpoint, is_ip
from mirror_proxy.config.options import EndpointOption, Options
from mirror_proxy.config.problems import Problem, Problems, did_you_mean
from mirror_proxy.config.rules import Target
from mirror_proxy.config.service import ENCRYPTED, Service

NO_ENDPOINTS = (
    "The Subset {} defined in the DestinationRule does not select any pods."
    " Which may lead to 503 UH (NoHealthyUpstream)."
)
SEVERAL_PORTS = (
    'This VirtualService routes to a service "{}" that exposes multiple ports [{}].'
    " Specifying a port in the destination is required to disambiguate."
)
UNMATCHED = "The host {} defined in the DestinationRule does not match any services in the mesh."
MAX_GUESSES = 200  # hosts among which a misspelt one is looked for
ROOT_NAMESPACE = "istio-system"
Value = TypeVar("Value")


class Registry:
    """Looks targets up. Of two services for one host the first counts."""

    def __init__(
        self,
        services: Iterable[Service],
        rules: Iterable[DestinationRule],
        options: Options,
        listener_port: int,
    ) -> None:
        self._services: _HostMap[Service] = _HostMap()
        self._endpoint_options = _EndpointOptions(options.endpoints, options.namespace)
        self._destination_rules = _DestinationRules(rules)
        self._listener_port = listener_port
        for service in services:
            if (first := self._services.get(service.host)) is None:
                self._services.add(service.host, service)
            else:
                service.place.warn(f"ignored: {first.place.subject} defines {service.host}")
        self._define_hosts = any(not service.is_local for service in self._services)

    def cluster(self, target: Target, *, mirror: bool = False) -> Cluster | None:
        """Return the cluster of a target, or None after reporting why there is none; `mirror` words the report."""
        if "_" in target.host:
            target.place.warn(f"a mesh would refuse the host {target.host} for its underscore")
        host = fqdn(target.host, target.namespace)
        service = self._services.find(host)
        is_url = target.place.node.mark.is_flag and not (service and service.place.node.mark.is_flag)
        if is_url:  # so the host is its own address
            service = None
        rule = self._destination_rules.find(
            host, target.namespace, service.namespace if service else _namespace(host)
        )
        subset = rule.subset(target.subset) if rule else None
        reference = _Reference(
            target,
            host,
            mirror,
            addresses=self._endpoint_options.find(host, target.subset),
            service=service,
            labels=self._labels(host, target.subset, subset),
            must_be_known=self._define_hosts and not is_url and not self._endpoint_options.knows(host),
        )
        if not reference.is_valid(self._hint):
            return None
        port = reference.port(self._listener_port)
        endpoints = reference.endpoints(port)
        if endpoints is None:
            return None
        policy = rule.policy_at(port, subset) if rule else {}
        cluster = Cluster(f"outbound|{port}|{target.subset}|{host}", target.host, endpoints, **policy)
        if service and not reference.addresses:
            _warn_of_protocol(service, port, cluster)
        return cluster

    def _labels(self, host: str, name: str, subset: Subset | None) -> Mapping[str, str] | None:
        """Return what a subset selects by; None when nothing defines it."""
        if subset:
            return subset.labels
        return {} if not name or self._endpoint_options.has(host, name) else None

    def _hint(self, target: Target) -> str:
        """Return a hint for a host that nothing defines."""
        full = fqdn(target.host, target.namespace)
        if full != target.host and self._services.find(target.host):
            return f"a ServiceEntry's hosts are full names: {full}"
        if self._services.find(f"{target.host}{SERVICE_SUFFIX}"):
            return f"write {target.host}{SERVICE_SUFFIX}"
        known = [service.host for service in self._services]
        suffix = full.removeprefix(target.host)
        nearest = did_you_mean(target.host, (host.removesuffix(suffix) for host in known[:MAX_GUESSES]))
        return nearest or f"define it, or give --endpoint {target.label}=ADDRESS:PORT"

    def warn_of_unused(self, problems: Problems) -> None:
        """Warn of DestinationRules without a host, of subsets without a workload, of `--endpoint` without a use."""
        for rule in self._destination_rules:
            if not (self._destination_rules.is_used(rule) or self._is_known(rule.host)):
                rule.place.at("spec").at("host").warn(UNMATCHED.format(rule.host))
            for subset in rule.subsets:
                if self._selects_nothing(rule.host, subset):
                    subset.place.warn(NO_ENDPOINTS.format(subset.name))
        self._endpoint_options.warn_of_unused(problems)

    def _is_known(self, host: str) -> bool:
        """Return whether a DestinationRule's host, perhaps with a wildcard, stands for a known one."""
        if not host.startswith("*"):
            return self._endpoint_options.knows(host) or self._services.find(host) is not None
        known = (*self._endpoint_options.full_hosts, *(service.host for service in self._services))
        return any(one.endswith(host[1:]) for one in known)

    def _selects_nothing(self, host: str, subset: Subset) -> bool:
        service = self._services.find(host)
        if service is None or not subset.labels or self._endpoint_options.covers(host, subset.name):
            return False
        return not service.selects(subset.labels)


def _namespace(host: str) -> str:
    """Return the namespace that the full name of a service ends with."""
    parts = host.removesuffix(SERVICE_SUFFIX).split(".")
    return parts[1] if host.endswith(SERVICE_SUFFIX) and len(parts) == 2 else ""


def _warn_of_protocol(service: Service, port: int, cluster: Cluster) -> None:
    """Warn of a port whose declared protocol is not the one used."""
    known = service.port(port)
    if known is None or not known.protocol or (known.protocol in ENCRYPTED and cluster.tls):
        return
    hint = "a DestinationRule with tls encrypts it" if known.protocol in ENCRYPTED else ""
    known.place.warn(f"port {port} speaks {known.protocol}, and HTTP/1.1 in plain text is spoken to it", hint)


@dataclass(frozen=True, slots=True)
class _Reference:
    """A target, the full name of its host, and all that is known of that host.

    `addresses` come from `--endpoint`. `labels` are those that the subset selects by, None when nothing defines the
    subset. `must_be_known`: the files define hosts, so this one should be among them.
    """

    target: Target
    host: str
    is_mirror: bool
    addresses: tuple[Address, ...]
    service: Service | None
    labels: Mapping[str, str] | None
    must_be_known: bool

    def is_valid(self, hint: Callable[[Target], str]) -> bool:
        """Return whether subset, host and port exist; report each one that does not, with a hint for the host."""
        return self._has_subset() and self._has_host(hint) and self._has_port()

    def _has_subset(self) -> bool:
        if self.labels is not None:
            return True
        kind = "mirror+subset" if self.is_mirror else "host+subset"
        self._refuse_missing(f"{kind} in destinationrule", f"{self.target.host}+{self.target.subset}")
        return False

    def _has_host(self, hint: Callable[[Target], str]) -> bool:
        is_own_address = is_ip(self.host) or not self.must_be_known
        if self.addresses or self.service or (is_own_address and not self.labels):
            return True
        kind = "mirror host" if self.is_mirror else "host"
        self._refuse_missing(kind, self.target.host, hint(self.target))
        return False

    def _has_port(self) -> bool:
        service, wanted = self.service, self.target.port
        if service is None or self.addresses:
            return True
        if wanted is None and len(service.ports) > 1:
            numbers = " ".join(str(port.number) for port in service.ports)
            self.target.place.refuse(SEVERAL_PORTS.format(self.target.host, numbers))
            return False
        if wanted and service.ports and service.port(wanted) is None:
            self._refuse_missing("host:port", f"{self.target.host}:{wanted}")
            return False
        return True

    def _refuse_missing(self, kind: str, name: str, hint: str = "") -> None:
        self.target.place.refuse(f'Referenced {kind} not found: "{name}"', hint)

    def port(self, listener_port: int) -> int:
        """Return the port: the one written, the service's only one, or else the listener's, with a warning."""
        if self.target.port:
            return self.target.port
        if self.service and len(self.service.ports) == 1:
            return self.service.ports[0].number
        if self.addresses:
            return self.addresses[0].port
        self.target.place.warn(f"no port: {listener_port} is taken", "set port.number")
        return listener_port

    def endpoints(self, port: int) -> tuple[Endpoint, ...] | None:
        """Return where the target is served at a port, or None after reporting that its subset selects nothing."""
        if self.addresses:
            return tuple(Endpoint(address) for address in self.addresses)
        if self.service and self.labels and not self.service.selects(self.labels):
            self.target.place.refuse(NO_ENDPOINTS.format(self.target.subset))
            return None
        if self.service is None or self.service.workloads is None:
            return (Endpoint(Address(self.target.host, port)),)
        endpoints = self.service.endpoints(port, self.labels or {})
        if not endpoints:
            self.target.place.warn(
                f"nothing serves port {port} of {self.target.label}: requests will get 503"
            )
        return endpoints


class _EndpointOptions:
    """The addresses of `--endpoint`, which win over all files, by host and subset.

    A short host is the service of that name in every namespace; the one in the namespace of the load comes first.
    """

    def __init__(self, options: Iterable[EndpointOption], namespace: str) -> None:
        self._by_name: dict[tuple[str, str], list[EndpointOption]] = {}
        self._unused: dict[EndpointOption, None] = dict.fromkeys(options)
        for option in self._unused:
            for host in _full_names(option.host, namespace):
                self._by_name.setdefault((host, option.subset), []).append(option)
        self.full_hosts = frozenset(host for host, _ in self._by_name if "." in host)
        self._hosts = frozenset(host for host, _ in self._by_name)

    def find(self, host: str, subset: str) -> tuple[Address, ...]:
        """Return the addresses of a subset, or else those of its host as a whole."""
        found = self._options_of(host, subset) or self._options_of(host, "")
        for option in found:
            self._unused.pop(option, None)
        return tuple(option.address for option in found)

    def _options_of(self, host: str, subset: str) -> list[EndpointOption]:
        return self._by_name.get((host, subset)) or self._by_name.get((short_name(host), subset), [])

    def knows(self, host: str) -> bool:
        """Return whether a host is named, with any subset or none."""
        return not self._hosts.isdisjoint({host, short_name(host)})

    def has(self, host: str, subset: str) -> bool:
        """Return whether a subset itself is named."""
        return bool(self._options_of(host, subset))

    def covers(self, host: str, subset: str) -> bool:
        """Return whether `find` finds anything."""
        return self.has(host, subset) or self.has(host, "")

    def warn_of_unused(self, problems: Problems) -> None:
        """Warn of each option that no destination led to."""
        for option in self._unused:
            name = f"{option.host}/{option.subset}" if option.subset else option.host
            problems.add(Problem(option.mark, f"no destination leads to {name}", severity="warning"))


def _full_names(host: str, namespace: str) -> Iterator[str]:
    """Yield the names that a host may be looked up by; one of two or three parts may be a service's."""
    if "." not in host:
        yield host
        yield fqdn(host, namespace)
        return
    yield host
    parts = host.split(".")
    if len(parts) == 2:
        yield f"{host}{SERVICE_SUFFIX}"
    if len(parts) == 3 and parts[2] == "svc":
        yield f"{host}.cluster.local"


class _DestinationRules:
    """DestinationRules by namespace and host; those of one host are merged in Istio's order: by age, then by name.

    Source: istio pilot/pkg/model/push_context.go (`destinationRule`), destination_rule.go (`mergeDestinationRule`).
    """

    def __init__(self, rules: Iterable[DestinationRule]) -> None:
        self._by_namespace: dict[str, _HostMap[DestinationRule]] = {}
        self._used: set[tuple[str, str]] = set()
        for rule in sorted(rules, key=lambda rule: (rule.created, rule.name)):
            hosts = self._by_namespace.setdefault(rule.namespace, _HostMap())
            first = hosts.get(rule.host)
            hosts.add(rule.host, _merged(first, rule) if first else rule)

    def find(self, host: str, *namespaces: str) -> DestinationRule | None:
        """Return the rule for a host in the first of `namespaces` that has one, else in Istio's root namespace."""
        for namespace in (*namespaces, ROOT_NAMESPACE):
            hosts = self._by_namespace.get(namespace)
            rule = hosts.find(host) if hosts else None
            if rule:
                self._used.add((namespace, rule.host))
                return rule
        return None

    def __iter__(self) -> Iterator[DestinationRule]:
        for hosts in self._by_namespace.values():
            yield from hosts

    def is_used(self, rule: DestinationRule) -> bool:
        """Return whether `find` has returned the rule."""
        return (rule.namespace, rule.host) in self._used


def _merged(first: DestinationRule, rule: DestinationRule) -> DestinationRule:
    """Add the subsets of a later rule for the same host; its own policy counts only when the first has none."""
    names = {subset.name for subset in first.subsets}
    for subset in rule.subsets:
        if subset.name in names:
            subset.place.warn(f"ignored: {first.subject} has a subset {subset.name} for {rule.host} already")
    if first.policy and rule.policy:
        rule.place.warn(f"trafficPolicy is ignored: {first.subject} has one for {rule.host} already")
    new = tuple(subset for subset in rule.subsets if subset.name not in names)
    return replace(first, policy=first.policy or rule.policy, subsets=first.subsets + new)


class _HostMap(Generic[Value]):
    """Values by host; a leading `*` matches any beginning; the most specific host wins (Istio's order)."""

    def __init__(self) -> None:
        self._exact: dict[str, Value] = {}
        self._wildcards: dict[str, Value] = {}  # by what follows the `*`, longest first

    def __bool__(self) -> bool:
        return bool(self._exact or self._wildcards)

    def __iter__(self) -> Iterator[Value]:
        yield from self._exact.values()
        yield from self._wildcards.values()

    def get(self, host: str) -> Value | None:
        """Return the value of exactly this host, wildcard or not."""
        return self._wildcards.get(host[1:]) if host.startswith("*") else self._exact.get(host)

    def add(self, host: str, value: Value) -> None:
        """Set the value of a host."""
        if not host.startswith("*"):
            self._exact[host] = value
            return
        self._wildcards[host[1:]] = value
        self._wildcards = dict(sorted(self._wildcards.items(), key=lambda pair: -len(pair[0])))

    def find(self, host: str) -> Value | None:
        """Return the value of the most specific host that matches `host`; `*` matches at least one character."""
        if (found := self._exact.get(host)) is not None:
            return found
        return next(
            (
                value
                for suffix, value in self._wildcards.items()
                if host.endswith(suffix) and len(host) > len(suffix)
            ),
            None,
        )
