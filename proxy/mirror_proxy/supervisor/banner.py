"""The first lines of the log: version, addresses and upstreams, and a warning if a primary cannot be reached."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Iterator, Mapping
from itertools import islice

from mirror_proxy.config.model import Address, Cluster, Config, Route
from mirror_proxy.telemetry.event import Event, event

_REACH_S = 3.0
_MOST = 20  # lines and connections; a mesh may have thousands
_log = logging.getLogger(__name__)


def lines(config: Config, version: str, listening: list[Address], admin: Address) -> Iterator[Event]:
    """Yield the lines; `listening` and `admin` are the bound addresses."""
    clusters = {cluster.name: cluster for cluster in config.clusters}
    yield event("mirror-proxy", version=version)
    for address, listener in zip(listening, config.settings.listeners, strict=True):
        yield event("listening", address=address_with_scheme(address, is_tls=listener.tls is not None))
    found = (one for route in config.routes() for one in _upstreams(route, clusters))
    upstreams = {str(one): one for one in found}.values()
    yield from islice(upstreams, _MOST)
    if len(upstreams) > _MOST:
        yield event("more primaries and mirrors, see mirror-proxy check", number=len(upstreams) - _MOST)
    yield event("admin", address=f"http://{admin}")


def _upstreams(route: Route, clusters: Mapping[str, Cluster]) -> Iterator[Event]:
    for destination in route.destinations:
        yield event("primary", address=_url(clusters[destination.cluster]))
    for mirror in route.mirrors:
        methods = mirror.mirroring.methods
        yield event(
            "baseline" if mirror.is_baseline else "mirror",
            name=mirror.name,
            address=_url(clusters[mirror.cluster]),
            percent=mirror.percent,
            methods="all" if methods is None else ",".join(sorted(methods)),
        )


async def warn_of_unreachable_primaries(config: Config) -> None:
    """Connect to the first few primaries once, and log a warning for each failure: it may start later."""
    clusters = {cluster.name: cluster for cluster in config.clusters}
    names = {destination.cluster for route in config.routes() for destination in route.destinations}
    await asyncio.gather(
        *(_try_to_reach(clusters[name]) for name in sorted(names)[:_MOST] if clusters[name].endpoints)
    )


async def _try_to_reach(cluster: Cluster) -> None:
    address = cluster.endpoints[0].address
    try:
        async with asyncio.timeout(_REACH_S):
            if address.is_unix:
                _, writer = await asyncio.open_unix_connection(address.socket_path)
            else:
                _, writer = await asyncio.open_connection(address.host, address.port)
    except TimeoutError:
        reason = f"no answer within {_REACH_S:g} s"
    except OSError as error:
        number = error.errno or 0  # negative if the look-up failed: those have numbers of their own
        reason = os.strerror(number) if number > 0 else error.strerror or str(error)
    else:
        writer.close()
        return
    _log.warning(
        event("primary cannot be reached, requests get 503 until it can", primary=_url(cluster), error=reason)
    )


def _url(cluster: Cluster) -> str:
    if not cluster.endpoints:
        return f"nowhere ({cluster.host} has no endpoints)"
    return address_with_scheme(cluster.endpoints[0].address, is_tls=cluster.tls is not None)


def address_with_scheme(address: Address, *, is_tls: bool) -> str:
    """Write an address as a URL; of a unix socket, `unix` is the scheme."""
    return str(address) if address.is_unix else f"{'https' if is_tls else 'http'}://{address}"
