from __future__ import annotations

import asyncio
import pickle
import socket
import struct
from collections.abc import AsyncIterator

import pytest

from mirror_proxy import control
from mirror_proxy.config.model import Address, Config, DirectResponse, Route, Settings, VirtualHost
from mirror_proxy.control import Pipe
from tests.support.plane import cluster_at


class End:
    """One end of a pipe and what came out of it."""

    def __init__(self) -> None:
        self.got: asyncio.Queue[control.Message] = asyncio.Queue()
        self.closed = asyncio.Event()
        self.pipe = Pipe(self.got.put_nowait, self.closed.set)


@pytest.fixture
async def ends() -> AsyncIterator[tuple[End, End]]:
    loop = asyncio.get_running_loop()
    pair = End(), End()
    for end, sock in zip(pair, socket.socketpair(), strict=True):
        await loop.create_unix_connection(lambda end=end: end.pipe, sock=sock)  # type: ignore[misc]
    yield pair
    for end in pair:
        end.pipe.close()
        await end.closed.wait()


@pytest.fixture
async def raw() -> AsyncIterator[tuple[End, socket.socket]]:
    end = End()
    ours, theirs = socket.socketpair()
    with theirs:
        await asyncio.get_running_loop().create_unix_connection(lambda: end.pipe, sock=ours)
        yield end, theirs
        end.pipe.close()
        await end.closed.wait()


async def test_messages_arrive_whole_and_in_order(ends: tuple[End, End]) -> None:
    one, two = ends
    config = Config(Settings(), (cluster_at("c", Address("v1", 80)),), ())
    start = control.Start(config, 3, b"k" * 32, ((7,), (8, 9)))
    one.pipe.send(start)
    one.pipe.send(control.BeginDrain(2.5))
    two.pipe.send(control.Heartbeat((b"part", b"another")))
    assert await two.got.get() == start
    assert await two.got.get() == control.BeginDrain(2.5)
    assert await one.got.get() == control.Heartbeat((b"part", b"another"))


def test_a_configuration_travels_in_parts_that_make_the_whole() -> None:
    clusters = tuple(cluster_at(f"c{number}", Address("v1", 80)) for number in range(23))
    routes = tuple(Route(f"r{number}") for number in range(27))
    hosts = (
        VirtualHost("empty", ("e",), ()),
        VirtualHost("few", ("f",), routes[:4]),
        VirtualHost("many", ("*",), routes[4:]),
    )
    parts = [control.part_from(part) for part in control.parts_of(Config(Settings(), clusters, hosts))]
    assert sum((part[0] for part in parts), ()) == clusters
    found: dict[str, tuple[Route, ...]] = {}
    for _, some in parts:
        assert sum(len(host.routes) for host in some) <= control.PART_SIZE
        for host in some:
            found[host.name] = found.get(host.name, ()) + host.routes
    assert list(found.items()) == [(host.name, host.routes) for host in hosts]


async def test_a_frame_may_come_byte_by_byte(raw: tuple[End, socket.socket]) -> None:
    end, sock = raw
    body = pickle.dumps(control.GetStatus(4))
    for byte in struct.pack("!I", len(body)) + body:
        sock.sendall(bytes([byte]))
        await asyncio.sleep(0)
    assert await end.got.get() == control.GetStatus(4)


async def test_a_message_larger_than_the_sockets_buffer_arrives(ends: tuple[End, End]) -> None:
    one, two = ends
    big = control.Failed("x" * 5_000_000)
    one.pipe.send(big)
    assert one.pipe.is_behind
    assert await two.got.get() == big
    assert not one.pipe.is_behind


async def test_what_was_sent_before_closing_still_arrives(ends: tuple[End, End]) -> None:
    one, two = ends
    one.pipe.send(control.Drained(()))
    one.pipe.close()
    assert await two.got.get() == control.Drained(())
    await two.closed.wait()


async def test_sending_on_a_closed_pipe_does_nothing(ends: tuple[End, End]) -> None:
    one, two = ends
    two.pipe.close()
    await one.closed.wait()
    one.pipe.send(control.Ready())
    assert two.got.empty()


def test_a_configuration_that_no_worker_would_read_is_not_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    route = Route("r", (), direct_response=DirectResponse(200, b"x" * 1000))
    config = Config(Settings(), (), (VirtualHost("v", ("*",), (route,)),))
    assert control.parts_of(config)
    monkeypatch.setattr(control, "MAX_CONFIG_BYTES", 1000)
    with pytest.raises(ValueError, match="more than the 1000 that a worker reads"):
        control.parts_of(config)


@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        (struct.pack("!I", control.MAX_FRAME_BYTES + 1), "over the limit"),
        (struct.pack("!I", 3) + b"abc", "not a message"),
        (struct.pack("!I", len(pickle.dumps(1))) + pickle.dumps(1), "holds a int"),
    ],
)
async def test_a_frame_that_is_no_message_closes_the_pipe(
    raw: tuple[End, socket.socket], caplog: pytest.LogCaptureFixture, frame: bytes, reason: str
) -> None:
    end, sock = raw
    sock.sendall(frame)
    await end.closed.wait()
    assert end.got.empty()
    assert reason in caplog.text
