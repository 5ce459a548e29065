"""A listener behind load balancers that send the PROXY protocol."""

from __future__ import annotations

import asyncio
import logging
import socket
from pathlib import Path

import pytest

from mirror_proxy.config.model import ListenerTls, ProxyProtocol
from tests.conftest import Connect, MakeOrigin, MakePlane
from tests.http1.test_proxy_protocol import v2
from tests.support.certificates import Authority
from tests.support.client import Client, get
from tests.support.plane import until

LOOPBACK = ProxyProtocol(("127.0.0.0/8",))
ELSEWHERE = ProxyProtocol(("10.0.0.0/8", "::1/128"))
V1 = b"PROXY TCP4 192.0.2.1 198.51.100.2 5000 443\r\n"


@pytest.mark.parametrize(
    ("header", "client_ip"),
    [
        (V1, b"192.0.2.1"),
        (v2(), b"192.0.2.1"),
        (v2(command=0x20), b"127.0.0.1"),
        (b"PROXY UNKNOWN\r\n", b"127.0.0.1"),
    ],
)
async def test_client_of_the_header_is_the_client_of_all_requests(
    origin: MakeOrigin, plane: MakePlane, connect: Connect, header: bytes, client_ip: bytes
) -> None:
    v1, v2_ = await origin(), await origin()
    served = await plane(v1, v2_, proxy_protocol=LOOPBACK)
    client = await connect(served)
    assert (await client.ask(header + get())).status == 200
    assert (await client.ask(get(b"/", b"x-forwarded-for: 203.0.113.9"))).status == 200
    await served.ended("completed", 2)
    assert [one.get(b"x-forwarded-for") for one in v1.requests] == [client_ip, b"203.0.113.9, " + client_ip]
    assert v2_.requests[0].get(b"x-forwarded-for") == client_ip + b", 127.0.0.1"


async def test_header_in_pieces_is_read_and_not_a_byte_more(
    origin: MakeOrigin, plane: MakePlane, connect: Connect
) -> None:
    v1 = await origin()
    served = await plane(v1, proxy_protocol=LOOPBACK)
    for header in (V1, v2()):
        client = await connect(served)
        client.writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for at in range(len(header)):
            await client.send(header[at : at + 1])
            await asyncio.sleep(0)
        assert (await client.ask(get())).status == 200
    assert [one.get(b"x-forwarded-for") for one in v1.requests] == [b"192.0.2.1"] * 2


async def test_header_comes_before_tls(origin: MakeOrigin, plane: MakePlane, authority: Authority) -> None:
    v1 = await origin()
    served = await plane(v1, tls=ListenerTls(*authority.issue("localhost")), proxy_protocol=LOOPBACK)
    raw = socket.create_connection(("127.0.0.1", served.port))
    raw.sendall(V1)
    raw.setblocking(False)
    context = authority.client()
    client = Client(*await asyncio.open_connection(sock=raw, ssl=context, server_hostname="localhost"))
    assert (await client.ask(get())).status == 200
    await client.close()
    assert v1.requests[0].get(b"x-forwarded-for") == b"192.0.2.1"
    assert v1.requests[0].get(b"x-forwarded-proto") == b"https"


@pytest.mark.parametrize(
    "sent", [get(), b"PROXY TCP4 nonsense\r\n" + get(), b"PROXY " + b"x" * 200, bytes(20)]
)
async def test_sender_without_a_header_is_closed_and_logged_once(
    origin: MakeOrigin, plane: MakePlane, connect: Connect, caplog: pytest.LogCaptureFixture, sent: bytes
) -> None:
    v1 = await origin()
    served = await plane(v1, proxy_protocol=LOOPBACK)
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            client = await connect(served)
            await client.send(sent)
            assert await client.is_closed()
    assert not v1.requests
    assert [str(record.msg).count("PROXY header is refused") for record in caplog.records] == [1]


async def test_header_that_does_not_come_in_time_is_closed(
    origin: MakeOrigin, plane: MakePlane, connect: Connect
) -> None:
    served = await plane(await origin(), proxy_protocol=LOOPBACK, limits={"head_timeout_s": 0.1})
    silent, slow = await connect(served), await connect(served)
    await slow.send(V1[:20])
    assert await asyncio.wait_for(silent.is_closed(), 5.0)
    assert await asyncio.wait_for(slow.is_closed(), 5.0)
    await until(lambda: not served.count("downstream_connections_active"), "the count of connections")


async def test_sender_that_only_connects_leaves_nothing(
    origin: MakeOrigin, plane: MakePlane, connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    served = await plane(await origin(), proxy_protocol=LOOPBACK)
    client = await connect(served)
    await until(lambda: served.count("downstream_connections_active"), "the connection")
    await client.close()
    await until(lambda: not served.count("downstream_connections_active"), "its end")
    assert not caplog.records


@pytest.mark.parametrize("header", [V1, v2()])
async def test_header_of_another_network_is_refused_and_plain_requests_are_served(
    origin: MakeOrigin, plane: MakePlane, connect: Connect, header: bytes
) -> None:
    v1 = await origin()
    served = await plane(v1, proxy_protocol=ELSEWHERE)
    assert (await (await connect(served)).ask(get())).status == 200
    liar = await connect(served)
    await liar.send(header + get())
    assert (await liar.response()).status == 400
    assert [one.get(b"x-forwarded-for") for one in v1.requests] == [b"127.0.0.1"]


async def test_client_past_the_limit_gets_503_after_its_header_over_tls(
    origin: MakeOrigin, plane: MakePlane, authority: Authority
) -> None:
    tls = ListenerTls(*authority.issue("localhost"))
    served = await plane(await origin(), tls=tls, proxy_protocol=LOOPBACK, limits={"max_connections": 1})

    async def connected() -> Client:
        raw = socket.create_connection(("127.0.0.1", served.port))
        raw.sendall(V1)
        raw.setblocking(False)
        return Client(
            *await asyncio.open_connection(sock=raw, ssl=authority.client(), server_hostname="localhost")
        )

    first = await connected()
    await first.send(b"GET / HTTP/1.1\r\n")
    second = await connected()
    assert (await second.ask(get())).status == 503
    for client in (first, second):
        client.writer.transport.abort()


async def test_unix_listener_requires_the_header_of_every_client(
    origin: MakeOrigin, plane: MakePlane, connect: Connect, tmp_path: Path
) -> None:
    v1 = await origin()
    path = str(tmp_path / "proxy")
    served = await plane(v1, host=path, proxy_protocol=ProxyProtocol())
    assert (await (await connect(served, host=path)).ask(V1 + get())).status == 200
    plain = await connect(served, host=path)
    await plain.send(get())
    assert await plain.is_closed()
    assert [one.get(b"x-forwarded-for") for one in v1.requests] == [b"192.0.2.1"]


async def test_drain_does_not_wait_for_a_header_that_does_not_come(
    origin: MakeOrigin, plane: MakePlane, connect: Connect
) -> None:
    served = await plane(await origin(), proxy_protocol=LOOPBACK)
    silent = await connect(served)
    await until(lambda: served.count("downstream_connections_active"), "the connection")
    async with asyncio.timeout(10):
        await served.finish(grace_s=20)
    assert await silent.is_closed()


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)
