"""The hostile sender, a process of its own: `python -m benchmarks.sender ROLE KIND CONNECTIONS SECONDS PORT UPSTREAM`.

As a client it sends a payload over its connections to the proxy on PORT, again and again. As a primary or a mirror it
listens on UPSTREAM, requests itself through the proxy, and answers with a payload: on each connection one request at a
time, as a mirror so many shadows at a time. It stops where the proxy closes or rejects, connects anew, and after
SECONDS prints a line of JSON.
"""

from __future__ import annotations

import json
import select
import socket
import struct
import sys
import threading
import time
from collections.abc import Callable
from contextlib import closing, suppress

from benchmarks.payloads import NOTHING, Payload, payload_of
from benchmarks.ports import HOST

#: What makes the proxy ask the hostile upstream; the proxy closes when the response has ended.
REQUEST = b"GET /attacked HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n"
REJECTIONS = (b"HTTP/1.1 4", b"HTTP/1.1 5")
#: SO_LINGER: a connection closed with RST leaves no port in TIME_WAIT, so a sender never runs out of ports.
RESET_AT_CLOSE = struct.pack("ii", 1, 0)
RECEIVE_BYTES = 256 * 1024
#: Responses sent at once, at most; further connections of the proxy are closed.
MAX_RESPONSES = 256
#: How long to wait for the shadow of a request before the next request.
SHADOW_S = 0.1
RECONNECT_S = 0.01
JOIN_S = 5.0


class Tally:
    """What was sent: bytes, payloads begun, payloads taken whole, and payloads that the proxy did not take."""

    def __init__(self) -> None:
        self._counts = {"bytes": 0, "begun": 0, "completed": 0, "refused": 0}
        self._lock = threading.Lock()

    def add(self, name: str, count: int = 1) -> None:
        """Count, from any thread."""
        with self._lock:
            self._counts[name] += count

    def to_json(self) -> str:
        """Return the counts as one line."""
        with self._lock:
            return json.dumps(self._counts)


class Sending:
    """One payload and the time until which it is sent."""

    def __init__(self, payload: Payload, end: float) -> None:
        self.payload = payload
        self.end = end
        self.tally = Tally()

    @property
    def left_s(self) -> float:
        """Return the seconds that are left, at least 0."""
        return max(0.0, self.end - time.monotonic())

    def send(self, connection: socket.socket) -> bool:
        """Send the payload once; tell whether the peer took it whole."""
        connection.setblocking(False)
        self.tally.add("begun")
        try:
            for piece in self.payload.writes():
                left = piece
                while left:
                    if not self.left_s:
                        return False
                    if is_refused(connection):
                        self.tally.add("refused")
                        return False
                    sent = _write(connection, left, self.left_s)
                    self.tally.add("bytes", sent)
                    left = left[sent:]
        except ConnectionError:
            self.tally.add("refused")
            return False
        self.tally.add("completed")
        return True


def is_refused(connection: socket.socket) -> bool:
    """Read what has come; tell whether the peer has closed or sent an error."""
    try:
        received = connection.recv(RECEIVE_BYTES)
    except BlockingIOError:
        return False
    return not received or received.startswith(REJECTIONS)


def _write(connection: socket.socket, data: memoryview, within_s: float) -> int:
    """Write what the socket takes; wait where it takes nothing, until there is room or something to read."""
    try:
        return connection.send(data)
    except BlockingIOError:
        select.select([connection], [connection], [], within_s)
        return 0


def connect(port: int) -> socket.socket:
    """Connect to the proxy; small writes are sent at once."""
    connection = socket.create_connection((HOST, port), timeout=5)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_AT_CLOSE)
    return connection


def be_client(sending: Sending, port: int) -> None:
    """Send the payload over one connection after the other, on each until the proxy ends it."""
    while sending.left_s:
        try:
            with closing(connect(port)) as connection:
                while sending.send(connection) and _is_kept(connection, sending.left_s):
                    pass
        except OSError:
            time.sleep(RECONNECT_S)


def _is_kept(connection: socket.socket, within_s: float) -> bool:
    """Wait for the response; tell whether another request may follow."""
    select.select([connection], [], [], within_s)
    try:
        received = connection.recv(RECEIVE_BYTES)
    except BlockingIOError:
        return False
    return received.startswith(b"HTTP/1.1 2") and b"connection: close" not in received.lower()


class Upstream:
    """A listener that answers every request with the payload; `begun` and `active` count its responses."""

    def __init__(self, sending: Sending, port: int) -> None:
        self._sending = sending
        self._changed = threading.Condition()
        self.begun = 0
        self.active = 0
        self._listener = socket.create_server((HOST, port), backlog=1024)
        _start(self._accept)

    def await_turn(self, begun: int, count: int) -> None:
        """Wait until a response has begun since `begun` were counted, and fewer than `count` are under way."""
        with self._changed:
            self._changed.wait_for(lambda: self.begun > begun, min(SHADOW_S, self._sending.left_s))
            self._changed.wait_for(lambda: self.active < count, self._sending.left_s)

    def _accept(self) -> None:
        while True:
            connection, _ = self._listener.accept()
            if self.active < MAX_RESPONSES:
                _start(self._answer, connection)
            else:
                connection.close()

    def _answer(self, connection: socket.socket) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with closing(connection), suppress(OSError):
            while _await_request(connection, self._sending.left_s):
                self._count(1)
                try:
                    is_taken = self._sending.send(connection)
                finally:
                    self._count(-1)
                if not is_taken:
                    return

    def _count(self, active: int) -> None:
        with self._changed:
            self.begun += active > 0
            self.active += active
            self._changed.notify_all()


def _await_request(connection: socket.socket, within_s: float) -> bool:
    """Wait for a whole request head; tell whether one came."""
    connection.settimeout(within_s or RECONNECT_S)
    head = b""
    while b"\r\n\r\n" not in head:
        received = connection.recv(RECEIVE_BYTES)
        if not received:
            return False
        head = head[-3:] + received
    return True


def be_asked(sending: Sending, port: int, upstream: Upstream, shadows: int) -> None:
    """Request the hostile upstream through the proxy, again and again, and read what comes.

    With `shadows` the response is another upstream's, and the next request waits until fewer shadows are answered.
    """
    while sending.left_s:
        begun = upstream.begun
        try:
            with closing(connect(port)) as connection:
                connection.sendall(REQUEST)
                while sending.left_s:
                    connection.settimeout(max(sending.left_s, RECONNECT_S))
                    if not connection.recv(RECEIVE_BYTES):
                        break
        except OSError:
            time.sleep(RECONNECT_S)
        if shadows:
            upstream.await_turn(begun, shadows)


def _start(work: Callable[..., None], *arguments: object) -> threading.Thread:
    """Start a thread that does not outlive the process."""
    thread = threading.Thread(target=work, args=arguments, daemon=True)
    thread.start()
    return thread


def run(role: str, kind: str, connections: int, seconds: float, port: int, upstream_port: int) -> Tally:
    """Send for so many seconds; return what was sent."""
    sending = Sending(payload_of(role, kind), time.monotonic() + seconds)
    if kind == NOTHING:
        time.sleep(seconds)
        return sending.tally
    if role.startswith("client"):
        threads = [_start(be_client, sending, port) for _ in range(connections)]
    else:
        upstream = Upstream(sending, upstream_port)
        shadows = connections if role.startswith("mirror") else 0
        threads = [_start(be_asked, sending, port, upstream, shadows) for _ in range(connections)]
    for thread in threads:
        thread.join(sending.left_s + JOIN_S)
    return sending.tally


def main(role: str, kind: str, connections: str, seconds: str, port: str, upstream: str) -> None:
    """Run from the command line."""
    tally = run(role, kind, int(connections), float(seconds), int(port), int(upstream))
    print(tally.to_json())


if __name__ == "__main__":
    main(*sys.argv[1:])
