"""Registry: what stands behind a host and a subset: endpoints, and how to connect to them.

Clusters get Istio's names (`outbound|<port>|<subset>|<fqdn>`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from proxy.config.istio.destination_rule import DestinationRule, TrafficPolicy
from proxy.config.istio.names import fqdn
from proxy.config.model import Address, Cluster, Endpoint
from proxy.config.rules import Target


class Registry:
    """Looks targets up."""

    def __init__(self, policies: Iterable[DestinationRule], listener_port: int) -> None:
        self._policies: dict[str, DestinationRule] = {}
        self._used: set[str] = set()
        self._listener_port = listener_port
        for policy in policies:
            if self._policies.setdefault(policy.host, policy) is not policy:
                policy.place.warn(f"ignored: another DestinationRule for {policy.host} comes first")

    def cluster(self, target: Target) -> Cluster:
        """Return the cluster of a target."""
        if "_" in target.host:
            target.place.warn(f"a mesh would refuse the host {target.host} for its underscore")
        host = fqdn(target.host, target.namespace)
        port = target.port or self._listener_port
        policy = TrafficPolicy()
        if host in self._policies:
            self._used.add(host)
            policy = self._policies[host].at(port)
        cluster = Cluster(
            name=f"outbound|{port}||{host}",
            host=target.host,
            endpoints=(Endpoint(Address(target.host, port)),),
            tls=policy.tls,
            max_connections=policy.max_connections,
            max_pending=policy.max_pending,
        )
        return replace(
            cluster,
            connect_timeout_s=policy.connect_timeout_s or cluster.connect_timeout_s,
            idle_timeout_s=policy.idle_timeout_s or cluster.idle_timeout_s,
        )

    def warn_of_unused(self) -> None:
        """Warn of each DestinationRule whose host no route leads to."""
        for host in self._policies.keys() - self._used:
            self._policies[host].place.warn(
                f"The host {host} defined in the DestinationRule does not match any services in the mesh."
            )
