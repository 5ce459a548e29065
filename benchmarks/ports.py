"""Loopback ports: free ones chosen at run time, and waiting until one answers HTTP."""

from __future__ import annotations

import http.client
import socket
import time

HOST = "127.0.0.1"


def free_port() -> int:
    """Return a port that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def answers(port: int) -> bool:
    """Return whether a GET to `port` is answered within a second, by an upstream (200) or for want of a route (404)."""
    connection = http.client.HTTPConnection(HOST, port, timeout=1)
    try:
        connection.request("GET", "/")
        return connection.getresponse().status in (200, 404)
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def listens(port: int) -> bool:
    """Return whether a connection to `port` is accepted."""
    try:
        socket.create_connection((HOST, port), timeout=1).close()
    except OSError:
        return False
    return True


def pause() -> None:
    """Wait a moment between two looks at the same condition."""
    time.sleep(0.02)
