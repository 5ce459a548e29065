"""A cluster: the endpoints behind a name, their idle connections, and who waits for one.

`take` answers at once or not at all; whoever got nothing calls `wait` and is told. A free connection serves
the longest waiter before it goes idle; a failed connect tells exactly the waiter it was made for.
"""

from __future__ import annotations

import asyncio
import random
from collections import deque
from time import monotonic
from typing import Protocol

from proxy import errors, tasks
from proxy.clock import DeadlineWheel
from proxy.config import model
from proxy.config.model import Address
from proxy.errors import Failure
from proxy.telemetry.stats import ClusterStats
from proxy.upstream.connection import UpstreamConnection
from proxy.upstream.tls import client_context


class Waiter(Protocol):
    """A stream without a connection; `wants_fresh`: a kept one has failed it already."""

    wants_fresh: bool

    def on_connection(self, connection: UpstreamConnection) -> None:
        """Here is one; send now."""

    def on_connect_failure(self, failure: Failure, endpoint: Endpoint) -> None:
        """There will be none: `endpoint` was tried."""


class Endpoint:
    """One address of a cluster; `active` counts the requests it is working on."""

    __slots__ = ("active", "address", "idle", "is_current", "label")

    def __init__(self, address: Address) -> None:
        self.address = address
        self.active = 0
        self.label = str(address)
        self.is_current = True
        self.idle: list[UpstreamConnection] = []

    def remove(self, connection: UpstreamConnection) -> None:
        """Forget an idle connection that was closed."""
        if connection in self.idle:
            self.idle.remove(connection)


class Cluster:
    """The live side of a `model.Cluster`."""

    def __init__(self, config: model.Cluster, wheel: DeadlineWheel) -> None:
        self.config = config
        self.wheel = wheel
        self.stats = ClusterStats()
        self.endpoints: tuple[Endpoint, ...] = ()
        self.authority = (
            str(config.endpoints[0].address).encode() if config.endpoints else config.host.encode()
        )
        self._waiters: deque[Waiter] = deque()
        self._connecting = 0
        self._tls = client_context(config.tls) if config.tls else None
        self._sni = (config.tls.sni or config.host) if config.tls else None

    # --- endpoints ---

    @property
    def requests_active(self) -> int:
        """Requests the cluster is working on."""
        return sum(endpoint.active for endpoint in self.endpoints)

    def set_addresses(self, addresses: list[Address]) -> None:
        """Take the resolver's answer; endpoints that stay keep their connections, others lose idle ones."""
        known = {endpoint.address: endpoint for endpoint in self.endpoints}
        self.endpoints = tuple(
            known.pop(address) if address in known else Endpoint(address) for address in addresses
        )
        for gone in known.values():
            gone.is_current = False
            for connection in list(gone.idle):
                connection.close()

    def close(self) -> None:
        """Close every idle connection."""
        for endpoint in self.endpoints:
            for connection in list(endpoint.idle):
                connection.close()

    # --- connections ---

    def take(self, avoid: Endpoint | None = None) -> UpstreamConnection | None:
        """Give an idle connection of the chosen endpoint, or None."""
        endpoints = self.endpoints
        if len(endpoints) == 1:
            idle = endpoints[0].idle
        elif endpoints:
            idle = self._choose(avoid).idle
        else:
            return None
        if not idle and len(endpoints) > 1 and not self._has_room():
            idle = next((endpoint.idle for endpoint in endpoints if endpoint.idle), idle)  # they fill the cap
        while idle:
            connection = idle.pop()
            if not connection.transport.is_closing():
                return connection
        return None

    def put(self, connection: UpstreamConnection) -> None:
        """Take a connection back whose response is complete."""
        if self._waiters and self._serve_waiter(connection):
            return
        if connection.endpoint.is_current:
            connection.endpoint.idle.append(connection)
            connection.deadline = when = monotonic() + self.config.idle_timeout_s
            if when < connection.alarm:
                self.wheel.set(connection, when)
        else:
            connection.close()

    def wait(self, waiter: Waiter, avoid: Endpoint | None = None) -> Failure | None:
        """Queue `waiter` for a connection, making one when the cap allows; or say why there is none."""
        if not self.endpoints:
            return errors.NO_HEALTHY_UPSTREAM
        if not self._has_room():
            pending = self.config.max_pending
            if pending is not None and len(self._waiters) >= pending:
                self.stats.pending_overflow += 1
                return errors.OVERFLOW
            self._waiters.append(waiter)
            return None
        self._waiters.append(waiter)
        self._open(self._choose(avoid), waiter)
        return None

    def leave(self, waiter: Waiter) -> None:
        """Stop waiting."""
        if waiter in self._waiters:
            self._waiters.remove(waiter)

    def on_connection_closed(self) -> None:
        """Connect for those who wait and for whom no connection is on its way, as far as the cap allows."""
        while len(self._waiters) > self._connecting and self.endpoints and self._has_room():
            self._open(self._choose(None), self._waiters[self._connecting])

    def _serve_waiter(self, connection: UpstreamConnection) -> bool:
        """Give a free connection to the longest waiter that takes it; True when it is not free any more."""
        for waiter in self._waiters:
            if not (waiter.wants_fresh and connection.requests):
                self._waiters.remove(waiter)
                waiter.on_connection(connection)
                return True
        if self._has_room():
            return False
        connection.close()  # for a fresh one in its place
        return True

    def _has_room(self) -> bool:
        cap = self.config.max_connections
        return cap is None or self.stats.connections_active + self._connecting < cap

    def _choose(self, avoid: Endpoint | None) -> Endpoint:
        """Pick the less busy of two random endpoints (Envoy's LEAST_REQUEST), not `avoid` when another is there."""
        endpoints = [endpoint for endpoint in self.endpoints if endpoint is not avoid] or list(self.endpoints)
        if len(endpoints) == 1:
            return endpoints[0]
        one, two = random.sample(endpoints, 2)
        return one if one.active <= two.active else two

    def _open(self, endpoint: Endpoint, waiter: Waiter) -> None:
        self._connecting += 1
        tasks.spawn(self._connect(endpoint, waiter), "connect")

    async def _connect(self, endpoint: Endpoint, waiter: Waiter) -> None:
        loop = asyncio.get_running_loop()
        failure = errors.CONNECT_FAILURE
        connection = None
        try:
            async with asyncio.timeout(self.config.connect_timeout_s):
                _, connection = await loop.create_connection(
                    lambda: UpstreamConnection(self, endpoint),
                    endpoint.address.host,
                    endpoint.address.port,
                    ssl=self._tls,
                    server_hostname=self._sni,
                )
        except TimeoutError:
            failure = errors.CONNECT_TIMEOUT
        except (OSError, EOFError, ValueError):  # ValueError: a server name that cannot be one
            pass
        finally:
            self._connecting -= 1
        if connection is not None:
            self.put(connection)
            return
        self.stats.connect_failures += 1
        if waiter in self._waiters:
            self._waiters.remove(waiter)
            waiter.on_connect_failure(failure, endpoint)
        self.on_connection_closed()
