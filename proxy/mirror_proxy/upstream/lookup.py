"""Look up the addresses of a host: in the hosts file, then from the name servers, never in a cache.

c-ares keeps responses in its channel: addresses for their TTL, `NXDOMAIN` for the minimum of the zone's SOA, and
`NODATA` for up to an hour. pycares cannot switch this off, so a channel takes queries for `CHANNEL_S` only, the
queries of all hosts; the next query makes another. A new channel also reads `/etc/resolv.conf` again.

c-ares merges lines of the hosts file that share a host or an address, which makes v2's address one of v1's. It is
read here instead: the addresses of a host are those of the lines that name it, as in glibc.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from dataclasses import dataclass
from pathlib import Path

import aiodns

from mirror_proxy.config.model import is_ip

#: Time for which a channel takes queries; shorter than the time between two queries of one host.
CHANNEL_S = 0.5

#: What c-ares raises; other errors of a look-up are `OSError` and, for a host that cannot be encoded, `ValueError`.
DNSError = aiodns.error.DNSError

_TIMEOUT_S = 2.0
_TRIES = 2
#: The host, or the address family asked for, does not exist: an answer, not a failure.
_DENIALS = frozenset({aiodns.error.ARES_ENOTFOUND, aiodns.error.ARES_ENODATA})

# A channel that lives for half a second needs no notice of changes of `/etc/resolv.conf`; aiodns warns of each that
# has to do without.
logging.getLogger("aiodns").setLevel(logging.ERROR)


@dataclass(frozen=True, slots=True)
class Addresses:
    """IPv4 and IPv6 addresses of a host, each in a stable order; `ttl_s` is None for those without one."""

    v4: tuple[str, ...] = ()
    v6: tuple[str, ...] = ()
    ttl_s: float | None = None


NO_ADDRESSES = Addresses()


class Lookup:
    """The look-ups of one worker."""

    def __init__(self) -> None:
        self._hosts_file = HostsFile(Path(os.environ.get("CARES_HOSTS", "/etc/hosts")))
        self._channel: _Channel | None = None

    async def look_up(self, host: str, before: Addresses = NO_ADDRESSES) -> Addresses:
        """Return the addresses of `host`; raises `DNSError`, `OSError` or `ValueError` where there are none.

        When the query of one address family fails and the other's succeeds, addresses in `before` stay.
        """
        local = self._hosts_file.addresses(host) or _loopback(host)
        if local:
            return _addresses(local, None)
        found, ttl_s = await self._query(host, socket.AF_UNSPEC)
        addresses = _addresses(found, ttl_s)
        v4, v6 = addresses.v4, addresses.v6
        if not v4 and before.v4 and not await self._is_denied(host, socket.AF_INET):
            v4 = before.v4
        if not v6 and before.v6 and not await self._is_denied(host, socket.AF_INET6):
            v6 = before.v6
        return Addresses(v4, v6, ttl_s)

    async def close(self) -> None:
        """End every query."""
        if self._channel is not None:
            await self._channel.abort()

    async def _is_denied(self, host: str, family: socket.AddressFamily) -> bool:
        """Return whether the name server says that `host` has no address of `family`.

        c-ares does not tell this from a failure of one of its two queries.
        """
        try:
            await self._query(host, family)
        except DNSError as error:
            return error.args[0] in _DENIALS
        return False

    async def _query(self, host: str, family: socket.AddressFamily) -> tuple[set[str], float]:
        channel = self._channel
        if channel is None or not channel.takes_queries():
            if channel is not None:
                await channel.retire()
            channel = self._channel = _Channel()
        return await channel.query(host, family)


class _Channel:
    """A channel of c-ares, which is closed after its last query."""

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        self._time = loop.time
        self._until = loop.time() + CHANNEL_S
        self._queries = 0
        self._is_retired = False
        try:
            self._resolver = aiodns.DNSResolver(timeout=_TIMEOUT_S, tries=_TRIES, lookups="b")
        except Exception as error:  # pycares raises an error of its own, for lack of descriptors among others
            raise OSError(f"cannot start a DNS query: {error}") from error

    def takes_queries(self) -> bool:
        return self._time() < self._until

    async def query(self, host: str, family: socket.AddressFamily) -> tuple[set[str], float]:
        """Return addresses, and the smallest TTL on the way to them."""
        self._queries += 1
        try:
            answer = await self._resolver.getaddrinfo(host, family=family, type=socket.SOCK_STREAM)
        finally:
            self._queries -= 1
            if self._is_retired and not self._queries:
                await self.abort()
        ttls = [node.ttl for node in answer.nodes] + [alias.ttl for alias in answer.cnames]
        return {_text(node.addr[0]) for node in answer.nodes}, float(min(ttls, default=0))

    async def retire(self) -> None:
        self._is_retired = True
        if not self._queries:
            await self.abort()

    async def abort(self) -> None:
        await self._resolver.close()


class HostsFile:
    """Addresses by host, from a file in the format of `/etc/hosts`; it is read again when it has changed."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: tuple[int, ...] = ()
        self._hosts: dict[str, set[str]] = {}

    def addresses(self, host: str) -> set[str]:
        """Return the addresses of all lines that name `host`."""
        try:
            status = self._path.stat()
            seen = (status.st_mtime_ns, status.st_ino, status.st_size)
            if seen != self._seen:
                self._hosts = _parse_hosts(self._path.read_text("utf-8", "replace"))
                self._seen = seen
        except OSError:
            self._seen, self._hosts = (), {}
        return self._hosts.get(_normal(host), set())


def _parse_hosts(text: str) -> dict[str, set[str]]:
    hosts: dict[str, set[str]] = {}
    for line in text.splitlines():
        address, *names = line.partition("#")[0].split() or ("",)
        if is_ip(address):
            for name in names:
                hosts.setdefault(_normal(name), set()).add(address)
    return hosts


def _normal(host: str) -> str:
    return host.lower().removesuffix(".")


def _loopback(host: str) -> set[str]:
    """Return the addresses of `localhost`, which no name server is asked for (RFC 6761 §6.3)."""
    is_local = _normal(host).rpartition(".")[2] == "localhost"
    return {"127.0.0.1", "::1"} if is_local else set()


def _addresses(found: set[str], ttl_s: float | None) -> Addresses:
    ordered = sorted(found)
    return Addresses(
        tuple(address for address in ordered if ":" not in address),
        tuple(address for address in ordered if ":" in address),
        ttl_s,
    )


def _text(host: bytes | str) -> str:
    return host.decode() if isinstance(host, bytes) else host
