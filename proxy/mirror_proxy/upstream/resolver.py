"""Keep every cluster's addresses current, in the background.

Each DNS name has a task of its own, so a dead name delays no other; c-ares resolves without libuv's few resolver
threads. Names are resolved again when their TTL ends, at the latest after `REFRESH_S`; the last good addresses
stay when an answer fails. What is known of a name outlives the clusters that want it: at a reload, `learn` resolves
the names that are new, and `follow` hands every cluster the addresses of its endpoints at once.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Iterable

import aiodns

from mirror_proxy import tasks
from mirror_proxy.config import model
from mirror_proxy.config.model import Address, is_ip
from mirror_proxy.telemetry.event import event
from mirror_proxy.upstream.cluster import UpstreamCluster

REFRESH_S = 5.0
_RETRY_S = 1.0
_FIRST_ANSWER_S = 2.0

_log = logging.getLogger(__name__)


class _Name:
    """One name: its last good addresses, and whether the first query has ended."""

    __slots__ = ("hosts", "resolved", "task")

    def __init__(self) -> None:
        self.hosts: list[str] = []
        self.resolved = asyncio.Event()
        self.task: asyncio.Task[None]


class Resolver:
    """The look-ups of one worker, for the clusters it was made with until `follow` names others."""

    def __init__(self, clusters: Iterable[UpstreamCluster]) -> None:
        self._clusters = list(clusters)
        self._names: dict[str, _Name] = {}
        self._wanting: dict[str, list[UpstreamCluster]] = {}
        self._wanted: set[str] = set()
        self._channel: aiodns.DNSResolver | None = None

    async def start(self) -> None:
        """Start; return once the first query of every name has ended, or after two seconds."""
        self.follow(self._clusters)
        await self.learn(cluster.config for cluster in self._clusters)

    async def learn(self, configs: Iterable[model.Cluster]) -> None:
        """Ask for the names in `configs` that are new; returns as `start` does, at once if none is.

        For a reload, before it takes effect. A name that no cluster wants is dropped by the next `follow`.
        """
        for config in configs:
            self.want(config)
        await self.heard()

    def want(self, config: model.Cluster) -> None:
        """Start to resolve the names of one cluster that are new; `heard` waits for the results."""
        self._wanted |= _names_of((config,))
        for name in self._wanted - self._names.keys():
            self._know(name)

    async def heard(self) -> None:
        """Wait until the first query of every name in `want` has ended, or two seconds."""
        names = [self._names[name] for name in self._wanted if name in self._names]
        self._wanted = set()
        try:
            async with asyncio.timeout(_FIRST_ANSWER_S):
                for name in names:
                    await name.resolved.wait()
        except TimeoutError:
            pass

    def follow(self, clusters: Iterable[UpstreamCluster], *, introduce: bool = True) -> None:
        """Keep these clusters' addresses, and no others', from now on; what is known of them is set at once.

        Without `introduce` it is set one by one by `introduce`, for those that need it.
        """
        self._clusters = list(clusters)
        self._wanting = {}
        for cluster in self._clusters:
            for name in _names_of((cluster.config,)):
                self._wanting.setdefault(name, []).append(cluster)
        for unwanted in self._names.keys() - self._wanting.keys():
            self._names.pop(unwanted).task.cancel()
        for name in self._wanting:
            self._know(name)
        if introduce:
            for cluster in self._clusters:
                self.introduce(cluster)

    async def stop(self) -> None:
        """Ask no more."""
        running = [name.task for name in self._names.values()]
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        if self._channel is not None:
            await self._channel.close()

    def _know(self, host: str) -> _Name:
        name = self._names.get(host)
        if name is None:
            if self._channel is None:
                self._channel = aiodns.DNSResolver(timeout=2.0, tries=2)
            name = self._names[host] = _Name()
            name.task = tasks.spawn(self._keep(self._channel, host, name), "resolve")
        return name

    def introduce(self, cluster: UpstreamCluster) -> None:
        """Give a cluster the addresses of its endpoints, as far as they are known, each with its name's weight."""
        found: list[model.Endpoint] = []
        for endpoint in cluster.config.endpoints:
            host, port = endpoint.address.host, endpoint.address.port
            name = self._names.get(host)
            hosts = name.hosts if name is not None else [host] if is_ip(host) else []
            found += (model.Endpoint(Address(one, port), endpoint.weight) for one in hosts)
        cluster.set_endpoints(found)

    async def _keep(self, channel: aiodns.DNSResolver, host: str, name: _Name) -> None:
        failed = False
        while True:
            try:
                hosts, ttl_s = await _look_up(channel, host)
            except (aiodns.error.DNSError, OSError) as error:
                wait_s = _RETRY_S
                for cluster in self._wanting.get(host, ()):
                    cluster.stats.resolve_failures += 1
                if not failed:
                    _log.warning(
                        event("host does not resolve, retrying every second", host=host, error=error.args[-1])
                    )
                failed = True
            else:
                wait_s = min(max(ttl_s, _RETRY_S), REFRESH_S)
                if failed:
                    _log.info(event("host resolves now", host=host))
                failed = False
                if hosts and hosts != name.hosts:
                    name.hosts = hosts
                    for cluster in self._wanting.get(host, ()):
                        self.introduce(cluster)
            name.resolved.set()
            await asyncio.sleep(wait_s)


def _names_of(configs: Iterable[model.Cluster]) -> set[str]:
    hosts = {endpoint.address.host for config in configs for endpoint in config.endpoints}
    return {host for host in hosts if not is_ip(host)}


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
