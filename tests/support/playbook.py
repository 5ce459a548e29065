"""A data plane without sockets or time: client and upstream bytes go in; writes, shadows, records and counts come out.

Fakes stand only at asyncio's edges: loop, transport, listening socket and clock. Everything of the proxy is real, from
the accept of a client to the line of the access log, so compiled modules run here as they are.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import socket
import sys
import time
from collections import deque
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, cast

import pytest

from mirror_proxy import tasks
from mirror_proxy.clock import NEVER
from mirror_proxy.config.model import Address, Cluster, Config, Listener
from mirror_proxy.telemetry.access_log import AccessLog
from mirror_proxy.worker.data_plane import DataPlane
from tests.support.plane import cluster_at, make_config

GET = b"GET /a HTTP/1.1\r\nhost: shop\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
#: Of a request with a body of ten bytes, the head and six of them.
UPLOAD = b"POST /a HTTP/1.1\r\nhost: shop\r\ncontent-length: 10\r\n\r\n012345"
#: A deadline is met within two ticks of the wheel.
TICKS_S = 0.05

MARK_KEY = b"k" * 32
#: As a transport of uvloop: above it, the protocol is told to pause.
HIGH_WATER = 64 * 1024
#: Modules whose threads keep real time.
_IN_THREADS = {"mirror_proxy.telemetry.lines", "mirror_proxy.telemetry.log"}
_START_S = 1000.0
_CLIENT = ("192.0.2.1", 50_000)
_LISTENER = ("192.0.2.2", 8080)


class Clock:
    """Monotonic time that a test moves."""

    def __init__(self) -> None:
        self.now = _START_S

    def __call__(self) -> float:
        return self.now


class Peer:
    """The far end of a connection: what it was sent, and what it does."""

    def __init__(self, loop: PlaybookLoop) -> None:
        self.transport: FakeTransport
        self.is_closed = self.is_reset = self.has_fin = False
        self.is_reading = True
        self._got = bytearray()
        self._loop = loop

    def got(self) -> bytes:
        """Return what has arrived since the last call."""
        got, self._got = bytes(self._got), bytearray()
        return got

    def take(self, data: bytes) -> None:
        """Called by the transport."""
        self._got += data

    def send(self, data: bytes) -> None:
        """Send bytes; the proxy gets them in one read."""
        self._loop.run(self.transport.deliver, data)

    def finish(self) -> None:
        """Send a FIN."""
        self._loop.run(self.transport.deliver_eof)

    def reset(self) -> None:
        """Send an RST."""
        self._loop.run(self.transport.lose, ConnectionResetError("reset by peer"))

    def stop_reading(self) -> None:
        """Take nothing more, as with a full receive window."""
        self.is_reading = False

    def take_some(self, size: int) -> None:
        """Take `size` bytes of what waits."""
        self._loop.run(self.transport.flush, size)

    def read_on(self) -> None:
        """Take what waits, and everything after it."""
        self.is_reading = True
        self._loop.run(self.transport.flush)


class FakeTransport(asyncio.Transport):
    """The proxy's end of a connection; it keeps uvloop's order of callbacks."""

    def __init__(self, loop: PlaybookLoop, peer: Peer, **extra: object) -> None:
        super().__init__(extra)
        peer.transport = self
        self.is_reading_paused = self.is_tls = False
        self._loop = loop
        self._peer = peer
        self._protocol: asyncio.Protocol
        self._unsent = bytearray()
        self._unread: deque[Callable[[], None]] = deque()
        self._is_full = self._is_closing = self._is_lost = False
        self._high, self._low = HIGH_WATER, HIGH_WATER // 4

    def attach(self, protocol: asyncio.Protocol) -> None:
        """Connect `protocol`."""
        self._protocol = protocol
        protocol.connection_made(self)

    # --- what the proxy calls ---

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if self._is_closing:
            return
        if self._peer.is_reading and not self._unsent:
            self._peer.take(bytes(data))
            return
        self._unsent += data
        self._pause_if_full()

    def _pause_if_full(self) -> None:
        if len(self._unsent) > self._high and not self._is_full:
            self._is_full = True
            self._protocol.pause_writing()

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self._high = HIGH_WATER if high is None else high
        self._low = self._high // 4 if low is None else low
        self._pause_if_full()

    def writelines(self, list_of_data: Iterable[bytes | bytearray | memoryview]) -> None:
        self.write(b"".join(list_of_data))

    def write_eof(self) -> None:
        self._peer.has_fin = True

    def can_write_eof(self) -> bool:
        return not self.is_tls

    def get_write_buffer_size(self) -> int:
        return len(self._unsent)

    def pause_reading(self) -> None:
        self.is_reading_paused = True

    def resume_reading(self) -> None:
        self.is_reading_paused = False
        self._loop.call_soon(self._deliver_unread)

    def is_closing(self) -> bool:
        return self._is_closing

    def close(self) -> None:
        if not self._is_closing:
            self._is_closing = True
            if not self._unsent:
                self._loop.call_soon(self._end, None)

    def abort(self) -> None:
        self._is_closing = True
        self._loop.call_soon(self._end, None)  # what is unsent counts until then

    # --- what the peer does ---

    def deliver(self, data: bytes) -> None:
        """Have the proxy read `data`, now or once it reads again."""
        self._unread.append(lambda: self._protocol.data_received(data))
        self._deliver_unread()

    def deliver_eof(self) -> None:
        """Have the proxy read the end."""
        self._unread.append(self._on_eof)
        self._deliver_unread()

    def lose(self, error: Exception) -> None:
        """Lose the connection, whatever is unread."""
        self._is_closing = True
        self._end(error)

    def flush(self, most: int | None = None) -> None:
        """Hand over what the peer had not taken, or `most` bytes of it."""
        taken = bytes(self._unsent[:most])
        del self._unsent[: len(taken)]
        self._peer.take(taken)
        if self._is_closing:
            if not self._unsent:
                self._end(None)
        elif self._is_full and len(self._unsent) <= self._low:
            self._is_full = False
            self._protocol.resume_writing()

    def _deliver_unread(self) -> None:
        while self._unread and not self.is_reading_paused and not self._is_closing:
            self._unread.popleft()()

    def _on_eof(self) -> None:
        if not self._protocol.eof_received():
            self.close()

    def _end(self, error: Exception | None) -> None:
        if self._is_lost:
            return
        self._is_lost = True
        self._unsent.clear()
        self._peer.is_closed = True
        self._protocol.connection_lost(error)


class FakeSocket:
    """A socket without a kernel: clients that wait to be accepted, and the linger option that means a reset."""

    _numbers = itertools.count(1000)

    def __init__(self, peer: Peer | None = None) -> None:
        self.peer = peer
        self.waiting: deque[Peer] = deque()
        self._number = next(self._numbers)

    def fileno(self) -> int:
        return self._number

    def setblocking(self, flag: bool) -> None:
        """Do nothing."""

    def listen(self, backlog: int) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""

    def accept(self) -> tuple[FakeSocket, tuple[str, int]]:
        if not self.waiting:
            raise BlockingIOError
        return FakeSocket(self.waiting.popleft()), _CLIENT

    def setsockopt(self, level: int, name: int, value: bytes | int) -> None:  # noqa: ARG002 - a socket's signature
        if self.peer is not None and (level, name) == (socket.SOL_SOCKET, socket.SO_LINGER):
            self.peer.is_reset = True


class Upstream:
    """One address: how it takes connections, and those it has."""

    def __init__(self, loop: PlaybookLoop) -> None:
        self.refuses = self.is_silent = False
        self.connections: list[Peer] = []
        self._loop = loop

    async def connect(
        self, factory: Callable[[], asyncio.Protocol]
    ) -> tuple[FakeTransport, asyncio.Protocol]:
        """Connect the proxy, refuse it, or leave it waiting."""
        if self.refuses:
            raise ConnectionRefusedError
        if self.is_silent:
            await asyncio.Event().wait()
        peer = Peer(self._loop)
        self.connections.append(peer)
        raw = FakeSocket(peer)
        transport = FakeTransport(self._loop, peer, socket=raw, peername=_LISTENER, sockname=_CLIENT)
        protocol = factory()
        transport.attach(protocol)
        return transport, protocol

    @property
    def last(self) -> Peer:
        """The connection made last."""
        return self.connections[-1]


class _NoSelector:
    """Ready for nothing, at once: time passes only where a test says so."""

    def select(self, timeout: float | None) -> list[object]:  # noqa: ARG002 - a selector's signature
        return []

    def close(self) -> None:
        """Do nothing."""


class PlaybookLoop(asyncio.BaseEventLoop):
    """asyncio's own scheduling of callbacks, tasks and timers, on a given clock and without input or output."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self.clock = clock
        self.upstreams: dict[tuple[str, int], Upstream] = {}
        self.errors: list[dict[str, Any]] = []
        self.readers: dict[int, Callable[[], None]] = {}
        self._selector = _NoSelector()
        self._clock_resolution = 1e-6
        self.set_exception_handler(lambda _, context: self.errors.append(context))

    def time(self) -> float:
        return self.clock.now

    def _process_events(self, event_list: list[object]) -> None:
        """Handle no events: there are none."""

    def _write_to_self(self) -> None:
        """Wake nobody: nothing blocks."""

    def add_reader(self, fd: Any, callback: Callable[..., Any], *args: Any) -> None:  # type: ignore[override]
        self.readers[fd] = lambda: callback(*args)

    def remove_reader(self, fd: Any) -> bool:
        return self.readers.pop(fd, None) is not None

    async def create_connection(
        self, protocol_factory: Any, host: Any = None, port: Any = None, **_: Any
    ) -> Any:
        return await self.upstreams[host, port].connect(protocol_factory)

    async def connect_accepted_socket(self, protocol_factory: Any, sock: Any, **_: Any) -> Any:
        peer = cast("FakeSocket", sock).peer
        assert peer is not None
        transport = FakeTransport(self, peer, socket=sock, peername=_CLIENT, sockname=_LISTENER)
        protocol = protocol_factory()
        transport.attach(protocol)
        return transport, protocol

    def run(self, callback: Callable[..., object], *args: object) -> None:
        """Call back in the loop, then run until nothing is ready."""
        self.call_soon(callback, *args)
        self.settle()

    def settle(self) -> None:
        """Run until nothing is ready."""
        while self._ready:  # type: ignore[attr-defined]  # BaseEventLoop's
            self.call_soon(self.stop)
            self.run_forever()

    def pass_time(self, seconds: float) -> None:
        """Let time pass, from timer to timer."""
        end = self.clock.now + seconds
        self.settle()
        while (when := self._next_timer()) <= end:
            self.clock.now = max(self.clock.now, when)
            self.call_soon(self.stop)
            self.run_forever()
            self.settle()
        self.clock.now = end

    def _next_timer(self) -> float:
        timers: list[asyncio.TimerHandle] = self._scheduled  # type: ignore[attr-defined]  # BaseEventLoop's
        return timers[0].when() if timers else NEVER


class Playbook:
    """A data plane in such a loop; `upstreams` are its clusters' first addresses, by the cluster's name."""

    def __init__(self, config: Config, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.clock = Clock()
        for name, module in list(sys.modules.items()):
            is_ours = name.startswith("mirror_proxy.") and name not in _IN_THREADS
            if is_ours and getattr(module, "monotonic", None) is time.monotonic:
                monkeypatch.setattr(module, "monotonic", self.clock)
        self.loop = PlaybookLoop(self.clock)
        self.config = config
        self.upstreams = {}
        for cluster in config.clusters:
            address = cluster.endpoints[0].address
            self.upstreams[cluster.name] = self.loop.upstreams[address.host, address.port] = Upstream(
                self.loop
            )
        self._log_file = folder / "access.log"
        self._log = AccessLog(str(self._log_file))
        self._listening = FakeSocket()
        self.is_closed = False
        self.plane = self._run(self._start())

    async def _start(self) -> DataPlane:
        plane = DataPlane(self.config, generation=1, mark_key=MARK_KEY, access_log=self._log)
        listener = Listener(Address(*_LISTENER))
        await plane.start([(listener, cast("socket.socket", self._listening))])
        return plane

    def _run(self, coroutine: Any) -> Any:
        task = self.loop.create_task(coroutine)
        self.loop.settle()
        while not task.done():
            self.loop.pass_time(0.02)
        return task.result()

    # --- what goes in ---

    def client(self, data: bytes = b"") -> Peer:
        """Connect a client, which sends `data`."""
        peer = Peer(self.loop)
        self._listening.waiting.append(peer)
        self.loop.run(self.loop.readers[self._listening.fileno()])
        if data:
            peer.send(data)
        return peer

    def pass_time(self, seconds: float) -> None:
        """Let time pass."""
        self.loop.pass_time(seconds)

    def reload(self, config: Config) -> None:
        """Put another configuration into force; its clusters have addresses of the first one's."""
        parts = [(config.clusters, config.virtual_hosts)]
        self._run(self.plane.prepare(self.plane.snapshot.generation + 1, config.settings, parts))
        self._run(self.plane.commit(()))

    # --- what comes out ---

    def count(self, family: str, *labels: str) -> float:
        """Return one counter or gauge; 0 where nothing was counted."""
        value: float | list[float] = self.plane.report().get(family, {}).get(labels, 0)
        assert not isinstance(value, list)
        return value

    def outcomes(self, mirror: str = "mirror") -> dict[str, float]:
        """Return what became of the requests of a mirror, on all routes; those in flight are left out."""
        samples = self.plane.report().get("mirror_requests_total", {})
        outcomes: dict[str, float] = {}
        for (_, name, outcome), count in samples.items():
            if name == mirror and count and not isinstance(count, list):
                outcomes[outcome] = outcomes.get(outcome, 0) + count
        return outcomes

    def close(self) -> list[dict[str, Any]]:
        """Drain, check that every request is accounted for, and return the lines of the access log."""
        self.is_closed = True
        self.loop.run(self.plane.stop_accepting)
        self.loop.run(self.plane.begin_drain)
        self._run(self.plane.finish(1.0))
        assert self.loop.errors == []
        assert not tasks.failures
        self._audit()
        self.loop.close()
        self._log.close(5.0)
        return [json.loads(line) for line in self._log_file.read_text().splitlines()]

    def _audit(self) -> None:
        report = self.plane.report()
        for gauge in (
            "downstream_connections_active",
            "downstream_requests_active",
            "downstream_tunnels_active",
            "upstream_connections_active",
            "upstream_requests_active",
            "mirror_in_flight",
            "mirror_buffered_bytes",
        ):
            assert not any(report.get(gauge, {}).values()), (gauge, report[gauge])
        state = self.plane._state
        assert not state.budget.used_bytes
        held = state.descriptors
        assert (held.upstreams, held.shadows, held.duplicates) == (0, 0, 0)
        assert not any(one.open_connections or one._closing for _, one in state.all_clusters())
        requests = sum(count for count in report["requests_total"].values() if not isinstance(count, list))
        for route in self.config.virtual_hosts[0].routes:
            for mirror in route.mirrors:
                assert sum(self.outcomes(mirror.name).values()) == requests


def at(name: str, number: int, **changes: Any) -> Cluster:
    return cluster_at(name, Address(f"10.0.0.{number}", 80), **changes)


def with_mirror(*, mirror_cluster: dict[str, Any] | None = None, **changes: Any) -> Config:
    return make_config(at("v1", 1), at("mirror", 2, **(mirror_cluster or {})), **changes)


def without_mirror(**changes: Any) -> Config:
    return make_config(at("v1", 1), **changes)


def head_of(data: bytes) -> tuple[bytes, dict[bytes, bytes], bytes]:
    """Split a message into its first line, its fields by lower-case name, and its body."""
    head, _, body = data.partition(b"\r\n\r\n")
    first, *lines = head.split(b"\r\n")
    return first, {line.partition(b":")[0].lower(): line.partition(b":")[2].strip() for line in lines}, body


def status_of(data: bytes) -> int:
    return int(data.split(b" ", 2)[1])


def reason_of(data: bytes) -> tuple[int, bytes]:
    """Return the status and the end of the text of a response of the proxy itself."""
    return status_of(data), head_of(data)[2].rpartition(b": ")[2]


def ask(book: Playbook, client: Peer, request: bytes = GET) -> None:
    """Have the primary answer one request."""
    client.send(request)
    book.upstreams["v1"].last.send(OK)
    assert client.got() == OK
