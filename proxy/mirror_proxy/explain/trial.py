"""Trial: send one request through a real data plane on loopback, with recorders in place of upstreams."""

from __future__ import annotations

import asyncio
import secrets
import socket
import ssl
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from typing import cast

from mirror_proxy.config.model import (
    Address,
    Cluster,
    Config,
    Endpoint,
    Listener,
    ListenerTls,
    Mirroring,
    Route,
    VirtualHost,
)
from mirror_proxy.mirror.policy import shadow_host
from mirror_proxy.worker.data_plane import DataPlane

HOST = "127.0.0.1"
BOUND_S = 10.0
HEAD_END = b"\r\n\r\n"
#: The response of every recorder.
RESPONSE = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"


@dataclass(slots=True)
class TrialResult:
    """The result: the head of the response, the request head that each cluster received, and each mirror's outcome."""

    response: bytes = b""
    heads: dict[str, bytes] = field(default_factory=dict)
    outcomes: dict[str, str] = field(default_factory=dict)


def with_route(config: Config, route: Route) -> Config:
    """Return a configuration in which `route` alone takes every host, with only its clusters."""
    wanted = {one.cluster for one in route.destinations} | {one.cluster for one in route.mirrors}
    clusters = tuple(cluster for cluster in config.clusters if cluster.name in wanted)
    return replace(config, clusters=clusters, virtual_hosts=(VirtualHost("trial", ("*",), (route,)),))


def mirrored(config: Config, host: VirtualHost, route: Route, path: str) -> tuple[Config, bytes]:
    """Return a configuration in which `route` takes and mirrors every request, and a GET of `path` for its host."""
    clusters = {cluster.name: cluster for cluster in config.clusters}
    mirrors = tuple(
        replace(
            mirror,
            numerator=1,
            denominator=1,
            mirroring=_with_host(mirror.mirroring, clusters[mirror.cluster]),
        )
        for mirror in route.mirrors
        if not mirror.is_baseline
    )
    literal = next((domain for domain in host.domains if "*" not in domain), None)
    authority = literal or clusters[route.destinations[0].cluster].authority
    wire = (
        f"GET {path} HTTP/1.1\r\nhost: {authority}\r\nuser-agent: mirror-proxy-check\r\naccept: */*\r\n\r\n"
    )
    return with_route(config, replace(route, matches=(), mirrors=mirrors)), wire.encode("ascii")


def _with_host(mirroring: Mirroring, cluster: Cluster) -> Mirroring:
    """Return the limits of a mirror with the Host that shadows have: a recorder has another address."""
    return (
        mirroring if mirroring.host == "primary" else replace(mirroring, host=shadow_host(mirroring, cluster))
    )


async def run(config: Config, wire: bytes, tls: ListenerTls | None = None) -> TrialResult:
    """Send `wire`, over TLS when the listener has it, through a data plane that runs on `config`.

    Recorders use plain text. Raises `TimeoutError` without a response, `OSError` when TLS files cannot be used.
    """
    result = TrialResult()
    async with AsyncExitStack() as stack:
        stack.push_async_callback(asyncio.sleep, 0)  # last: aborted transports close in the loop's next turn
        clusters = [await _recorded(cluster, result, stack) for cluster in config.clusters]
        plane = DataPlane(
            replace(config, clusters=tuple(clusters)),
            generation=1,
            mark_key=secrets.token_bytes(32),
            access_log=None,
        )
        listener = socket.create_server((HOST, 0))
        port = listener.getsockname()[1]
        await plane.start([(Listener(Address(HOST, port), tls), listener)])
        stack.push_async_callback(plane.finish, 0)
        stack.callback(plane.stop_accepting)
        async with asyncio.timeout(BOUND_S):
            result.response = await _send(port, wire, tls)
            result.outcomes = await _outcomes(plane, config)
    return result


class RecordingUpstream(asyncio.Protocol):
    """An upstream that records the head of a request and responds."""

    def __init__(self, keep: Callable[[bytes], None], stack: AsyncExitStack) -> None:
        self._keep = keep
        self._stack = stack
        self._received = b""
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport until the trial ends."""
        self._transport = cast("asyncio.Transport", transport)
        self._stack.callback(self._transport.abort)

    def data_received(self, data: bytes) -> None:
        """Respond once the head is complete."""
        self._received += data
        head, end, _ = self._received.partition(HEAD_END)
        if end:
            self._keep(head + end)
            self._transport.write(RESPONSE)
            self._received = b""


async def _recorded(cluster: Cluster, result: TrialResult, stack: AsyncExitStack) -> Cluster:
    """Return the cluster with a recorder as its only endpoint."""

    def keep(head: bytes) -> None:
        result.heads[cluster.name] = head

    server = await asyncio.get_running_loop().create_server(lambda: RecordingUpstream(keep, stack), HOST, 0)
    stack.callback(server.close)
    address = Address(HOST, server.sockets[0].getsockname()[1])
    return replace(cluster, endpoints=(Endpoint(address),), tls=None, health_check=None, proxy_protocol=None)


async def _send(port: int, wire: bytes, tls: ListenerTls | None) -> bytes:
    """Send a request; return the head of the response, or the part received before the connection closed."""
    context = None
    if tls is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE  # this process itself responds
    reader, writer = await asyncio.open_connection(HOST, port, ssl=context)
    try:
        writer.write(wire)
        return await reader.readuntil(HEAD_END)
    except asyncio.IncompleteReadError as error:
        return error.partial
    finally:
        writer.close()


async def _outcomes(plane: DataPlane, config: Config) -> dict[str, str]:
    """Return every mirror's outcome once each that was tried has one."""
    [host] = config.virtual_hosts
    wanted = {mirror.name for route in host.routes for mirror in route.mirrors}
    while True:
        counts = plane.report().get("mirror_requests_total", {})
        found = {name: outcome for (_, name, outcome), count in counts.items() if count}
        in_flight = any(plane.report().get("mirror_in_flight", {}).values())
        if not in_flight and (not found or wanted <= found.keys()):
            return found
        await asyncio.sleep(0.002)
