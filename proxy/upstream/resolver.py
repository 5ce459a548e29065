"""Keep every cluster's addresses current, in the background.

Each DNS name has a task of its own, so a dead name delays no other; c-ares asks without libuv's few resolver
threads. Names are asked again when their TTL ends, at the latest after `REFRESH_S`; the last good addresses
stay when an answer fails.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Iterable

import aiodns

from proxy import tasks
from proxy.config.model import Address, is_ip
from proxy.upstream.cluster import Cluster

REFRESH_S = 5.0
_RETRY_S = 1.0
_FIRST_ANSWER_S = 2.0

_log = logging.getLogger(__name__)


class Resolver:
    """The look-ups of one worker."""

    def __init__(self, clusters: Iterable[Cluster]) -> None:
        self._names: dict[str, list[Cluster]] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._channel: aiodns.DNSResolver | None = None
        for cluster in clusters:
            address = cluster.config.endpoints[0].address
            if is_ip(address.host):
                cluster.set_addresses([address])
            else:
                self._names.setdefault(address.host, []).append(cluster)

    async def start(self) -> None:
        """Begin; returns once every name was asked once, or after two seconds with the rest still open."""
        if not self._names:
            return
        channel = self._channel = aiodns.DNSResolver(timeout=2.0, tries=2)
        asked = [asyncio.Event() for _ in self._names]
        for (name, clusters), first in zip(self._names.items(), asked, strict=True):
            self._tasks.append(tasks.spawn(self._follow(channel, name, clusters, first), f"resolve {name}"))
        try:
            async with asyncio.timeout(_FIRST_ANSWER_S):
                for first in asked:
                    await first.wait()
        except TimeoutError:
            pass

    async def stop(self) -> None:
        """Ask no more."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._channel is not None:
            await self._channel.close()

    async def _follow(
        self, channel: aiodns.DNSResolver, name: str, clusters: list[Cluster], first: asyncio.Event
    ) -> None:
        failed = False
        while True:
            try:
                hosts, ttl_s = await _look_up(channel, name)
            except (aiodns.error.DNSError, OSError) as error:
                wait_s = _RETRY_S
                for cluster in clusters:
                    cluster.stats.resolve_failures += 1
                if not failed:
                    _log.warning("%s does not resolve: %s; asking again every second", name, error.args[-1])
                failed = True
            else:
                wait_s = min(max(ttl_s, _RETRY_S), REFRESH_S)
                if failed:
                    _log.info("%s resolves now", name)
                failed = False
                for cluster in clusters:
                    cluster.set_addresses(
                        [Address(host, cluster.config.endpoints[0].address.port) for host in hosts]
                    )
            first.set()
            await asyncio.sleep(wait_s)


async def _look_up(channel: aiodns.DNSResolver, name: str) -> tuple[list[str], float]:
    """Return the name's addresses in a stable order and the smallest TTL, in seconds.

    One family only, IPv4 where there is any (Envoy's V4_PREFERRED): a server that listens on one family of a
    name such as `localhost` must not have half of its connects fail.
    """
    answer = await channel.getaddrinfo(name, family=socket.AF_UNSPEC, type=socket.SOCK_STREAM)
    hosts = sorted({_text(node.addr[0]) for node in answer.nodes})
    ttl_s = min((float(node.ttl) for node in answer.nodes), default=0.0)
    return [host for host in hosts if ":" not in host] or hosts, ttl_s


def _text(host: bytes | str) -> str:
    return host.decode() if isinstance(host, bytes) else host
