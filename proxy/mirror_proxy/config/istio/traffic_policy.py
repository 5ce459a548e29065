"""TrafficPolicy: what a DestinationRule says of connections, for a host, a subset or a port.

Sources: istio/api destination_rule.proto, istio pkg/config/validation/validation.go (`validateTrafficPolicy`),
pilot/pkg/networking/core/util.go (`MergeTrafficPolicy`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mirror_proxy.config.istio.client_tls import TLS
from mirror_proxy.config.istio.connection_pool import CONNECTION_POOL
from mirror_proxy.config.istio.fields import is_written
from mirror_proxy.config.istio.load_balancer import LOAD_BALANCER
from mirror_proxy.config.istio.names import PORT_SELECTOR
from mirror_proxy.config.istio.outlier_detection import OUTLIER_DETECTION
from mirror_proxy.config.node import Place
from mirror_proxy.config.schema import Field, Ignored, ListOf, Record, Refused

Components = Mapping[str, Mapping[str, Any]]
NOT_HERE = "has no meaning outside a mesh"


@dataclass(frozen=True, slots=True)
class TrafficPolicy:
    """Fields of a Cluster by the component that says them, for all ports and for single ones."""

    components: Components = field(default_factory=dict)
    ports: Mapping[int, Components] = field(default_factory=dict)

    def fields(self, port: int, below: TrafficPolicy) -> dict[str, Any]:
        """Return the fields at a port when this policy, of a subset, lies over its host's.

        A component replaces the host's whole; a port's own components replace everything, its silence included.
        """
        if port in self.ports:
            components = self.ports[port]
        else:
            components = {**below.ports.get(port, below.components), **self.components}
        return {name: value for said in components.values() for name, value in said.items()}


def _policy(place: Place, ports: tuple[tuple[int, Components], ...] = (), **components: Any) -> TrafficPolicy:
    if not is_written(place, *(known.key for known in TRAFFIC_POLICY.fields)):
        raise ValueError("traffic policy must have at least one field")
    if is_written(place, "tunnel") and is_written(place, "proxyProtocol"):
        raise ValueError("tunnel and proxyProtocol must not be set together")
    return TrafficPolicy(components, dict(reversed(ports)))


def _port_policy(place: Place, port: int, **components: Any) -> tuple[int, Components]:
    if not is_written(place, *(known.key for known in COMPONENTS)):
        raise ValueError("port traffic policy must have at least one field")
    return port, components


COMPONENTS = (
    Field("loadBalancer", "load_balancer", LOAD_BALANCER),
    Field("connectionPool", "connection_pool", CONNECTION_POOL),
    Field("outlierDetection", "outlier_detection", OUTLIER_DETECTION),
    Field("tls", "tls", TLS),
)
PORT_POLICY = Record(
    _port_policy,
    (
        Field("port", "port", PORT_SELECTOR, required=True, missing="portTrafficPolicy must have valid port"),
        *COMPONENTS,
    ),
    placed=True,
    is_proto=True,
)
TRAFFIC_POLICY = Record(
    _policy,
    (
        *COMPONENTS,
        Field("portLevelSettings", "ports", ListOf(PORT_POLICY, null="traffic policy may not be null")),
        Field("tunnel", "", Refused(NOT_HERE)),
        Field("proxyProtocol", "", Refused(NOT_HERE)),
        Field("retryBudget", "", Ignored()),
    ),
    placed=True,
    is_proto=True,
)
