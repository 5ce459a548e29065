"""Keep every cluster's addresses current, in the background.

Each DNS name has a task of its own, so a dead name delays no other; c-ares resolves without libuv's few resolver
threads. Names are resolved again when their TTL ends, at the latest `REFRESH_S` after they were asked for; the last
good addresses stay when an answer fails. What is known of a name outlives the clusters that want it: at a reload,
`learn` resolves the names that are new, and `follow` hands every cluster the addresses of its endpoints at once.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Iterable
from itertools import cycle

from mirror_proxy import tasks
from mirror_proxy.config import model
from mirror_proxy.config.model import Address, is_ip, is_unix
from mirror_proxy.telemetry.event import event
from mirror_proxy.upstream import lookup
from mirror_proxy.upstream.cluster import UpstreamCluster
from mirror_proxy.upstream.lookup import NO_ADDRESSES, Addresses, DNSError, Lookup

REFRESH_S = 5.0
_RETRY_S = 1.0
_FIRST_ANSWER_S = 2.0

_log = logging.getLogger(__name__)


class _Name:
    """One name: its last good addresses, and whether the first query has ended."""

    __slots__ = ("addresses", "resolved", "task")

    def __init__(self) -> None:
        self.addresses = NO_ADDRESSES
        self.resolved = asyncio.Event()
        self.task: asyncio.Task[None]


class Resolver:
    """The look-ups of one worker, for the clusters it was made with until `follow` names others."""

    def __init__(self, clusters: Iterable[UpstreamCluster]) -> None:
        self._clusters = list(clusters)
        self._names: dict[str, _Name] = {}
        self._wanting: dict[str, list[UpstreamCluster]] = {}
        self._wanted: set[str] = set()
        self._lookup = Lookup()

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
        await self._lookup.close()

    def _know(self, host: str) -> _Name:
        name = self._names.get(host)
        if name is None:
            name = self._names[host] = _Name()
            name.task = tasks.spawn(self._keep(host, name), "resolve")
        return name

    def introduce(self, cluster: UpstreamCluster) -> None:
        """Give a cluster the addresses of its endpoints, as far as they are known, each with its name's weight.

        Of a name with both families the IPv4 addresses are endpoints (Envoy's V4_PREFERRED), and IPv6 addresses
        their alternatives: a server that listens on one family of `localhost` must not lose half of its requests.
        """
        found: list[model.Endpoint] = []
        alternatives: dict[Address, Address] = {}
        for endpoint in cluster.config.endpoints:
            host, port = endpoint.address.host, endpoint.address.port
            if endpoint.address.is_unix or is_ip(host):
                found.append(endpoint)
            elif (name := self._names.get(host)) is not None:
                known = name.addresses
                made = [Address(one, port) for one in known.v4 or known.v6]
                found += (model.Endpoint(address, endpoint.weight) for address in made)
                if known.v4 and known.v6:
                    others = (Address(one, port) for one in cycle(known.v6))
                    alternatives |= zip(made, others, strict=False)
        cluster.set_endpoints(found, alternatives)

    async def _keep(self, host: str, name: _Name) -> None:
        failed = False
        time = asyncio.get_running_loop().time
        while True:
            asked = time()
            try:
                addresses = await self._lookup.look_up(host, name.addresses)
            except (DNSError, OSError, ValueError) as error:
                wait_s = _RETRY_S
                for cluster in self._wanting.get(host, ()):
                    cluster.stats.resolve_failures += 1
                if not failed:
                    _log.warning(
                        event("host does not resolve, retrying every second", host=host, error=error.args[-1])
                    )
                failed = True
            else:
                wait_s = REFRESH_S if addresses.ttl_s is None else min(addresses.ttl_s, REFRESH_S)
                if failed:
                    _log.info(event("host resolves now", host=host))
                failed = False
                self._learn_addresses(host, name, addresses)
            name.resolved.set()
            now = time()
            await asyncio.sleep(_next_query(asked + wait_s, now) - now)

    def _learn_addresses(self, host: str, name: _Name, addresses: Addresses) -> None:
        before, name.addresses = name.addresses, addresses
        if (before.v4, before.v6) != (addresses.v4, addresses.v6):
            for cluster in self._wanting.get(host, ()):
                self.introduce(cluster)


def _next_query(due: float, now: float) -> float:
    """Return when to ask again: by `due`, at one time for many names, since each channel takes descriptors."""
    earliest = math.ceil((now + lookup.CHANNEL_S) / _RETRY_S)
    return max(math.floor(due / _RETRY_S), earliest) * _RETRY_S


def _names_of(configs: Iterable[model.Cluster]) -> set[str]:
    hosts = {endpoint.address.host for config in configs for endpoint in config.endpoints}
    return {host for host in hosts if not (is_unix(host) or is_ip(host))}
