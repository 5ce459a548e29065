"""A bound unix socket, and the file that it is reached by."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import stat
from pathlib import Path

from mirror_proxy.config.model import Address


class UnixSocketError(Exception):
    """The socket cannot be bound; the text has the reason and the next step."""


class UnixSocket(socket.socket):
    """A socket that is bound to `address`; closing it removes its file.

    A file that nothing listens on, left by a process that was killed, is replaced. Raises `UnixSocketError`. Who may
    connect depends on the process's umask and on the folder, as for Envoy.
    """

    def __init__(self, address: Address) -> None:
        super().__init__(socket.AF_UNIX, socket.SOCK_STREAM)
        self.address = address
        self._inode = 0
        self.setblocking(False)
        try:
            _remove_stale(address)
            self.bind(address.socket_path)
            self._inode = _inode(address)
        except OSError as error:
            self.close()
            raise UnixSocketError(_advice(error)) from error
        except UnixSocketError:
            self.close()
            raise

    def close(self) -> None:
        """Close the socket and remove its file, unless another process has replaced it."""
        if self._inode and self._inode == _inode(self.address):
            with contextlib.suppress(OSError):
                Path(self.address.host).unlink()
        self._inode = 0
        super().close()


def _inode(address: Address) -> int:
    """Return the number of a socket's file, 0 without one."""
    try:
        return 0 if address.host.startswith("@") else Path(address.host).stat().st_ino
    except OSError:
        return 0


def _remove_stale(address: Address) -> None:
    if not _inode(address):
        return
    if not stat.S_ISSOCK(Path(address.host).stat().st_mode):
        raise UnixSocketError("the file exists and is no socket; remove it or choose another path")
    with socket.socket(socket.AF_UNIX) as probe:
        probe.setblocking(False)
        try:
            probe.connect(address.socket_path)
        except ConnectionRefusedError:
            Path(address.host).unlink()
            return
        except BlockingIOError:  # its queue is full
            pass
    raise OSError(errno.EADDRINUSE, "")


def _advice(error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return "the socket is already in use; stop what uses it or choose another path"
    if error.errno in (errno.EACCES, errno.EPERM):
        return "no permission to make the socket there; choose a folder that the proxy may write to"
    if error.errno in (errno.ENOENT, errno.ENOTDIR):
        return "its folder does not exist; make it or choose another path"
    return os.strerror(error.errno) if error.errno else str(error)
