"""Validate: what no single document can tell, checked on the whole model before it is used."""

from __future__ import annotations

from collections.abc import Mapping

from mirror_proxy.config.model import Address, Cluster, Settings
from mirror_proxy.config.node import Place

WILDCARDS = frozenset(("0.0.0.0", "::"))
LOOPBACKS = frozenset(("127.0.0.1", "::1", "localhost"))


def check_doors(settings: Settings, place: Place) -> None:
    """Report listeners, admin and metrics addresses of which two cannot be bound together."""
    doors = [(listener.address, f"listener {listener.address}") for listener in settings.listeners]
    doors.append((settings.admin.address, f"admin {settings.admin.address}"))
    if settings.metrics:
        doors.append((settings.metrics, f"metrics {settings.metrics}"))
    for index, (address, name) in enumerate(doors):
        for other, other_name in doors[:index]:
            if _clash(address, other):
                place.refuse(f"{name} takes the address of {other_name}", "give each its own port")


def _clash(one: Address, other: Address) -> bool:
    if one.port != other.port or one.port == 0:
        return False
    hosts = {one.host, other.host}
    return len(hosts) == 1 or len(hosts & WILDCARDS) == 1


def check_loops(settings: Settings, clusters: Mapping[str, Cluster], places: Mapping[str, Place]) -> None:
    """Report clusters that lead back to one of the proxy's own listeners."""
    for name, cluster in clusters.items():
        for listener in settings.listeners:
            address = next(
                (one.address for one in cluster.endpoints if _leads_to(one.address, listener.address)), None
            )
            if address is not None:
                places[name].refuse(
                    f"{address} is this proxy's own listener: requests would go round for ever",
                    "listen on another port or name another upstream",
                )


def _leads_to(target: Address, own: Address) -> bool:
    if target.port != own.port or own.port == 0:
        return False
    if own.host in WILDCARDS:
        return target.host in LOOPBACKS | WILDCARDS
    return target.host == own.host or (
        "localhost" in (target.host, own.host) and {target.host, own.host} <= LOOPBACKS
    )
