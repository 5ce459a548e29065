"""A cluster: the endpoints behind a name, their idle connections, and the streams that wait for one.

`take` returns an idle connection or None; a stream that got None calls `wait` and is called back. A free connection
serves the longest waiter before it goes idle; a failed connect fails exactly the waiter it was made for.

A cluster outlives reloads that leave its `identity` alone: `update` then changes everything else in place.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Callable, Hashable, Iterable, Mapping
from time import monotonic
from types import MappingProxyType
from typing import NamedTuple, Protocol, TypeVar

from mirror_proxy import errors, tasks
from mirror_proxy.clock import NEVER, DeadlineWheel
from mirror_proxy.config import model
from mirror_proxy.config.model import Address, HashKey, Settings
from mirror_proxy.descriptors import UNLIMITED, Descriptors, is_exhaustion
from mirror_proxy.errors import Failure
from mirror_proxy.flow import Backlog
from mirror_proxy.http1.proxy_protocol import ClientAddresses
from mirror_proxy.telemetry.event import event
from mirror_proxy.telemetry.stats import ClusterStats
from mirror_proxy.upstream import proxy_header, tls, unix
from mirror_proxy.upstream.balancer import LoadBalancer, balance, usable_of
from mirror_proxy.upstream.connection import UpstreamConnection
from mirror_proxy.upstream.endpoint import UpstreamEndpoint
from mirror_proxy.upstream.health import HealthChecker
from mirror_proxy.upstream.outlier import OutlierDetector

#: A broken upstream must not fill the log.
PROTOCOL_ERROR_EVERY_S = 10.0
NO_ALTERNATIVES: Mapping[Address, Address] = MappingProxyType({})

ProtocolT = TypeVar("ProtocolT", bound=asyncio.BaseProtocol)

_log = logging.getLogger(__name__)


class Waiter(Protocol):
    """A stream without a connection; `wants_fresh`: a kept one has failed it already."""

    wants_fresh: bool

    def on_connection(self, connection: UpstreamConnection) -> None:
        """Here is one; send now."""

    def on_connect_failure(self, failure: Failure, endpoint: UpstreamEndpoint | None) -> None:
        """There will be none: `endpoint` was tried; None: there is none left to try."""


class _Want(NamedTuple):
    """A wait for a connection to `endpoint` (None: to any), with a PROXY header that names `client`."""

    endpoint: UpstreamEndpoint | None
    for_shadow: bool
    client: ClientAddresses | None


def identity(config: model.Cluster) -> Hashable:
    """Give what a live cluster cannot change: name, host, PROXY protocol and TLS, with the content of TLS's files.

    A reload keeps the cluster of the same identity (`UpstreamCluster.update`) and makes a new one otherwise, so that no
    connection is reused that was made under other terms. Raises `OSError` for a file that cannot be read.
    """
    files = tls.fingerprint(config.tls) if config.tls is not None else None
    return (config.name, config.host, config.proxy_protocol, config.tls, files)


class UpstreamCluster:
    """The live side of a `model.Cluster`.

    `endpoints` are all it has, ejected and unhealthy ones included; `is_panicking` while too few are healthy and all
    are used. `hash_key` says what of a request `take` and `wait` want the hash of (64 bits, evenly spread); None where
    the balancer uses no hash. `names_clients`: each connection begins with a PROXY header that names a client, and
    carries requests of that client only.
    """

    def __init__(
        self,
        config: model.Cluster,
        wheel: DeadlineWheel,
        backlog: Backlog,
        descriptors: Descriptors | None = None,
    ) -> None:
        self.identity = identity(config)
        self.wheel = wheel
        self.backlog = backlog
        self.names_clients = config.proxy_protocol is not None
        self.descriptors = descriptors or Descriptors(UNLIMITED)
        self.stats = ClusterStats()
        self.endpoints: tuple[UpstreamEndpoint, ...] = ()
        self._leaving: list[UpstreamEndpoint] = []
        self._balancer: LoadBalancer | None = None
        self._only: UpstreamEndpoint | None = None
        self._chosen: UpstreamEndpoint | None = None
        self._detector: OutlierDetector | None = None
        self._checker: HealthChecker | None = None
        self.is_panicking = False
        #: Who waits, in order.
        self._waiters: dict[Waiter, _Want] = {}
        self._has_bound = False  # one of them, or one since they were none, wants a certain endpoint
        #: Idle connections that wait for their client.
        self._reserved: dict[UpstreamConnection, None] = {}
        self._connecting = 0
        #: Our own, for the cap; `stats` may be shared with a cluster of our name that leaves.
        self.open_connections = 0
        #: When a breaker last connected (monotonic), and whom to call, once, when an endpoint accepts.
        self.tried_at = -NEVER
        self.followers: set[Callable[[], None]] = set()
        #: Those that have given up their place, and not their descriptor yet.
        self._closing = 0
        self._protocol_errors = ProtocolErrorLog()
        self._tls = tls.client_context(config.tls) if config.tls else None
        #: When the client certificate expires (Unix time), by its file.
        self.expiries = tls.expiries(config.tls) if config.tls else {}
        self._sni = (config.tls.sni or config.host) if config.tls else None
        self.apply(Settings())
        self.update(config)

    # --- configuration ---

    def update(self, config: model.Cluster) -> None:
        """Take over a new configuration of the same `identity`: balancing, limits, timeouts, health.

        Open connections stay. New endpoints come with the resolver's `follow`, which must be called after this.
        """
        self.config = config
        self.authority = config.authority.encode()
        self.hash_key: HashKey | None = config.balancer.key if config.balancer.policy == "hash" else None
        self._idle_timeout_s = config.idle_timeout_s or NEVER
        self._retires = (
            bool(config.max_requests_per_connection) or config.max_connection_duration_s is not None
        )
        detector = self._detector
        if config.outlier is None:
            if detector is not None:
                detector.close()
            self._detector = None
        elif detector is None:
            self._detector = OutlierDetector(config.outlier, self.wheel, self._on_ejected, self._refresh)
        else:
            detector.config = config.outlier
        self._update_checker()
        self._refresh()

    def _update_checker(self) -> None:
        check, checker = self.config.health_check, self._checker
        if check is None:
            if checker is not None:
                checker.close()
            self._checker = None
        elif checker is None:
            self._checker = HealthChecker(check, self, self._refresh)
        else:
            checker.update(check)

    def apply(self, settings: Settings) -> None:
        """Take over what the settings say about every response: the bounds of its head, and its trailers."""
        self.max_response_head_bytes = settings.limits.max_response_head_bytes
        self.max_headers = settings.limits.max_headers
        self.trailers = settings.http1.trailers

    def set_endpoints(
        self, found: Iterable[model.Endpoint], alternatives: Mapping[Address, Address] = NO_ALTERNATIVES
    ) -> None:
        """Take the resolver's answer: addresses (IPs) and weights, which add up where an address comes twice.

        `alternatives` maps some of them to addresses of the other family. Endpoints that stay keep their connections
        and what is known of their health; others close idle ones.
        """
        weights: dict[Address, int] = {}
        for one in found:
            weights[one.address] = weights.get(one.address, 0) + one.weight
        known = {endpoint.resolved: endpoint for endpoint in self.endpoints}
        if list(weights.items()) == [(endpoint.resolved, endpoint.weight) for endpoint in self.endpoints]:
            self._set_alternatives(alternatives)
            return
        self.endpoints = tuple(
            known.pop(address) if address in known else UpstreamEndpoint(address) for address in weights
        )
        self._set_alternatives(alternatives)
        for endpoint in self.endpoints:
            endpoint.weight = weights[endpoint.resolved]
        for gone in known.values():
            gone.retire()
        self._leaving = [gone for gone in (*self._leaving, *known.values()) if gone.active]
        self._refresh()

    def _set_alternatives(self, alternatives: Mapping[Address, Address]) -> None:
        for endpoint in self.endpoints:
            endpoint.set_alternative(alternatives.get(endpoint.resolved))

    def close(self) -> None:
        """Close every idle connection and watch nothing; what is busy ends with its request."""
        if self._detector is not None:
            self._detector.close()
            self._detector = None  # a reference cycle would keep a cluster that is no longer used
        if self._checker is not None:
            self._checker.close()
            self._checker = None
        for endpoint in self.endpoints:
            endpoint.retire()

    @property
    def requests_active(self) -> int:
        """Requests the cluster is working on."""
        return sum(endpoint.active for endpoint in (*self.endpoints, *self._leaving))

    @property
    def is_in_use(self) -> bool:
        """Return whether a request is under way or waits."""
        return self.requests_active > 0 or self._connecting > 0 or bool(self._waiters)

    # --- connections ---

    def take(
        self, avoid: tuple[UpstreamEndpoint, ...] = (), hash_: int | None = None
    ) -> UpstreamConnection | None:
        """Give an idle connection of the chosen endpoint, or None: then call `wait` at once, with the same.

        `avoid` are endpoints that failed this request (`retryIgnorePreviousHosts`): none of them is chosen while
        there is another. `hash_` is what the request's `hash_key` comes to.
        """
        only = self._only
        idle = only.idle if only is not None else self._idle_of_chosen(avoid, hash_)
        while idle:
            connection = idle.pop()
            if not connection.transport.is_closing():
                return connection
        return None

    def put(self, connection: UpstreamConnection) -> None:
        """Take a connection back whose response is complete."""
        if self._retires and connection.is_spent(self.config.max_requests_per_connection):
            connection.close()
            return
        if self._waiters and self._serve_waiter(connection):
            return
        if connection.endpoint.is_current and connection.client is None:
            connection.endpoint.idle.append(connection)
            when = monotonic() + self._idle_timeout_s
            if self._retires:
                when = min(when, connection.expires)
            connection.deadline = when
            if when < connection.alarm:
                self.wheel.set(connection, when)
        else:
            connection.close()

    def reserve(self, connection: UpstreamConnection) -> bool:
        """Return if an idle connection may wait for its client; if not, it is closed to make room for others."""
        enough = self._retires and connection.is_spent(self.config.max_requests_per_connection)
        if enough or not connection.endpoint.is_current or (self._waiters and not self._has_room()):
            connection.close()
            return False
        self._reserved[connection] = None
        return True

    def release(self, connection: UpstreamConnection) -> None:
        """Reserve a connection no longer: it is in use again, or closed."""
        self._reserved.pop(connection, None)

    def wait(
        self,
        waiter: Waiter,
        avoid: tuple[UpstreamEndpoint, ...] = (),
        hash_: int | None = None,
        *,
        for_shadow: bool = False,
        client: ClientAddresses | None = None,
    ) -> Failure | None:
        """Queue `waiter` for a connection, making one when the caps allow; or say why there is none.

        `avoid` and `hash_` as in `take`; with either, only a connection to the endpoint they led to will do. `client`
        is for clusters that name clients.
        """
        if self._balancer is None:
            return errors.NO_HEALTHY_UPSTREAM
        pending, has_room = self.config.max_pending, self._has_room()
        unserved = len(self._waiters) - self._connecting  # waiters for whom no connection is under way
        is_queue_full = not has_room and pending is not None and unserved >= pending
        if is_queue_full or self._is_full():
            self.stats.pending_overflow += 1
            return errors.OVERFLOW
        if not has_room:
            self._make_room()  # before it waits: whom this serves or fails is called back at once
            has_room = self._has_room()
        if has_room and not self.descriptors.may_connect(for_shadow):
            if not self._closing:
                self.stats.pending_overflow += 1
                return errors.DESCRIPTORS
            has_room = False  # until a connection is closed
        is_bound = self._is_bound(avoid, hash_)
        endpoint = None if is_bound else self._chosen
        self._chosen = None
        if endpoint is None:
            endpoint = self._balancer.choose(avoid, hash_)
        self._has_bound = is_bound or (self._has_bound and bool(self._waiters))
        want = _Want(endpoint if is_bound else None, for_shadow, client if self.names_clients else None)
        self._waiters[waiter] = want
        if has_room:
            self._open(endpoint, waiter, want)
        return None

    def leave(self, waiter: Waiter) -> None:
        """Stop waiting."""
        self._waiters.pop(waiter, None)

    async def checked(self) -> None:
        """Wait until the first health check of every endpoint has ended; returns at once where there are none."""
        if self._checker is not None:
            await self._checker.checked()

    def on_connection_left(self) -> None:
        """Called by a connection that gives up its place, as it is being closed: there may be room for another."""
        self.open_connections -= 1
        self._closing += 1
        if self._waiters:
            self._connect_for_waiters()

    def on_connection_closed(self) -> None:
        """Called by a connection that has left and is closed: its descriptor is free."""
        self._closing -= 1
        if self._waiters:
            self._connect_for_waiters()

    def on_protocol_error(self, rule: str) -> None:
        """Called by a connection whose upstream broke a rule of HTTP: count it, and log it now and then."""
        self.stats.protocol_errors += 1
        self._protocol_errors.log(self.config.name, rule, monotonic())

    # --- choosing ---

    def _on_ejected(self, reason: str) -> None:
        ejections = self.stats.ejections
        ejections[reason] = ejections.get(reason, 0) + 1
        self._refresh()

    def _refresh(self) -> None:
        """Choose among what may be chosen now; who waits for what may not be waits for any."""
        usable = self.endpoints
        if self._detector is not None:
            self._detector.watch(usable)
        if self._checker is not None:
            self._checker.watch(usable)
        if self._detector is not None or self._checker is not None:
            usable = usable_of(self.endpoints, self.config.panic_percent)
        self.is_panicking = not all(endpoint.is_fit for endpoint in usable)
        self._balancer = balance(self.config.balancer.policy, usable) if usable else None
        self._only = usable[0] if len(usable) == 1 and self.config.max_requests is None else None
        self._chosen = None
        if self._waiters:
            for waiter, want in self._waiters.items():
                if want.endpoint not in usable:
                    self._waiters[waiter] = want._replace(endpoint=None)
            self._connect_for_waiters()

    def _idle_of_chosen(
        self, avoid: tuple[UpstreamEndpoint, ...], hash_: int | None
    ) -> list[UpstreamConnection]:
        balancer = self._balancer
        if balancer is None or self._is_full():
            return []
        self._chosen = endpoint = balancer.choose(avoid, hash_)
        if endpoint.idle or self._has_room() or self._is_bound(avoid, hash_):
            return endpoint.idle
        return next((other.idle for other in balancer.endpoints if other.idle), [])  # they fill the cap

    def _is_bound(self, avoid: tuple[UpstreamEndpoint, ...], hash_: int | None) -> bool:
        """Return whether no other endpoint than the chosen one will do."""
        return bool(avoid) or (hash_ is not None and self.hash_key is not None)

    def _make_room(self) -> None:
        """Close the oldest idle connection: who waits could have taken it, had it been of use."""
        idle = next((endpoint.idle for endpoint in self.endpoints if endpoint.idle), None)
        oldest = idle[0] if idle is not None else next(iter(self._reserved), None)
        if oldest is not None:
            oldest.close()

    def _has_room(self) -> bool:
        cap = self.config.max_connections
        return cap is None or self.open_connections + self._connecting < cap

    def _is_full(self) -> bool:
        cap = self.config.max_requests
        return cap is not None and self.requests_active + len(self._waiters) >= cap

    # --- waiting ---

    def _serve_waiter(self, connection: UpstreamConnection) -> bool:
        """Give a free connection to the longest waiter that takes it; True when it is not free any more."""
        endpoint, client = connection.endpoint, connection.client
        for waiter, want in self._waiters.items():
            if want.client != client or (waiter.wants_fresh and connection.requests):
                continue
            if want.endpoint is None or want.endpoint is endpoint:
                del self._waiters[waiter]
                waiter.on_connection(connection)
                return True
        if self._has_room():
            return False
        connection.close()  # for a fresh one, or one to another endpoint, in its place
        return True

    def _connect_for_waiters(self) -> None:
        """Connect for those who wait and for whom no connection is on its way, as far as the cap allows."""
        balancer = self._balancer
        if balancer is None:
            self._turn_away()
            return
        coming = {endpoint: endpoint.connecting for endpoint in self.endpoints if endpoint.connecting}
        if not self._has_bound and sum(coming.values()) >= len(self._waiters):
            return
        refused = []
        for waiter, want in self._waiters.items():
            wanted = want.endpoint
            if not self._has_room():
                break
            source = wanted or next((endpoint for endpoint, count in coming.items() if count), None)
            if source is not None and coming.get(source):
                coming[source] -= 1
            elif self.descriptors.may_connect(want.for_shadow):
                self._open(wanted or balancer.choose(), waiter, want)
            elif not self._closing:
                refused.append(waiter)
        for waiter in refused:
            if self._waiters.pop(waiter, None) is not None:
                self.stats.pending_overflow += 1
                waiter.on_connect_failure(errors.DESCRIPTORS, None)

    def _turn_away(self) -> None:
        """Fail all waiters, since no endpoint is left, unless a connection may still serve them."""
        if self._connecting or self.open_connections:
            return
        waiters, self._waiters = self._waiters, {}
        for waiter in waiters:
            waiter.on_connect_failure(errors.NO_HEALTHY_UPSTREAM, None)

    def _open(self, endpoint: UpstreamEndpoint, waiter: Waiter, want: _Want) -> None:
        self._connecting += 1
        endpoint.connecting += 1
        self.descriptors.take(want.for_shadow)
        tasks.spawn(self._connect(endpoint, waiter, want.for_shadow, want.client), "connect")

    async def _connect(
        self, endpoint: UpstreamEndpoint, waiter: Waiter, for_shadow: bool, client: ClientAddresses | None
    ) -> None:
        failure = errors.CONNECT_FAILURE
        connection = None
        try:
            async with asyncio.timeout(self.config.connect_timeout_s):
                connection = await self.connect(
                    endpoint, lambda: UpstreamConnection(self, endpoint, for_shadow, client), client
                )
        except TimeoutError:
            failure = errors.CONNECT_TIMEOUT
        except (OSError, EOFError, ValueError) as error:  # ValueError: a server name that cannot be one
            if isinstance(error, OSError) and is_exhaustion(error):
                failure = errors.DESCRIPTORS
                self.descriptors.on_exhausted("connect")
        finally:
            self._connecting -= 1
            endpoint.connecting -= 1
            self.descriptors.give(for_shadow)
        if connection is not None and self.is_right_peer(connection.transport):
            if self.followers:
                self._call_followers()
            self.put(connection)
            if self._waiters:
                self._connect_for_waiters()  # it may have served another than whom it was made for
            return
        self._on_connect_failure(failure, endpoint, waiter)

    def _call_followers(self) -> None:
        followers, self.followers = self.followers, set()
        for follow in followers:
            follow()

    async def connect(
        self, endpoint: UpstreamEndpoint, make: Callable[[], ProtocolT], client: ClientAddresses | None = None
    ) -> ProtocolT:
        """Connect what `make` makes to the endpoint; where its address refuses, to the other family's.

        A PROXY header names `client`; None: no client, as for health checks.
        """
        first, *others = endpoint.addresses()
        try:
            return await self._connect_to(first, make, client)
        except OSError as error:
            if not others or isinstance(error, ssl.SSLError) or is_exhaustion(error):
                raise
        connection = await self._connect_to(others[0], make, client)
        endpoint.use(others[0])
        return connection

    async def _connect_to(
        self, address: Address, make: Callable[[], ProtocolT], client: ClientAddresses | None
    ) -> ProtocolT:
        loop = asyncio.get_running_loop()
        if self.config.proxy_protocol is not None:
            sock = await proxy_header.connect(address, self.config.proxy_protocol, client)
            _, connection = await loop.create_connection(
                make, sock=sock, ssl=self._tls, server_hostname=self._sni
            )
        elif address.is_unix:
            sock = await unix.connect(address.socket_path)
            _, connection = await loop.create_unix_connection(
                make, sock=sock, ssl=self._tls, server_hostname=self._sni
            )
        else:
            _, connection = await loop.create_connection(
                make, address.host, address.port, ssl=self._tls, server_hostname=self._sni
            )
        return connection

    def is_right_peer(self, transport: asyncio.Transport) -> bool:
        """Check the certificate's names, where the configuration says what they must be; abort if they are wrong."""
        wanted = self.config.tls
        if wanted is None or not wanted.verify or not wanted.subject_alt_names:
            return True
        if tls.bears_name(transport.get_extra_info("peercert"), wanted.subject_alt_names):
            return True
        transport.abort()
        return False

    def _on_connect_failure(self, failure: Failure, endpoint: UpstreamEndpoint, waiter: Waiter) -> None:
        if failure is not errors.DESCRIPTORS:
            self.stats.connect_failures += 1
            if endpoint.monitor is not None:
                endpoint.monitor.on_failure()
        if waiter in self._waiters:
            del self._waiters[waiter]
            waiter.on_connect_failure(failure, endpoint)
        if self._waiters:
            self._connect_for_waiters()


class ProtocolErrorLog:
    """Logs the protocol errors of one cluster, at most one line per `PROTOCOL_ERROR_EVERY_S`."""

    __slots__ = ("_next_at", "_unlogged")

    def __init__(self) -> None:
        self._next_at = 0.0
        self._unlogged = 0

    def log(self, cluster: str, rule: str, now: float) -> None:
        """Log that `cluster` broke `rule` of HTTP; within the interval, count it for the next line."""
        if now < self._next_at:
            self._unlogged += 1
            return
        said = event("upstream broke HTTP", cluster=cluster, rule=rule, unlogged=self._unlogged)
        _log.warning(said)
        self._next_at = now + PROTOCOL_ERROR_EVERY_S
        self._unlogged = 0
