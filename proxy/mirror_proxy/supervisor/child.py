"""A child process of the supervisor: start it, send it messages and receive its answers, notice its end.

In a container the supervisor may be process 1, which orphaned processes become children of. It reaps them one by one:
waiting for any child would take the exit status of its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Container, Mapping
from pathlib import Path

from mirror_proxy import control
from mirror_proxy.config.model import Log
from mirror_proxy.control import Pipe

#: Process ids of the children of this module that run, or have ended and are not waited for yet. A child whose end
#: could not be watched is not among them: it is reaped as an orphan.
own_pids: set[int] = set()


class Child:
    """A process with a control pipe; `exited` resolves when it has ended and its pipe has been read to the end.

    `last_message_at` is the time of its last message. `is_hung` is set when it is killed because it does not answer.
    `log` returns the log settings in force.
    """

    def __init__(self, log: Callable[[], Log]) -> None:
        self._log = log
        self._loop = asyncio.get_running_loop()
        self._pipe = Pipe(self._on_message, self._on_pipe_closed)
        self._ids = itertools.count()
        self._pending: dict[object, asyncio.Future[control.Message]] = {}
        self._is_pipe_closed = False
        self.started = self.last_message_at = self._loop.time()
        self.is_hung = False
        self.exited: asyncio.Future[None] = self._loop.create_future()

    @property
    def exit_text(self) -> str:
        """How the process ended, for the log."""
        code = self._process.returncode
        if self.is_hung:
            return "stopped answering and was killed"
        return f"was killed by {signal.Signals(-code).name}" if code < 0 else f"exited with code {code}"

    def kill(self) -> None:
        """Kill the process."""
        if self._process.returncode is None:
            self._process.kill()

    async def set_log(self, timeout_s: float) -> None:
        """Send the log settings in force; returns after the answer, the end of the process or `timeout_s`."""
        number = next(self._ids)
        await self._request(control.SetLog(number, self._log()), (control.LogSet, number), timeout_s)

    def receive(self, message: control.Message) -> None:
        """Handle a message of the process."""
        raise NotImplementedError

    async def _start(
        self, module: str, options: Mapping[str, int], fds: tuple[int, ...], environ: Mapping[str, str]
    ) -> None:
        """Run a module of this package that inherits the other end of the pipe, and `fds`. Raises `OSError`."""
        ours, theirs = socket.socketpair()
        log = self._log()
        log_options = {"log-format": log.format, "log-level": log.level}
        try:
            with theirs:
                self._process = _popen(
                    module,
                    {"control": theirs.fileno(), **options, **log_options},
                    (theirs.fileno(), *fds),
                    environ,
                )
            self.pid = self._process.pid
            self._pidfd = self._open_pidfd()
        except OSError:
            ours.close()
            raise
        own_pids.add(self.pid)
        self._loop.add_reader(self._pidfd, self._on_exit)
        await self._loop.create_unix_connection(lambda: self._pipe, sock=ours)
        if self._log() != log:  # it was changed before this process was known
            self._pipe.send(control.SetLog(next(self._ids), self._log()))

    def _open_pidfd(self) -> int:
        """Return a descriptor that is readable when the process has ended; without one the process is killed."""
        try:
            return os.pidfd_open(self.pid)
        except OSError:
            self._process.kill()
            self._process.wait()
            raise

    async def _request(
        self, message: control.Message, key: object, timeout_s: float
    ) -> control.Message | None:
        """Send `message` and return its answer, known by `key`; None: no answer within `timeout_s`."""
        answer = self._pending[key] = self._loop.create_future()
        self._pipe.send(message)
        await asyncio.wait([answer, self.exited], timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
        del self._pending[key]
        return answer.result() if answer.done() else None

    def _resolve(self, kind: type, number: int, message: control.Message) -> None:
        answer = self._pending.get((kind, number))
        if answer is not None and not answer.done():
            answer.set_result(message)

    def _on_message(self, message: control.Message) -> None:
        self.last_message_at = self._loop.time()
        if isinstance(message, control.LogSet):
            self._resolve(control.LogSet, message.id, message)
        else:
            self.receive(message)

    def _on_exit(self) -> None:
        self._loop.remove_reader(self._pidfd)
        os.close(self._pidfd)
        self._process.wait()
        own_pids.discard(self.pid)
        self._check_exited()

    def _on_pipe_closed(self) -> None:
        self._is_pipe_closed = True
        self._check_exited()

    def _check_exited(self) -> None:
        """Resolve `exited` after both: the last counters may be in the pipe when the process has ended."""
        if self._is_pipe_closed and self._process.returncode is not None:
            self.exited.set_result(None)


def reap_orphans(own: Container[int] = own_pids, proc: Path = Path("/proc/self/task")) -> int:
    """Wait for every child that has ended and is not among `own`; return their number."""
    reaped = 0
    for pid in _children(proc):
        if pid not in own:
            with contextlib.suppress(ChildProcessError):  # it was waited for meanwhile
                reaped += os.waitpid(pid, os.WNOHANG)[0] == pid
    return reaped


def _popen(
    module: str, options: Mapping[str, int | str], fds: tuple[int, ...], environ: Mapping[str, str]
) -> subprocess.Popen[bytes]:
    """Start the running interpreter with the modules of this process."""
    arguments = [word for name, value in options.items() for word in (f"--{name}", str(value))]
    return subprocess.Popen(  # noqa: S603 nothing here comes from outside
        [sys.executable, "-P", "-m", module, *arguments],
        pass_fds=fds,
        stdin=subprocess.DEVNULL,
        env={**environ, **os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )


def _children(proc: Path) -> list[int]:
    """Return the children of every thread of this process."""
    found: list[int] = []
    for file in proc.glob("*/children"):
        with contextlib.suppress(OSError):  # the thread has ended
            found += map(int, file.read_text("ascii").split())
    return found
