"""Reference: one target beside all that is known of its host, and what follows for its port and endpoints.

A reference that dangles is refused in the words of `istioctl analyze` (IST0101, IST0112, IST0173).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from mirror_proxy.config.model import Address, Endpoint, is_ip
from mirror_proxy.config.rules import Target
from mirror_proxy.config.service import Service

NO_ENDPOINTS = (
    "The Subset {} defined in the DestinationRule does not select any pods."
    " Which may lead to 503 UH (NoHealthyUpstream)."
)
SEVERAL_PORTS = (
    'This VirtualService routes to a service "{}" that exposes multiple ports [{}].'
    " Specifying a port in the destination is required to disambiguate."
)


@dataclass(frozen=True, slots=True)
class Reference:
    """A target, the full name of its host, and what is known of that.

    `overrides` are what `--endpoint` says of it; `labels` what its subset selects by, None when nothing defines the
    subset. `must_be_known`: the files define hosts, so this one should be among them.
    """

    target: Target
    host: str
    is_mirror: bool
    overrides: tuple[Address, ...]
    service: Service | None
    labels: Mapping[str, str] | None
    must_be_known: bool

    def is_sound(self, hint: Callable[[Target], str]) -> bool:
        """Tell whether subset, host and port exist; report what does not, a host with a hint."""
        return self._has_subset() and self._has_host(hint) and self._has_port()

    def _has_subset(self) -> bool:
        if self.labels is not None:
            return True
        kind = "mirror+subset" if self.is_mirror else "host+subset"
        self._refuse_missing(f"{kind} in destinationrule", f"{self.target.host}+{self.target.subset}")
        return False

    def _has_host(self, hint: Callable[[Target], str]) -> bool:
        is_own_address = is_ip(self.host) or not self.must_be_known
        if self.overrides or self.service or (is_own_address and not self.labels):
            return True
        kind = "mirror host" if self.is_mirror else "host"
        self._refuse_missing(kind, self.target.host, hint(self.target))
        return False

    def _has_port(self) -> bool:
        service, wanted = self.service, self.target.port
        if service is None or self.overrides:
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
        if self.overrides:
            return self.overrides[0].port
        self.target.place.warn(f"no port: {listener_port} is taken", "set port.number")
        return listener_port

    def endpoints(self, port: int) -> tuple[Endpoint, ...] | None:
        """Return where the target is served at a port, or None after reporting that its subset selects nothing."""
        if self.overrides:
            return tuple(Endpoint(address) for address in self.overrides)
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
