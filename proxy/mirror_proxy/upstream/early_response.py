"""Hear an upstream out that answered early and then reset the connection while we were still sending.

The answer (a 413, say) waits in the socket's receive queue, but the event loop meets the failed write first and
closes. A duplicate of the descriptor outlives that, for uploads that are sent in more than one go.
"""

from __future__ import annotations

import contextlib
import os
import socket

from mirror_proxy.descriptors import Descriptors, is_exhaustion

#: What the kernel may hold for us: no more of it is read at once.
_MAX_BYTES = 1024 * 1024
_READ_BYTES = 64 * 1024


class EarlyResponse:
    """A second descriptor of one connection; where none is left, the last words are lost, and not the request."""

    __slots__ = ("_descriptors", "_fd")

    def __init__(self, sock: socket.socket, descriptors: Descriptors) -> None:
        self._descriptors = descriptors
        self._fd = -1
        if descriptors.duplicates < descriptors.shares.duplicates:
            try:
                self._fd = os.dup(sock.fileno())
            except OSError as error:
                if is_exhaustion(error):
                    descriptors.on_exhausted("dup")
            else:
                descriptors.duplicates += 1

    def take(self) -> bytearray:
        """Give what is left to read; nothing where there is nothing."""
        words = bytearray()
        if self._fd < 0:
            return words
        self._descriptors.duplicates -= 1
        with contextlib.suppress(OSError), socket.socket(fileno=self._fd) as sock:
            self._fd = -1
            sock.setblocking(False)
            while len(words) < _MAX_BYTES and (data := sock.recv(_READ_BYTES)):
                words += data
        return words

    def close(self) -> None:
        """Let go of the descriptor."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
            self._descriptors.duplicates -= 1
