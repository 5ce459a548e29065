"""Service: a host that the files define, and its workloads: the common form of ServiceEntry and Kubernetes' Service.

`registry` looks targets up among these, whichever dialect they came from.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from mirror_proxy.config.model import Address, Endpoint, is_unix
from mirror_proxy.config.node import Place

ENCRYPTED = frozenset(("https", "tls"))
OTHERS = ENCRYPTED | {"http2", "grpc", "tcp", "udp", "mongo", "redis", "mysql"}


def other_protocol(name: str) -> str:
    """Return a protocol in lower case when it is known not to be HTTP/1.1, else nothing."""
    protocol = name.lower()
    return protocol if protocol in OTHERS else ""


@dataclass(frozen=True, slots=True)
class ServicePort:
    """A port of a service; `protocol` is empty unless the files declare another than HTTP/1.1."""

    place: Place
    number: int
    name: str = ""
    protocol: str = ""


@dataclass(frozen=True, slots=True)
class Workload:
    """One workload of a service, with its own port for each of the service's (None: the same).

    `host` is a DNS name, an IP address or the path of a unix socket.
    """

    host: str
    ports: Mapping[int, int] | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    weight: int = 1

    def port(self, number: int) -> int | None:
        """Return its own port for one of the service's, if it has any."""
        return number if self.ports is None else self.ports.get(number)

    def has_labels(self, labels: Mapping[str, str]) -> bool:
        """Return whether the workload has all `labels`."""
        return self.labels.items() >= labels.items()


@dataclass(frozen=True, slots=True)
class Service:
    """A known host: its ports, and the workloads behind it.

    `host` is a full name, perhaps with a leading `*`. `workloads` None: the files do not say where it runs, and its
    name is resolved by DNS.
    """

    place: Place
    host: str
    namespace: str
    ports: tuple[ServicePort, ...]
    workloads: tuple[Workload, ...] | None = None

    def port(self, number: int) -> ServicePort | None:
        """Return one of its ports."""
        return next((port for port in self.ports if port.number == number), None)

    def endpoints(self, port: int, labels: Mapping[str, str]) -> tuple[Endpoint, ...]:
        """Return where a port is served by the workloads that bear all `labels`."""
        return tuple(
            Endpoint(Address(workload.host, 0 if is_unix(workload.host) else own), workload.weight)
            for workload in self.workloads or ()
            if workload.has_labels(labels) and (own := workload.port(port))
        )

    @property
    def is_local(self) -> bool:
        """Return whether every address is a unix socket; such a service does not make undefined hosts an error."""
        return bool(self.workloads) and all(is_unix(workload.host) for workload in self.workloads or ())

    def selects(self, labels: Mapping[str, str]) -> bool:
        """Return whether any workload of the service has all `labels`."""
        return any(workload.has_labels(labels) for workload in self.workloads or ())
