"""Configurations of several routes and destinations on loopback."""

from __future__ import annotations

from typing import Any

from mirror_proxy.config.model import (
    Cluster,
    Config,
    Destination,
    Match,
    MirrorPolicy,
    Route,
    Settings,
    StringMatch,
    VirtualHost,
)
from tests.support.origin import Origin
from tests.support.plane import NO_SHED, local_cluster


def clusters_of(**origins: Origin | int) -> tuple[Cluster, ...]:
    """Make a cluster for each origin or port, under its name."""
    ports = {name: one if isinstance(one, int) else one.port for name, one in origins.items()}
    return tuple(local_cluster(name, port) for name, port in ports.items())


def config_of(
    *routes: Route, clusters: tuple[Cluster, ...] = (), settings: dict[str, Any] | None = None
) -> Config:
    """Put routes into one virtual host for all."""
    return Config(
        Settings(**{"shed": NO_SHED, **(settings or {})}), clusters, (VirtualHost("any", ("*",), routes),)
    )


def route(name: str, *destinations: str | Destination, mirror: str = "", **changes: Any) -> Route:
    """Make a route to clusters by name; with `mirror`, to a cluster of that name a mirror called so."""
    return Route(
        name,
        tuple(Destination(one, one) if isinstance(one, str) else one for one in destinations),
        (MirrorPolicy(mirror, mirror),) if mirror else (),
        **changes,
    )


def at(kind: str, value: str, **others: Any) -> tuple[Match, ...]:
    """Make the one block of conditions that asks for a path."""
    return (Match(path=StringMatch(kind, value), **others),)
