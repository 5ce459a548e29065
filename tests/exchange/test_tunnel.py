"""Upgraded connections: bytes both ways until both sides are done; what is no tunnel stays HTTP."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

import pytest

from mirror_proxy.config.model import ListenerTls
from tests.conftest import Connect, MakeOrigin, MakePlane
from tests.support.certificates import Authority
from tests.support.client import Client, get
from tests.support.origin import OK, Visit
from tests.support.plane import settled, until

ASK = get(b"/chat", b"Connection: keep-alive, Upgrade", b"Upgrade: WebSocket", b"sec-websocket-key: abc")
AGREE = (
    b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n"
    b"sec-websocket-accept: x\r\n\r\n"
)


async def _echo(visit: Visit) -> None:
    await visit.request()
    await visit.send(AGREE)
    while data := await visit.reader.read(65536):
        await visit.send(data)
    await visit.send(b"bye")


async def test_bytes_pass_both_ways_and_half_closes_too(
    origin: MakeOrigin, plane: MakePlane, connect: Connect
) -> None:
    v1, v2 = await origin(_echo), await origin()
    served = await plane(v1, v2)
    client = await connect(served)
    response = await client.ask(ASK)
    assert response.status == 101
    assert (response.get(b"connection"), response.get(b"upgrade")) == (b"Upgrade", b"websocket")
    assert response.get(b"sec-websocket-accept") == b"x"
    request = v1.requests[0]
    assert (request.get(b"connection"), request.get(b"upgrade")) == (b"Upgrade", b"websocket")
    assert request.get(b"sec-websocket-key") == b"abc"
    assert served.count("downstream_tunnels_active") == 1
    await client.send(b"\x00\xff not http \r\n\r\n")
    assert await client.reader.readexactly(16) == b"\x00\xff not http \r\n\r\n"
    client.half_close()
    assert await client.rest() == b"bye"
    await until(lambda: not served.count("downstream_tunnels_active"), "the tunnel to end")
    assert served.count("requests_total", "r", "v1", "101") == 1
    assert not v2.visits
    await served.ended("upgrade")


async def test_bytes_sent_with_the_handshake_on_both_sides_arrive(
    origin: MakeOrigin, plane: MakePlane, connect: Connect
) -> None:
    async def greet(visit: Visit) -> None:
        await visit.request()
        await visit.send(AGREE + b"hello")
        assert await visit.reader.readexactly(5) == b"early"
        await visit.send(b"!")
        await visit.gone()

    client = await connect(await plane(await origin(greet)))
    response = await client.ask(ASK + b"early")
    assert response.status == 101
    assert await client.reader.readexactly(6) == b"hello!"


async def test_the_upstream_s_half_close_leaves_the_other_way_open(
    origin: MakeOrigin, plane: MakePlane, connect: Connect
) -> None:
    async def talk_then_listen(visit: Visit) -> None:
        await visit.request()
        await visit.send(AGREE + b"all I have")
        visit.half_close()
        request = v1.requests[0]
        request.received += await visit.reader.read()
        request.is_complete = True

    v1 = await origin(talk_then_listen)
    client = await connect(await plane(v1))
    await client.ask(ASK)
    assert await client.rest() == b"all I have"
    await client.send(b"still here")
    client.half_close()
    await until(lambda: v1.requests[0].body == b"still here", "the client's last words")


@pytest.mark.parametrize("who", ["client", "upstream"])
async def test_a_reset_on_one_side_closes_the_other(
    origin: MakeOrigin, plane: MakePlane, connect: Connect, who: str
) -> None:
    v1 = await origin(_echo)
    served = await plane(v1)
    client = await connect(served)
    await client.ask(ASK)
    if who == "client":
        client.reset()
        await until(lambda: not v1.open, "the upstream to be told")
    else:
        v1.visits[0].reset()
        assert await client.is_closed()
    await until(lambda: not served.count("downstream_tunnels_active"), "the tunnel to end")


async def test_a_slow_side_slows_the_other(origin: MakeOrigin, plane: MakePlane, connect: Connect) -> None:
    sent = 0

    async def pour(visit: Visit) -> None:
        nonlocal sent
        await visit.request()
        await visit.send(AGREE)
        while sent < 50 << 20:
            await visit.send(bytes(1 << 18))
            sent += 1 << 18

    client = await connect(await plane(await origin(pour), send_buffer=32768), receive_buffer=65536)
    await client.send(ASK)
    assert (await client.head()).status == 101
    await settled(lambda: sent)
    assert sent < 26 << 20
    assert len(await client.rest()) == 50 << 20


async def test_a_client_that_stops_reading_is_cut_off_after_the_idle_time(
    origin: MakeOrigin, plane: MakePlane, connect: Connect
) -> None:
    async def pour(visit: Visit) -> None:
        await visit.request()
        await visit.send(AGREE)
        while True:
            await visit.send(bytes(1 << 18))

    v1 = await origin(pour)
    served = await plane(v1, limits={"idle_timeout_s": 0.2}, send_buffer=32768)
    client = await connect(served, receive_buffer=4096)
    await client.send(ASK)
    assert (await client.head()).status == 101
    client.writer.transport.pause_reading()  # type: ignore[attr-defined]  # a stream's transport can
    assert served.count("downstream_tunnels_active") == 1
    await until(lambda: not served.count("downstream_connections_active"), "the client to be cut off", 5.0)
    assert served.count("downstream_tunnels_active") == 0
    await until(lambda: not v1.open, "the upstream to be told")


@pytest.mark.parametrize("who", ["client", "upstream"])
async def test_a_tunnel_over_tls_knows_no_half_close_and_ends_without_a_warning(
    origin: MakeOrigin,
    plane: MakePlane,
    connect: Connect,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    who: str,
) -> None:
    async def listen(visit: Visit) -> None:
        await visit.request()
        await visit.send(AGREE)
        if who == "upstream":
            visit.half_close()
        await visit.gone()

    authority = Authority(tmp_path)
    v1 = await origin(listen)
    served = await plane(v1, tls=ListenerTls(*authority.issue("localhost")))
    client = await connect(served, tls=authority.client())
    with caplog.at_level(logging.DEBUG):
        assert (await client.ask(ASK)).status == 101
        if who == "client":
            client.writer.close()
        else:
            assert await client.rest() == b""
        await until(lambda: not v1.open, "the upstream to be told")
        await until(lambda: not served.count("downstream_connections_active"), "the client to be gone")
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert served.count("downstream_tunnels_active") == 0


async def test_an_upgrade_that_the_primary_refuses_is_a_plain_answer(
    origin: MakeOrigin, plane: MakePlane, connect: Connect
) -> None:
    v1 = await origin(b"HTTP/1.1 403 No\r\ncontent-length: 2\r\n\r\nno")
    client = await connect(await plane(v1))
    for _ in range(2):
        assert (await client.ask(ASK)).status == 403
    assert len(v1.visits) == 1


@pytest.mark.parametrize(
    "request_",
    [get(), get(b"/", b"connection: upgrade", b"upgrade: h2c"), get(b"/", b"upgrade: websocket")],
    ids=["none", "another", "not in Connection"],
)
async def test_a_101_that_nobody_asked_for_is_answered_502(
    origin: MakeOrigin, plane: MakePlane, connect: Connect, request_: bytes
) -> None:
    v1 = await origin(AGREE + b"injected")
    client = await connect(await plane(v1))
    assert (await client.ask(request_)).status == 502
    assert v1.requests[0].get(b"upgrade") is None


async def test_a_101_to_another_protocol_is_answered_502(
    origin: MakeOrigin, plane: MakePlane, connect: Connect
) -> None:
    client = await connect(await plane(await origin(AGREE.replace(b"websocket", b"h2c"))))
    assert (await client.ask(ASK)).status == 502


@pytest.mark.parametrize(
    "framing", [b"content-length: 3\r\n\r\nabc", b"transfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"]
)
async def test_an_upgrade_with_a_body_loses_the_upgrade(
    origin: MakeOrigin, plane: MakePlane, connect: Connect, framing: bytes
) -> None:
    v1 = await origin()
    client = await connect(await plane(v1))
    assert (await client.ask(ASK[:-2] + framing)).status == 200
    assert v1.requests[0].get(b"upgrade") is None
    assert v1.requests[0].body == b"abc"


async def test_a_tunnel_lives_through_a_drain_until_the_grace_ends(
    origin: MakeOrigin, plane: MakePlane, connect: Connect
) -> None:
    served = await plane(await origin(_echo))
    client = await connect(served)
    await client.ask(ASK)
    served.inner.begin_drain()
    await client.send(b"still")
    assert await client.reader.readexactly(5) == b"still"
    await served.finish(0.05)
    assert await client.is_closed()


async def test_an_upgrade_can_be_switched_off(origin: MakeOrigin, plane: MakePlane, connect: Connect) -> None:
    v1 = await origin(OK)
    client = await connect(await plane(v1, settings={"upgrades": frozenset()}))
    assert (await client.ask(ASK)).status == 200
    assert v1.requests[0].get(b"upgrade") is None


async def test_a_large_transfer_through_a_tunnel_arrives_whole(
    origin: MakeOrigin, plane: MakePlane, connect: Connect
) -> None:
    client: Client = await connect(await plane(await origin(_echo)))
    await client.ask(ASK)
    data = bytes(range(256)) * 40_000
    sending = asyncio.ensure_future(client.send(data))
    assert await client.reader.readexactly(len(data)) == data
    await sending
