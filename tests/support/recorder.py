"""A server that keeps what it is sent: an origin whose requests count, or a collector of spans."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from mirror_proxy.config.model import Address


@dataclass
class Request:
    """One request as it came."""

    path: str
    headers: Message
    body: bytes


class Recorder:
    """Answers every request with `status` and two bytes, once `release` is set."""

    def __init__(self, port: int = 0) -> None:
        self.requests: list[Request] = []
        self.status = 200
        self.release = threading.Event()
        self.release.set()
        recorder = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                recorder.requests.append(Request(self.path, self.headers, body))
                recorder.release.wait()
                self.send_response(recorder.status)
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"ok")

            do_POST = do_GET  # noqa: N815 the base class names it

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 the base class names it
                """Stay quiet."""

        class Server(ThreadingHTTPServer):
            def handle_error(self, request: object, client_address: object) -> None:
                """Stay quiet: who leaves resets connections."""

        self._server = Server(("127.0.0.1", port), Handler)
        self._server.daemon_threads = True
        self.address = Address("127.0.0.1", self._server.server_port)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://{self.address}"

    def close(self) -> None:
        """Answer what waits, and stop."""
        self.release.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@contextmanager
def recorder(port: int = 0) -> Iterator[Recorder]:
    """Keep a recorder until the block ends."""
    one = Recorder(port)
    try:
        yield one
    finally:
        one.close()
