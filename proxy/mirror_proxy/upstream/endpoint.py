"""One address of a cluster: its idle connections, and what is going on there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mirror_proxy.config.model import Address

if TYPE_CHECKING:
    from mirror_proxy.upstream.connection import UpstreamConnection
    from mirror_proxy.upstream.outlier import EndpointMonitor


class UpstreamEndpoint:
    """`active` counts the requests it is working on, `connecting` the connections on their way to it.

    It lives as long as its address belongs to the cluster; `is_current` is False once it does not. Without outlier
    detection it has no `monitor`.
    """

    __slots__ = ("active", "address", "connecting", "idle", "is_current", "label", "monitor", "weight")

    def __init__(self, address: Address, weight: int = 1) -> None:
        self.address = address
        self.weight = weight
        self.active = self.connecting = 0
        self.label = str(address)
        self.is_current = True
        self.idle: list[UpstreamConnection] = []
        self.monitor: EndpointMonitor | None = None

    def __repr__(self) -> str:
        return f"<UpstreamEndpoint {self.label} active={self.active}>"

    @property
    def is_ejected(self) -> bool:
        """Tell whether outlier detection leaves it out."""
        return self.monitor is not None and self.monitor.is_ejected

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
