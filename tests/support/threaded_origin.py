"""An origin in threads, for tests that block: it records requests, and may hold responses until they are released."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from mirror_proxy.config.model import Address
from tests.support.waiting import BOUND_S


@dataclass(frozen=True)
class Request:
    """One request as it came."""

    path: str
    headers: Message
    body: bytes


class ThreadedOrigin:
    """Answers every request with `status` and `body`; one for `/held`, or every one after `hold`, after `release`."""

    def __init__(self, body: bytes = b"ok", status: int = 200, port: int = 0) -> None:
        self.body = body
        self.status = status
        self.requests: list[Request] = []
        self.waiting = 0
        self.release = threading.Event()
        self._is_holding = False
        origin = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                origin._answer(self)

            do_POST = do_GET  # noqa: N815 - the base class names it

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it
                """Stay quiet."""

        class Server(ThreadingHTTPServer):
            def handle_error(self, request: object, client_address: object) -> None:
                """Stay quiet: a proxy that is killed resets connections."""

        self._server = Server(("127.0.0.1", port), Handler)
        self._server.daemon_threads = True
        self.address = Address("127.0.0.1", self._server.server_port)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://{self.address}"

    @property
    def began(self) -> list[float]:
        """When requests of `tests.support.traffic` began."""
        return [float(one.headers["x-began"]) for one in tuple(self.requests) if "x-began" in one.headers]

    def hold(self) -> None:
        """Hold every response until `release` is set."""
        self._is_holding = True

    def close(self) -> None:
        """Answer what waits, and stop."""
        self.release.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _answer(self, handler: BaseHTTPRequestHandler) -> None:
        body = handler.rfile.read(int(handler.headers.get("Content-Length", 0)))
        self.requests.append(Request(handler.path, handler.headers, body))
        if self._is_holding or handler.path == "/held":
            self.waiting += 1
            self.release.wait(BOUND_S)
        handler.send_response(self.status)
        handler.send_header("Content-Length", str(len(self.body)))
        handler.end_headers()
        handler.wfile.write(self.body)


@contextmanager
def origin(body: bytes = b"ok", status: int = 200, port: int = 0) -> Iterator[ThreadedOrigin]:
    one = ThreadedOrigin(body, status, port)
    try:
        yield one
    finally:
        one.close()
