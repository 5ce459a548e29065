"""Registry: what stands behind a host and a subset: endpoints, and how to connect to them.

Endpoints are looked for in `--endpoint`, then ServiceEntry, then Kubernetes' Service with its workloads; a host that
none of them knows is a DNS name. Clusters get Istio's names (`outbound|<port>|<subset>|<fqdn>`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from mirror_proxy.config.host_map import HostMap
from mirror_proxy.config.istio.destination_rule import DestinationRule, Subset
from mirror_proxy.config.istio.names import SERVICE_SUFFIX, fqdn
from mirror_proxy.config.model import Cluster
from mirror_proxy.config.options import Options
from mirror_proxy.config.overrides import Overrides
from mirror_proxy.config.policies import Policies
from mirror_proxy.config.problems import Problems, did_you_mean
from mirror_proxy.config.reference import NO_ENDPOINTS, Reference
from mirror_proxy.config.rules import Target
from mirror_proxy.config.service import ENCRYPTED, Service

UNMATCHED = "The host {} defined in the DestinationRule does not match any services in the mesh."
MAX_GUESSES = 200  # hosts among which a misspelt one is looked for


class Registry:
    """Looks targets up. Of two services for one host the first is taken."""

    def __init__(
        self,
        services: Iterable[Service],
        rules: Iterable[DestinationRule],
        options: Options,
        listener_port: int,
    ) -> None:
        self._services: HostMap[Service] = HostMap()
        self._overrides = Overrides(options.endpoints, options.namespace)
        self._policies = Policies(rules)
        self._listener_port = listener_port
        for service in services:
            if (first := self._services.get(service.host)) is None:
                self._services.add(service.host, service)
            else:
                service.place.warn(f"ignored: {first.place.subject} defines {service.host}")

    def cluster(self, target: Target, *, mirror: bool = False) -> Cluster | None:
        """Return the cluster of a target, or None after reporting why there is none; `mirror` words the report."""
        if "_" in target.host:
            target.place.warn(f"a mesh would refuse the host {target.host} for its underscore")
        host = fqdn(target.host, target.namespace)
        is_url = target.place.node.mark.is_flag  # and so says itself where it is
        service = None if is_url else self._services.find(host)
        rule = self._policies.find(host, target.namespace, service.namespace if service else _namespace(host))
        subset = rule.subset(target.subset) if rule else None
        reference = Reference(
            target,
            host,
            mirror,
            overrides=self._overrides.find(host, target.subset),
            service=service,
            labels=self._labels(host, target.subset, subset),
            must_be_known=bool(self._services) and not is_url and host not in self._overrides.hosts,
        )
        if not reference.is_sound(self._hint):
            return None
        port = reference.port(self._listener_port)
        endpoints = reference.endpoints(port)
        if endpoints is None:
            return None
        policy = rule.policy_at(port, subset) if rule else {}
        cluster = Cluster(f"outbound|{port}|{target.subset}|{host}", target.host, endpoints, **policy)
        if service and not reference.overrides:
            _warn_of_protocol(service, port, cluster)
        return cluster

    def _labels(self, host: str, name: str, subset: Subset | None) -> Mapping[str, str] | None:
        """Return what a subset selects by; None when nothing defines it."""
        if subset:
            return subset.labels
        return {} if not name or self._overrides.has(host, name) else None

    def _hint(self, target: Target) -> str:
        """Say what may help with a host that nothing defines."""
        full = fqdn(target.host, target.namespace)
        if full != target.host and self._services.find(target.host):
            return f"a ServiceEntry's hosts are full names: {full}"
        if self._services.find(f"{target.host}{SERVICE_SUFFIX}"):
            return f"write {target.host}{SERVICE_SUFFIX}"
        known = [service.host for service in self._services]
        suffix = full.removeprefix(target.host)
        near = did_you_mean(target.host, (host.removesuffix(suffix) for host in known[:MAX_GUESSES]))
        return near or f"define it, or give --endpoint {target.label}=ADDRESS:PORT"

    def warn_of_unused(self, problems: Problems) -> None:
        """Warn of DestinationRules without a host, of subsets without a workload, of `--endpoint` without a use."""
        for rule in self._policies:
            if not (self._policies.is_used(rule) or self._is_known(rule.host)):
                rule.place.at("spec").at("host").warn(UNMATCHED.format(rule.host))
            for subset in rule.subsets:
                if self._selects_nothing(rule.host, subset):
                    subset.place.warn(NO_ENDPOINTS.format(subset.name))
        self._overrides.warn_of_unused(problems)

    def _is_known(self, host: str) -> bool:
        """Tell whether a DestinationRule's host, perhaps with a wildcard, stands for a known one."""
        if not host.startswith("*"):
            return host in self._overrides.hosts or self._services.find(host) is not None
        known = (*self._overrides.hosts, *(service.host for service in self._services))
        return any(one.endswith(host[1:]) for one in known)

    def _selects_nothing(self, host: str, subset: Subset) -> bool:
        service = self._services.find(host)
        if service is None or not subset.labels or self._overrides.covers(host, subset.name):
            return False
        return not service.selects(subset.labels)


def _namespace(host: str) -> str:
    """Return the namespace that the full name of a service ends with."""
    parts = host.removesuffix(SERVICE_SUFFIX).split(".")
    return parts[1] if host.endswith(SERVICE_SUFFIX) and len(parts) == 2 else ""


def _warn_of_protocol(service: Service, port: int, cluster: Cluster) -> None:
    """Warn where a port is said to speak other than what is spoken to it."""
    known = service.port(port)
    if known is None or not known.protocol or (known.protocol in ENCRYPTED and cluster.tls):
        return
    hint = "a DestinationRule with tls encrypts it" if known.protocol in ENCRYPTED else ""
    known.place.warn(f"port {port} speaks {known.protocol}, and HTTP/1.1 in plain text is spoken to it", hint)
