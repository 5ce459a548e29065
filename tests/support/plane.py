"""A real `DataPlane` on loopback in the test's own loop, and the audit that every test ends with."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from mirror_proxy import tasks
from mirror_proxy.config.model import (
    Address,
    Cluster,
    Config,
    Destination,
    Endpoint,
    Limits,
    Listener,
    ListenerTls,
    Mirroring,
    MirrorPolicy,
    ProxyProtocol,
    Route,
    Settings,
    Shed,
    VirtualHost,
)
from mirror_proxy.telemetry.access_log import AccessLog
from mirror_proxy.worker.data_plane import DataPlane
from tests.support.waiting import BOUND_S

MARK_KEY = b"k" * 32
#: A busy machine makes the loop and mirrors late; what becomes of shadows must not hang on that.
NO_SHED = Shed(0.0, 0.0)
PATIENT = Mirroring(timeout_s=BOUND_S)

Changes = dict[str, Any]


def make_config(
    primary: int | Cluster,
    *mirrors: int | Cluster | MirrorPolicy,
    mirroring: Mirroring | None = None,
    limits: Changes | None = None,
    settings: Changes | None = None,
    cluster: Changes | None = None,
    **route: Any,
) -> Config:
    """One route to `primary` (a port or a cluster), with a mirror for each of `mirrors`.

    `cluster` changes the primary's cluster; other keywords change the route.
    """
    first = primary if isinstance(primary, Cluster) else local_cluster("v1", primary)
    clusters = [replace(first, **(cluster or {}))]
    policies = []
    for number, mirror in enumerate(mirrors, 1):
        name = "mirror" if number == 1 else f"mirror#{number}"
        if isinstance(mirror, MirrorPolicy):
            policies.append(mirror)
            continue
        if isinstance(mirror, int):
            mirror = local_cluster(name, mirror)  # noqa: PLW2901 - a port stands for its cluster
        clusters.append(mirror)
        policies.append(MirrorPolicy(name, mirror.name, mirroring=mirroring or PATIENT))
    return Config(
        Settings(**{"limits": Limits(**(limits or {})), "shed": NO_SHED, **(settings or {})}),
        tuple(clusters),
        (VirtualHost("any", ("*",), (Route("r", (Destination("v1", "v1"),), tuple(policies), **route),)),),
    )


def local_cluster(name: str, port: int, **changes: Any) -> Cluster:
    """Build a cluster of one endpoint on loopback."""
    return cluster_at(name, Address("127.0.0.1", port), **{"connect_timeout_s": 2.0, **changes})


def cluster_at(name: str, *addresses: Address, **changes: Any) -> Cluster:
    """Build a cluster whose endpoints are `addresses`; its host is the first one's, unless it is given."""
    host = changes.pop("host", addresses[0].host)
    return Cluster(name, host, tuple(map(Endpoint, addresses)), **changes)


def family_of(address: Address) -> socket.AddressFamily:
    """Return the family of a socket for `address`."""
    if address.is_unix:
        return socket.AF_UNIX
    return socket.AF_INET6 if ":" in address.host else socket.AF_INET


def free_port() -> int:
    """Find a port on which nothing listens."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


async def until(condition: Callable[[], object], what: str, bound_s: float = BOUND_S) -> None:
    """Wait until `condition` holds; fail after a bound."""
    try:
        async with asyncio.timeout(bound_s):
            while not condition():  # noqa: ASYNC110 - what is waited for knows nothing of the test
                await asyncio.sleep(0.002)
    except TimeoutError:
        raise AssertionError(f"still waiting for {what}") from None


async def settled(value: Callable[[], int]) -> None:
    """Wait until `value` has stayed the same for a tenth of a second: nothing moves any more."""
    loop = asyncio.get_running_loop()
    seen, since = value(), loop.time()

    def has_settled() -> bool:
        nonlocal seen, since
        if value() != seen:
            seen, since = value(), loop.time()
        return loop.time() > since + 0.1

    await until(has_settled, "things to settle")


class Plane:
    """A data plane that serves; `port` is its first listener's."""

    def __init__(
        self,
        config: Config,
        access_log: AccessLog | None = None,
        pairs: socket.socket | None = None,
        mark_key: bytes = MARK_KEY,
    ) -> None:
        self.config = config
        self.inner = DataPlane(config, generation=1, mark_key=mark_key, access_log=access_log, pairs=pairs)
        self.port = 0
        self._errors: list[dict[str, Any]] = []
        self._is_finished = False

    async def start(
        self,
        host: str = "127.0.0.1",
        tls: ListenerTls | None = None,
        send_buffer: int | None = None,
        port: int = 0,
        proxy_protocol: ProxyProtocol | None = None,
    ) -> Plane:
        """Serve on `port` of `host`, 0 for a free one, or on a unix socket.

        A small `send_buffer`: the kernel takes little of a response.
        """
        asyncio.get_running_loop().set_exception_handler(lambda _, context: self._errors.append(context))
        where = Address(host, port)
        raw = socket.socket(family_of(where))
        if send_buffer is not None:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, send_buffer)
        raw.bind(where.socket_path if where.is_unix else (host, port))
        self.port = 0 if where.is_unix else raw.getsockname()[1]
        try:
            await self.inner.start([(Listener(Address(host, self.port), tls, proxy_protocol), raw)])
        except BaseException:
            raw.close()
            raise
        return self

    def count(self, family: str, *labels: str) -> float:
        """Read one counter or gauge; 0 where it was never counted."""
        value = self.inner.report().get(family, {}).get(labels, 0)
        assert not isinstance(value, list)
        return value

    def histogram(self, family: str, *labels: str) -> list[float]:
        """Read one histogram's bucket counts, without the sum."""
        value = self.inner.report()[family][labels]
        assert isinstance(value, list)
        return value[:-1]

    def outcomes(self, mirror: str = "mirror") -> dict[str, float]:
        """What became of the requests of a mirror, and those in flight."""
        samples = self.inner.report().get("mirror_requests_total", {})
        counts = {outcome: count for (_, name, outcome), count in samples.items() if name == mirror and count}
        in_flight = self.count("mirror_in_flight", mirror)
        found = {**counts, "in flight": in_flight} if in_flight else counts
        assert all(isinstance(count, (int, float)) for count in found.values())
        return {name: float(count) for name, count in found.items() if isinstance(count, (int, float))}

    async def ended(self, outcome: str, count: int = 1, mirror: str = "mirror") -> None:
        """Wait until a mirror has ended so many requests so, and nothing is in flight."""
        await until(lambda: self.outcomes(mirror) == {outcome: count}, f"{outcome} of {mirror}")

    async def ended_as(self, mirror: str, **outcomes: int) -> None:
        """Wait until a mirror has exactly these outcomes."""
        await until(lambda: self.outcomes(mirror) == outcomes, f"{outcomes} of {mirror}")

    async def finish(self, grace_s: float = 5.0) -> None:
        """Drain, then check the books: nothing may be left over, uncounted or unforeseen."""
        if self._is_finished:
            return
        self._is_finished = True
        self.inner.stop_accepting()
        self.inner.begin_drain()
        await self.inner.finish(grace_s)
        await until(lambda: not self._open_connections(), "connections to close")
        self._audit()

    def _open_connections(self) -> float:
        report = self.inner.report()
        families = ("downstream_connections_active", "upstream_connections_active")
        values = [value for family in families for value in report.get(family, {}).values()]
        return sum(value for value in values if not isinstance(value, list))

    def _audit(self) -> None:
        assert not self._errors, self._errors
        assert not tasks.failures
        report = self.inner.report()
        for gauge in (
            "downstream_requests_active",
            "downstream_tunnels_active",
            "upstream_requests_active",
            "mirror_in_flight",
            "mirror_buffered_bytes",
        ):
            assert not any(report.get(gauge, {}).values()), (gauge, report[gauge])
        assert not self.inner.captured_bytes
        requests: dict[str, float] = {}
        for (route, _, _), count in report["requests_total"].items():
            assert not isinstance(count, list)
            requests[route] = requests.get(route, 0) + count
        for host in self.config.virtual_hosts:
            for route_config in host.routes:
                for mirror in route_config.mirrors:
                    ended = sum(self.outcomes(mirror.name).values())
                    assert ended == requests.get(route_config.name, 0), self.outcomes(mirror.name)
