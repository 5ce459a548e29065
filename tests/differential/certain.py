"""A configuration without chance: what may happen does, and the heaviest destination takes everything."""

from __future__ import annotations

from dataclasses import replace

from mirror_proxy.config.model import Config, Destination, Fault, MirrorPolicy, Route, Share


def certain(config: Config) -> Config:
    """Return `config` with every share that is neither nothing nor all made all."""
    hosts = tuple(
        replace(host, routes=tuple(_route(route) for route in host.routes)) for host in config.virtual_hosts
    )
    return replace(config, virtual_hosts=hosts)


def _route(route: Route) -> Route:
    return replace(
        route,
        destinations=_destinations(route.destinations),
        mirrors=tuple(_mirror(mirror) for mirror in route.mirrors),
        fault=route.fault and _fault(route.fault),
    )


def _destinations(destinations: tuple[Destination, ...]) -> tuple[Destination, ...]:
    heaviest = max(destinations, key=lambda one: one.weight, default=None)
    return tuple(one if one is heaviest else replace(one, weight=0) for one in destinations)


def _mirror(mirror: MirrorPolicy) -> MirrorPolicy:
    return replace(mirror, numerator=mirror.denominator) if mirror.numerator else mirror


def _fault(fault: Fault) -> Fault:
    return replace(
        fault, delay=fault.delay and _share(fault.delay), abort=fault.abort and _share(fault.abort)
    )


def _share(share: Share) -> Share:
    return replace(share, numerator=share.denominator) if share.numerator else share
