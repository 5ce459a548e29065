"""Connect to unix sockets."""

from __future__ import annotations

import asyncio
import socket

#: Time between attempts while the upstream's queue of connections is full.
_RETRY_S = 0.01


async def connect(path: str) -> socket.socket:
    """Return a socket that is connected to `path`, waiting while the upstream's queue is full.

    The kernel makes such a connection at once or not at all: a full queue is an error (EAGAIN), where TCP would try
    again. The caller sets a timeout.
    """
    sock = socket.socket(socket.AF_UNIX)
    try:
        sock.setblocking(False)
        while not _is_connected(sock, path):  # noqa: ASYNC110 - nothing tells when the queue has room
            await asyncio.sleep(_RETRY_S)
    except BaseException:
        sock.close()
        raise
    return sock


def _is_connected(sock: socket.socket, path: str) -> bool:
    try:
        sock.connect(path)
    except BlockingIOError:
        return False
    return True
