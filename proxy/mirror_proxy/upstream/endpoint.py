"""One address of a cluster: its idle connections, and what is going on there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mirror_proxy.config.model import Address

if TYPE_CHECKING:
    from mirror_proxy.upstream.connection import UpstreamConnection
    from mirror_proxy.upstream.health import EndpointHealth
    from mirror_proxy.upstream.outlier import EndpointMonitor


class UpstreamEndpoint:
    """`active` counts the requests it is working on, `connecting` the connections on their way to it.

    It lives as long as `resolved`, its address, belongs to the cluster; `is_current` is False once it does not.
    `address` is where it is connected to: `resolved`, or `alternative`, an address of the other family, while only
    that accepts. Without outlier detection it has no `monitor`, without health checks no `health`.
    """

    __slots__ = (
        "active", "address", "alternative", "connecting", "health", "idle", "is_current", "label", "monitor",
        "resolved", "weight",
    )  # fmt: skip

    def __init__(self, address: Address, weight: int = 1) -> None:
        self.resolved = self.address = address
        self.alternative: Address | None = None
        self.weight = weight
        self.active = self.connecting = 0
        self.label = str(address)
        self.is_current = True
        self.idle: list[UpstreamConnection] = []
        self.monitor: EndpointMonitor | None = None
        self.health: EndpointHealth | None = None

    def __repr__(self) -> str:
        return f"<UpstreamEndpoint {self.label} active={self.active}>"

    @property
    def is_ejected(self) -> bool:
        """Return whether outlier detection leaves it out."""
        return self.monitor is not None and self.monitor.is_ejected

    @property
    def is_unhealthy(self) -> bool:
        """Return whether health checks exclude the endpoint, or its first check has not ended."""
        return self.health is not None and not self.health.is_healthy

    @property
    def is_pending(self) -> bool:
        """Return whether its first health check has not ended."""
        return self.health is not None and self.health.is_pending

    @property
    def is_fit(self) -> bool:
        """Return whether neither outlier detection nor a health check leaves it out."""
        return not (self.is_ejected or self.is_unhealthy)

    @property
    def health_flags(self) -> str:
        """Why it is left out, in Envoy's words, or `healthy`."""
        flags = (
            ("/failed_active_hc", self.is_unhealthy),
            ("/failed_outlier_check", self.is_ejected),
            ("/pending_active_hc", self.is_pending),
        )
        return "".join(name for name, is_set in flags if is_set) or "healthy"

    def set_alternative(self, address: Address | None) -> None:
        """Name an address of the other family, None where there is none."""
        if address != self.alternative:
            self.alternative = address
            self.use(self.resolved)

    def addresses(self) -> list[Address]:
        """Return what to connect to, in this order: where it connected last, then the other family's address."""
        if self.alternative is None:
            return [self.address]
        other = self.resolved if self.address == self.alternative else self.alternative
        return [self.address, other]

    def use(self, address: Address) -> None:
        """Connect to `address` first from now on: it accepts connections."""
        self.address = address
        self.label = str(address)

    def remove(self, connection: UpstreamConnection) -> None:
        """Forget an idle connection that was closed."""
        if connection in self.idle:
            self.idle.remove(connection)

    def retire(self) -> None:
        """Leave the cluster: close what is idle; what is busy ends with its request."""
        self.is_current = False
        self.close_idle()

    def close_idle(self) -> None:
        """Close every idle connection."""
        for connection in list(self.idle):
            connection.close()
