"""Reach: whether something listens where a cluster says it is served, by plain blocking sockets.

For the command line only, which has nothing else to do meanwhile; many places are tried at once.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass

from mirror_proxy.config.model import Address, Cluster
from mirror_proxy.upstream.tls import client_context

MAX_CONNECT_S = 3.0
AT_ONCE = 16


@dataclass(frozen=True, slots=True)
class Reached:
    """What trying one place gave: the addresses its name stands for, and why none could be used, if so.

    `is_unresolved`: the name means nothing, now and from here.
    """

    resolved: frozenset[tuple[str, int]]
    failure: str = ""
    is_unresolved: bool = False


def reach_all(
    clusters: Iterable[Cluster], on_progress: Callable[[str], None]
) -> dict[tuple[str, Address], Reached]:
    """Try every endpoint of every cluster; give the outcomes by cluster name and address."""
    places = [(cluster, endpoint.address) for cluster in clusters for endpoint in cluster.endpoints]
    reached: dict[tuple[str, Address], Reached] = {}
    with ThreadPoolExecutor(AT_ONCE) as pool:
        tried = {pool.submit(reach, cluster, address): (cluster, address) for cluster, address in places}
        for done in as_completed(tried):
            cluster, address = tried[done]
            reached[cluster.name, address] = done.result()
            on_progress(f"{len(reached)}/{len(places)} {address}")
    return reached


def reach(cluster: Cluster, address: Address) -> Reached:
    """Resolve `address`, connect to the first of what it stands for that accepts, and speak TLS if it should."""
    try:
        found = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
    except OSError as error:
        return Reached(frozenset(), f"does not resolve: {error.strerror or error}", is_unresolved=True)
    resolved = frozenset((str(where[0]), int(where[1])) for *_, where in found)
    failure = "no address"
    for family, kind, number, _, where in found:
        try:
            with socket.socket(family, kind, number) as connection:
                connection.settimeout(min(cluster.connect_timeout_s, MAX_CONNECT_S))
                connection.connect(where)
                return Reached(resolved, _handshake(connection, cluster))
        except OSError as error:
            failure = f"cannot be connected to: {error.strerror or error}"
    return Reached(resolved, failure)


def _handshake(connection: socket.socket, cluster: Cluster) -> str:
    """Speak TLS where the cluster does; say why that fails, or nothing."""
    if cluster.tls is None:
        return ""
    name = cluster.tls.sni or cluster.host
    try:
        name.encode("idna")  # first: where wrap_socket finds it wrong, it leaks its socket
        client_context(cluster.tls).wrap_socket(connection, server_hostname=name).close()
    except (ssl.SSLError, OSError, ValueError) as error:
        return f"TLS fails: {getattr(error, 'verify_message', '') or getattr(error, 'reason', '') or error}"
    return ""
