"""Upstreams that require a header of the PROXY protocol before each connection's requests."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from mirror_proxy.config.model import HealthCheck, HttpHealthCheck, ListenerTls, ProxyProtocol, UpstreamTls
from mirror_proxy.http1.proxy_protocol import SIGNATURE, ClientAddresses, ProxyVersion, client_of
from tests.conftest import Connect, MakeOrigin, MakePlane
from tests.support.certificates import Authority
from tests.support.client import Client, get
from tests.support.origin import OK, Visit
from tests.support.plane import local_cluster, make_config, until

LOOPBACK = ProxyProtocol(("127.0.0.0/8",))
BALANCER = b"PROXY TCP4 192.0.2.1 198.51.100.2 5000 443\r\n"
POOL_OF_ONE = {"proxy_protocol": "V1", "max_connections": 1, "max_pending": 1}


class Behind:
    """An upstream that reads a header first; `seen` has the client that each connection names, and its targets."""

    def __init__(self) -> None:
        self.seen: list[tuple[ClientAddresses | None, list[bytes]]] = []

    async def serve(self, visit: Visit) -> None:
        start = await visit.reader.readexactly(5)
        if start == b"PROXY":
            header = start + await visit.reader.readuntil(b"\r\n")
        else:
            assert SIGNATURE.startswith(start)
            header = start + await visit.reader.readexactly(11)
            header += await visit.reader.readexactly(int.from_bytes(header[14:], "big"))
        targets: list[bytes] = []
        self.seen.append((client_of(header), targets))
        while True:
            targets.append((await visit.request()).target)
            await visit.send(OK)


def ends(client: Client) -> ClientAddresses:
    """Return both ends of a client's connection."""
    sock = client.writer.get_extra_info("socket")
    return ClientAddresses(*sock.getsockname(), *sock.getpeername())


@pytest.mark.parametrize("version", ["V1", "V2"])
async def test_each_client_has_a_connection_of_its_own_that_names_it(
    origin: MakeOrigin, plane: MakePlane, connect: Connect, version: ProxyVersion
) -> None:
    behind = Behind()
    served = await plane(await origin(behind.serve), cluster={"proxy_protocol": version})
    one, other = await connect(served), await connect(served)
    named = ends(one), ends(other)
    for client, target in ((one, b"/1"), (one, b"/2"), (other, b"/3"), (one, b"/4")):
        assert (await client.ask(get(target))).status == 200
    assert behind.seen == [(named[0], [b"/1", b"/2", b"/4"]), (named[1], [b"/3"])]
    await one.close()
    await until(
        lambda: served.count("upstream_connections_active", "v1") == 1, "its upstream connection to close"
    )


@pytest.mark.parametrize("version", ["V1", "V2"])
async def test_shadows_share_connections_that_name_no_client(
    origin: MakeOrigin, plane: MakePlane, connect: Connect, version: ProxyVersion
) -> None:
    v1, behind = await origin(), Behind()
    v2 = await origin(behind.serve)
    mirror = local_cluster("mirror", v2.port, proxy_protocol=version)
    served = await plane(make_config(v1.port, mirror))
    for number, client in enumerate([await connect(served), await connect(served)], 1):
        assert (await client.ask(get())).status == 200
        await served.ended("completed", number)
    ((named, targets),) = behind.seen
    assert targets == [b"/", b"/"]
    if version == "V2":
        assert named is None
    else:
        assert named is not None
        assert (named.source, named.destination_port) == ("127.0.0.1", v2.port)


async def test_client_that_a_load_balancer_names_is_named_to_the_upstream(
    origin: MakeOrigin, plane: MakePlane, connect: Connect
) -> None:
    behind = Behind()
    upstream = await origin(behind.serve)
    served = await plane(upstream, cluster={"proxy_protocol": "V2"}, proxy_protocol=LOOPBACK)
    client = await connect(served)
    await client.send(BALANCER + get())
    assert (await client.response()).status == 200
    assert behind.seen == [(client_of(BALANCER), [b"/"])]


async def test_header_goes_before_tls(
    origin: MakeOrigin, plane: MakePlane, connect: Connect, tmp_path: Path
) -> None:
    v1, authority = await origin(), Authority(tmp_path)
    inner = await plane(v1, tls=ListenerTls(*authority.issue("localhost")), proxy_protocol=LOOPBACK)
    tls = UpstreamTls("localhost", ca_file=authority.file)
    outer = await plane(inner.port, cluster={"proxy_protocol": "V1", "tls": tls}, proxy_protocol=LOOPBACK)
    client = await connect(outer)
    await client.send(BALANCER)
    for _ in range(2):
        await client.send(get())
        assert (await client.response()).status == 200
    assert [one.get(b"x-forwarded-for") for one in v1.requests] == [b"192.0.2.1, 192.0.2.1"] * 2


async def test_health_check_names_no_client(origin: MakeOrigin, plane: MakePlane, connect: Connect) -> None:
    behind = Behind()
    check = HealthCheck(HttpHealthCheck("/healthz"), interval_s=60.0)
    upstream = await origin(behind.serve)
    served = await plane(upstream, cluster={"proxy_protocol": "V2", "health_check": check})
    assert (await (await connect(served)).ask(get())).status == 200
    await until(lambda: (None, [b"/healthz"]) in behind.seen, "the health check")


async def test_pool_of_one_serves_each_client_in_turn(
    origin: MakeOrigin, plane: MakePlane, connect: Connect
) -> None:
    behind = Behind()
    served = await plane(await origin(behind.serve), cluster=POOL_OF_ONE)
    one, other = await connect(served), await connect(served)
    for client in (one, other, one, other):
        assert (await client.ask(get())).status == 200
    assert [named for named, _ in behind.seen] == [ends(one), ends(other), ends(one), ends(other)]


async def test_client_that_waits_gets_the_place_of_one_that_has_its_response(
    origin: MakeOrigin, plane: MakePlane, connect: Connect
) -> None:
    go, behind = asyncio.Event(), Behind()

    async def slow(visit: Visit) -> None:
        await go.wait()
        await behind.serve(visit)

    upstream = await origin(slow)
    served = await plane(upstream, cluster=POOL_OF_ONE)
    one, other = await connect(served), await connect(served)
    await one.send(get(b"/1"))
    await until(lambda: upstream.visits, "the first to connect")
    await other.send(get(b"/2"))
    go.set()
    assert [(await client.response()).status for client in (one, other)] == [200, 200]
    assert behind.seen == [(ends(one), [b"/1"]), (ends(other), [b"/2"])]


async def test_connection_of_a_client_that_left_meanwhile_serves_nobody(
    origin: MakeOrigin, plane: MakePlane, connect: Connect
) -> None:
    behind = Behind()
    served = await plane(await origin(behind.serve), cluster={"proxy_protocol": "V1"})
    gone = await connect(served)
    gone.writer.write(get(b"/gone"))
    gone.reset()
    other = await connect(served)
    assert (await other.ask(get(b"/other"))).status == 200
    assert (ends(other), [b"/other"]) in behind.seen
    await until(lambda: served.count("upstream_connections_active", "v1") == 1, "the other one to close")


async def test_requests_are_mirrored_though_each_client_has_connections_of_its_own(
    origin: MakeOrigin, plane: MakePlane, connect: Connect
) -> None:
    v1, v2 = await origin(Behind().serve), await origin()
    served = await plane(v1, v2, cluster={"proxy_protocol": "V2"})
    client = await connect(served)
    for _ in range(2):
        assert (await client.ask(get())).status == 200
    await served.ended("completed", 2)
