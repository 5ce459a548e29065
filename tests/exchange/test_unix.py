"""Unix sockets on both sides of the proxy."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, ExitStack
from pathlib import Path

import pytest

from mirror_proxy.config.model import Address, HashKey, ListenerTls, Mirroring, TcpKeepalive, UpstreamTls
from tests.conftest import Connect, MakeOrigin, MakePlane
from tests.support.certificates import Authority
from tests.support.client import get, post
from tests.support.origin import OK, Origin, Script, Visit, answering
from tests.support.plane import cluster_at, make_config, until

MakeUnixOrigin = Callable[..., Awaitable[Origin]]


@pytest.fixture
async def unix_origin(tmp_path: Path) -> AsyncIterator[MakeUnixOrigin]:
    """Start an origin on a unix socket of that name in the test's folder."""
    async with AsyncExitStack() as stack:

        async def start(name: str, script: Script | None = None, tls: ssl.SSLContext | None = None) -> Origin:
            made = await Origin(script or answering(OK)).start_unix(str(tmp_path / name), tls)
            stack.push_async_callback(made.close)
            return made

        yield start


async def until_gone(visit: Visit) -> None:
    await visit.gone()


def at(folder: Path, name: str) -> Address:
    return Address(str(folder / name), 0)


async def test_primary_and_mirror_on_unix_sockets_are_served(
    unix_origin: MakeUnixOrigin, plane: MakePlane, connect: Connect, tmp_path: Path
) -> None:
    v1, v2 = await unix_origin("v1"), await unix_origin("v2")
    clusters = (cluster_at("v1", at(tmp_path, "v1")), cluster_at("mirror", at(tmp_path, "v2")))
    served = await plane(make_config(*clusters))
    client = await connect(served)
    body = bytes(1 << 20)
    for _ in range(2):
        assert (await client.ask(post(body))).status == 200
    await served.ended("completed", 2)
    assert [len(origin.visits) for origin in (v1, v2)] == [1, 1]
    assert v1.requests[1].body == v2.requests[1].body == body
    assert v1.requests[0].get(b"host") == b"shop"


async def test_authority_of_a_unix_socket_is_its_host(
    unix_origin: MakeUnixOrigin, plane: MakePlane, connect: Connect, tmp_path: Path
) -> None:
    v1, v2 = await unix_origin("v1"), await unix_origin("v2")
    clusters = (
        cluster_at("v1", at(tmp_path, "v1"), host="v1.unix"),
        cluster_at("mirror", at(tmp_path, "v2"), host="v2.unix"),
    )
    served = await plane(make_config(*clusters, mirroring=Mirroring(host="upstream")))
    client = await connect(served)
    await client.send(b"GET / HTTP/1.0\r\n\r\n")
    assert (await client.response()).status == 200
    await served.ended("completed")
    assert v1.requests[0].get(b"host") == b"v1.unix"
    assert v2.requests[0].get(b"host") == b"v2.unix"


async def test_unix_socket_with_keepalive_and_tls_is_served(
    unix_origin: MakeUnixOrigin, plane: MakePlane, connect: Connect, tmp_path: Path
) -> None:
    v1 = await unix_origin("v1")
    keepalive = TcpKeepalive(3, 10.0, 10.0)
    served = await plane(make_config(cluster_at("v1", at(tmp_path, "v1"), keepalive=keepalive)))
    assert (await (await connect(served)).ask(get())).status == 200
    secure = Authority(tmp_path)
    await unix_origin("tls", tls=secure.server("v1.test"))
    tls = UpstreamTls("v1.test", secure.file)
    encrypted = await plane(make_config(cluster_at("v1", at(tmp_path, "tls"), tls=tls)))
    assert (await (await connect(encrypted)).ask(get())).status == 200
    assert len(v1.requests) == 1


async def test_unix_socket_that_is_missing_is_a_connect_failure_until_it_is_there(
    origin: MakeOrigin, unix_origin: MakeUnixOrigin, plane: MakePlane, connect: Connect, tmp_path: Path
) -> None:
    v1 = await origin()
    clusters = (cluster_at("v1", Address("127.0.0.1", v1.port)), cluster_at("mirror", at(tmp_path, "v2")))
    served = await plane(make_config(*clusters))
    client = await connect(served)
    assert (await client.ask(get())).status == 200
    await served.ended("connect_error")
    await unix_origin("v2")
    assert (await client.ask(get())).status == 200
    await served.ended_as("mirror", connect_error=1, completed=1)


async def test_full_queue_of_a_unix_socket_is_waited_for(
    plane: MakePlane, connect: Connect, tmp_path: Path
) -> None:
    address = at(tmp_path, "v1")
    served = await plane(make_config(cluster_at("v1", address)))
    with ExitStack() as stack:
        busy = stack.enter_context(socket.socket(socket.AF_UNIX))
        busy.bind(address.host)
        busy.listen(0)
        while True:
            one = stack.enter_context(socket.socket(socket.AF_UNIX))
            one.setblocking(False)
            try:
                one.connect(address.host)
            except BlockingIOError:
                break
        client = await connect(served)
        await client.send(get())
        while served.count("upstream_connections_total", "v1") < 1:
            accepted = stack.enter_context(busy.accept()[0])
            await asyncio.sleep(0.02)
        accepted = stack.enter_context(busy.accept()[0])
        accepted.setblocking(False)
        await asyncio.get_running_loop().sock_recv(accepted, 65536)
        await asyncio.get_running_loop().sock_sendall(accepted, OK)
        assert (await client.response()).status == 200


async def test_full_queue_of_a_unix_socket_ends_in_the_connect_timeout(
    plane: MakePlane, connect: Connect, tmp_path: Path
) -> None:
    address = at(tmp_path, "v1")
    served = await plane(make_config(cluster_at("v1", address, connect_timeout_s=0.05)))
    with ExitStack() as stack:
        busy = stack.enter_context(socket.socket(socket.AF_UNIX))
        busy.bind(address.host)
        busy.listen(0)
        stack.enter_context(socket.socket(socket.AF_UNIX)).connect(address.host)
        assert (await (await connect(served)).ask(get())).status == 503


async def test_listener_on_a_unix_socket_adds_no_client_address(
    origin: MakeOrigin, plane: MakePlane, connect: Connect, tmp_path: Path
) -> None:
    v1, v2 = await origin(), await origin()
    path = str(tmp_path / "proxy")
    served = await plane(v1, v2, host=path)
    client = await connect(served, host=path)
    assert (await client.ask(get())).status == 200
    assert (await client.ask(get(b"/", b"x-forwarded-for: 192.0.2.1"))).status == 200
    await served.ended("completed", 2)
    assert [one.get(b"x-forwarded-for") for one in v1.requests] == [None, b"192.0.2.1"]
    assert [one.get(b"x-forwarded-for") for one in v2.requests] == [b"127.0.0.1", b"192.0.2.1, 127.0.0.1"]
    assert v1.requests[0].get(b"x-forwarded-proto") == b"http"


async def test_listener_on_a_unix_socket_accepts_tls_and_large_bodies(
    origin: MakeOrigin, plane: MakePlane, connect: Connect, tmp_path: Path
) -> None:
    v1, authority = await origin(), Authority(tmp_path)
    path = str(tmp_path / "proxy")
    served = await plane(v1, host=path, tls=ListenerTls(*authority.issue("localhost")))
    client = await connect(served, host=path, tls=authority.client())
    body = bytes(3 << 20)
    assert (await client.ask(post(body))).status == 200
    assert v1.requests[0].body == body
    assert v1.requests[0].get(b"x-forwarded-proto") == b"https"


async def test_sticky_client_ip_on_a_unix_socket_draws_at_random(
    origin: MakeOrigin, plane: MakePlane, connect: Connect, tmp_path: Path
) -> None:
    v1, v2 = await origin(), await origin()
    path = str(tmp_path / "proxy")
    served = await plane(v1, v2, host=path, settings={"sticky": HashKey("source_ip")})
    assert (await (await connect(served, host=path)).ask(get())).status == 200
    await served.ended("completed")


async def test_client_of_a_unix_socket_that_leaves_aborts_its_request(
    origin: MakeOrigin, plane: MakePlane, connect: Connect, tmp_path: Path
) -> None:
    v1 = await origin(until_gone)
    path = str(tmp_path / "proxy")
    served = await plane(v1, host=path)
    client = await connect(served, host=path)
    await client.send(get())
    await until(lambda: v1.visits, "the request")
    await client.close()
    await until(lambda: not v1.open, "the primary's connection to close")
