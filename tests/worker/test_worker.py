"""A worker without its supervisor: the test holds the other end of the control pipe."""

from __future__ import annotations

import json
import pickle
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest

from mirror_proxy import control
from mirror_proxy.comparison.diff.pair import load
from mirror_proxy.config.model import (
    Address,
    Config,
    Destination,
    Drain,
    Listener,
    ListenerTls,
    Route,
    Settings,
    VirtualHost,
)
from mirror_proxy.overrides import Weights
from mirror_proxy.telemetry.metrics import Samples
from tests.support.pair_pipe import ALL
from tests.support.plane import cluster_at, make_config
from tests.support.waiting import BOUND_S

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]


class WorkerUnderTest:
    """A worker process, its listening socket and our ends of its pipes."""

    def __init__(self) -> None:
        self.listener = socket.socket()
        self.listener.bind(("127.0.0.1", 0))
        self.address: tuple[str, int] = self.listener.getsockname()
        self.pipe, theirs = socket.socketpair()
        self.pipe.settimeout(BOUND_S)
        self.compared, self.pairs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.compared.settimeout(BOUND_S)
        self.pairs.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        with theirs:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "mirror_proxy.worker.worker", "--control", str(theirs.fileno())],
                pass_fds=(theirs.fileno(), self.listener.fileno(), self.pairs.fileno()),
                stderr=subprocess.PIPE,
                cwd=ROOT,
            )

    def config(self, route: str = "r", cluster: str = "p", tls: ListenerTls | None = None) -> Config:
        settings = Settings(listeners=(Listener(Address(*self.address), tls),), drain=Drain(0.0, 5.0))
        routes = (Route(route, (Destination("p", cluster), Destination("q", cluster, 0))),)
        clusters = (cluster_at("p", Address("127.0.0.1", 1)),)
        return Config(settings, clusters, (VirtualHost("v", ("*",), routes),))

    def prepare(self, generation: int, config: Config) -> None:
        self.send(control.Prepare(generation, config.settings, control.parts_of(config)))

    def count(self) -> Samples:
        """Return what it has counted of requests."""
        self.send(control.GetStatus(1))
        status = self.receive_until(control.Status)
        assert isinstance(status, control.Status)
        return control.read_report(status.report)["requests_total"]

    def ask(self) -> None:
        with socket.create_connection(self.address) as client:
            client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            assert client.makefile("rb").read().startswith(b"HTTP/1.1 503 ")

    def start(self, tls: ListenerTls | None = None) -> None:
        config = self.config(tls=tls)
        self.send(control.Start(config, 1, b"k" * 32, ((self.listener.fileno(),),)))

    def send(self, message: control.ToWorker) -> None:
        body = pickle.dumps(message)
        self.pipe.sendall(struct.pack("!I", len(body)) + body)

    def receive(self) -> control.ToSupervisor:
        (length,) = struct.unpack("!I", self._read(4))
        message: control.ToSupervisor = pickle.loads(self._read(length))
        return message

    def receive_until(self, kind: type) -> control.ToSupervisor:
        while not isinstance(message := self.receive(), kind):
            pass
        return message

    def _read(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            piece = self.pipe.recv(size - len(data))
            if not piece:
                raise EOFError
            data += piece
        return data


@contextmanager
def held_worker() -> Iterator[WorkerUnderTest]:
    held = WorkerUnderTest()
    try:
        yield held
    finally:
        for end in (held.pipe, held.compared, held.pairs, held.listener):
            end.close()
        held.process.kill()
        held.process.communicate()


def test_a_worker_says_ready_beats_answers_and_drains() -> None:
    with held_worker() as held:
        held.start()
        assert held.receive() == control.Ready()
        with socket.create_connection(held.address) as client:
            client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            assert client.recv(100).startswith(b"HTTP/1.1 503 ")
            held.send(control.GetStatus(7))
            status = held.receive_until(control.Status)
            assert isinstance(status, control.Status)
            assert status.id == 7
            assert control.read_report(status.report)["requests_total"] == {("r", "p", "503"): 1}
            assert [row["name"] for rows in control.unpack(status.clusters) for row in rows] == ["p"]
            assert status.mirrors == ()
        held.receive_until(control.Heartbeat)
        held.send(control.BeginDrain(5.0))
        drained = held.receive_until(control.Drained)
        assert isinstance(drained, control.Drained)
        assert control.read_report(drained.report)["requests_total"] == {("r", "p", "503"): 1}
        assert held.process.wait(BOUND_S) == 0


def test_a_generation_is_prepared_beside_the_present_one_and_committed() -> None:
    with held_worker() as held:
        held.start()
        held.receive_until(control.Ready)
        held.prepare(2, held.config("new"))
        assert held.receive_until(control.Prepared) == control.Prepared(2)
        held.ask()
        held.send(control.Commit(2, (Weights("new", (("p", 0), ("q", 1))),)))
        assert held.receive_until(control.Committed) == control.Committed(2)
        held.ask()
        assert held.count() == {("r", "p", "503"): 1, ("new", "q", "503"): 1}


def test_a_generation_that_cannot_be_compiled_is_rejected_and_cannot_be_committed() -> None:
    with held_worker() as held:
        held.start()
        held.receive_until(control.Ready)
        held.prepare(2, held.config("new", cluster="nowhere"))
        assert held.receive_until(control.Rejected) == control.Rejected(2, "'nowhere'")
        held.send(control.Commit(2, ()))
        held.ask()
        assert held.count() == {("r", "p", "503"): 1}


def test_a_generation_that_is_abandoned_cannot_be_committed() -> None:
    with held_worker() as held:
        held.start()
        held.receive_until(control.Ready)
        held.prepare(2, held.config("new"))
        held.receive_until(control.Prepared)
        held.send(control.Abandon(2))
        held.send(control.Commit(2, ()))
        held.ask()
        assert held.count() == {("r", "p", "503"): 1}


def test_a_worker_is_steered_before_it_serves_and_while_it_does() -> None:
    with held_worker() as held:
        held.start()
        held.send(control.SetOverrides(5, (Weights("r", (("p", 0), ("q", 1))),)))
        assert held.receive() == control.OverridesSet(5)
        assert held.receive() == control.Ready()
        held.ask()
        held.send(control.SetOverrides(6, ()))
        assert held.receive_until(control.OverridesSet) == control.OverridesSet(6)
        held.ask()
        assert held.count() == {("r", "q", "503"): 1, ("r", "p", "503"): 1}


class _Answering(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("content-length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *args: object) -> None:
        pass


def test_a_worker_writes_what_it_captures_into_the_pipe_it_was_given_and_never_waits() -> None:
    with held_worker() as held, HTTPServer(("127.0.0.1", 0), _Answering) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        config = make_config(server.server_port, server.server_port, settings={"compare": ALL})
        settings = replace(config.settings, listeners=(Listener(Address(*held.address)),))
        sockets = ((held.listener.fileno(),),)
        held.send(
            control.Start(
                replace(config, settings=settings), 1, b"k" * 32, sockets, pairs=held.pairs.fileno()
            )
        )
        held.receive_until(control.Ready)
        for _ in range(20):  # more than fit into the pipe
            with socket.create_connection(held.address, BOUND_S) as client:
                client.sendall(b"GET /x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
                assert client.makefile("rb").read().startswith(b"HTTP/1.1 200 ")
        pair = load(held.compared.recv(1 << 20))
        server.shutdown()
    assert (pair.target, pair.primary.body, pair.shadow.body) == ("/x", b"ok", b"ok")


def test_a_worker_whose_pipe_closes_drains_and_exits_with_0() -> None:
    with held_worker() as held:
        held.start()
        assert held.receive() == control.Ready()
        held.pipe.close()
        _, stderr = held.process.communicate(timeout=BOUND_S)
        assert held.process.returncode == 0
        [line] = stderr.decode().splitlines()
        assert line.endswith("Z WARNING worker-0 supervisor is gone, draining grace_s=5")


def test_a_worker_that_is_never_started_leaves_with_its_supervisor() -> None:
    with held_worker() as held:
        held.pipe.close()
        assert held.process.wait(BOUND_S) == 0


def test_a_worker_that_cannot_serve_says_why_and_exits_with_1() -> None:
    with held_worker() as held:
        held.start(ListenerTls("/nowhere/cert.pem", "/nowhere/key.pem"))
        failed = held.receive()
        assert isinstance(failed, control.Failed)
        assert "No such file" in failed.problem
        assert held.process.wait(BOUND_S) == 1


def test_a_worker_imports_nothing_it_does_not_need() -> None:
    code = "import json, sys, mirror_proxy.worker.worker; print(json.dumps(sorted(sys.modules)))"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, cwd=ROOT)
    modules = set(json.loads(answer.stdout))
    assert "mirror_proxy.worker.data_plane" in modules
    assert not modules & {
        "yaml",
        "aiohttp",
        "prometheus_client",
        "argparse",
        "mirror_proxy.supervisor",
        "mirror_proxy.admin",
    }


def test_a_worker_that_has_drained_lets_the_supervisor_hang_up() -> None:
    with held_worker() as held:
        held.start()
        held.receive_until(control.Ready)
        held.send(control.BeginDrain(1.0))
        held.receive_until(control.Drained)
        for _ in range(
            3
        ):  # it does not know yet; into a closed pipe, this would drop what it has still to read
            held.send(control.ReloadCertificates())
        held.pipe.shutdown(socket.SHUT_RDWR)
        assert held.process.wait(BOUND_S) == 0
