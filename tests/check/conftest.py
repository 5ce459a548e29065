"""Endpoints for the checklist to probe: sockets that listen, plain or with TLS."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable, Iterator

import pytest

from mirror_proxy.config.model import Address

Listen = Callable[..., Address]


@pytest.fixture
def listen() -> Iterator[Listen]:
    """Listen on a free port of loopback; with `tls`, shake hands with whoever connects, then send `response`."""
    with contextlib.ExitStack() as stack:

        def start(tls: ssl.SSLContext | None = None, response: bytes | None = None) -> Address:
            server = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
            if tls is not None or response is not None:
                thread = threading.Thread(target=_respond, args=(server, tls, response))
                thread.start()
                stack.callback(thread.join)
                stack.callback(server.shutdown, socket.SHUT_RDWR)
            return Address("127.0.0.1", server.getsockname()[1])

        yield start


def _respond(server: socket.socket, tls: ssl.SSLContext | None, response: bytes | None) -> None:
    while True:
        try:
            connection, _ = server.accept()
        except OSError:
            return
        with contextlib.suppress(OSError):
            spoken = tls.wrap_socket(connection, server_side=True) if tls is not None else connection
            if response is not None:
                spoken.recv(65536)
                spoken.sendall(response)
            spoken.close()
        connection.close()
