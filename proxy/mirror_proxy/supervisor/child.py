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
    """A process from its spawn until it has ended and its control pipe has been read to the end; then `gone` resolves.

    `last_heard` is when it last said anything. Whoever kills it because it says nothing sets `is_hung`. `log` gives
    how it is to log, as it is then.
    """

    def __init__(self, log: Callable[[], Log]) -> None:
        self._log = log
        self._loop = asyncio.get_running_loop()
        self._pipe = Pipe(self._on_message, self._on_pipe_closed)
        self._ids = itertools.count()
        self._asked: dict[object, asyncio.Future[control.Message]] = {}
        self._is_pipe_closed = False
        self.started = self.last_heard = self._loop.time()
        self.is_hung = False
        self.gone: asyncio.Future[None] = self._loop.create_future()

    @property
    def exit_text(self) -> str:
        """How the process ended, for a log line."""
        code = self._process.returncode
        if self.is_hung:
            return "stopped answering and was killed"
        return f"was killed by {signal.Signals(-code).name}" if code < 0 else f"exited with code {code}"

    def kill(self) -> None:
        """End the process at once."""
        if self._process.returncode is None:
            self._process.kill()

    async def set_log(self, timeout_s: float) -> None:
        """Have it log as is wanted now; returns once it does, or is gone, or has not answered in time."""
        number = next(self._ids)
        await self._ask(control.SetLog(number, self._log()), (control.LogSet, number), timeout_s)

    def hear(self, message: control.Message) -> None:
        """Take what the process says."""
        raise NotImplementedError

    async def _start(
        self, module: str, options: Mapping[str, int], fds: tuple[int, ...], environ: Mapping[str, str]
    ) -> None:
        """Run a module of ours, which is handed the other end of the pipe and inherits `fds`. Raises `OSError`."""
        ours, theirs = socket.socketpair()
        log = self._log()
        said = {"log-format": log.format, "log-level": log.level}
        try:
            with theirs:
                self._process = _popen(
                    module, {"control": theirs.fileno(), **options, **said}, (theirs.fileno(), *fds), environ
                )
            self.pid = self._process.pid
            self._pidfd = self._watched()
        except OSError:
            ours.close()
            raise
        own_pids.add(self.pid)
        self._loop.add_reader(self._pidfd, self._on_exit)
        await self._loop.create_unix_connection(lambda: self._pipe, sock=ours)
        if self._log() != log:  # it changed while this process was not to be found yet
            self._pipe.send(control.SetLog(next(self._ids), self._log()))

    def _watched(self) -> int:
        """Return a descriptor that tells when the process ends; without one it may not live."""
        try:
            return os.pidfd_open(self.pid)
        except OSError:
            self._process.kill()
            self._process.wait()
            raise

    async def _ask(self, message: control.Message, key: object, timeout_s: float) -> control.Message | None:
        """Send `message` and return the answer of that `key`, or None when it does not come."""
        answer = self._asked[key] = self._loop.create_future()
        self._pipe.send(message)
        await asyncio.wait([answer, self.gone], timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
        del self._asked[key]
        return answer.result() if answer.done() else None

    def _on_answer(self, kind: type, number: int, message: control.Message) -> None:
        answer = self._asked.get((kind, number))
        if answer is not None and not answer.done():
            answer.set_result(message)

    def _on_message(self, message: control.Message) -> None:
        self.last_heard = self._loop.time()
        if isinstance(message, control.LogSet):
            self._on_answer(control.LogSet, message.id, message)
        else:
            self.hear(message)

    def _on_exit(self) -> None:
        self._loop.remove_reader(self._pidfd)
        os.close(self._pidfd)
        self._process.wait()
        own_pids.discard(self.pid)
        self._tell_when_gone()

    def _on_pipe_closed(self) -> None:
        self._is_pipe_closed = True
        self._tell_when_gone()

    def _tell_when_gone(self) -> None:
        """Wait for both: the last counters may still be in the pipe when the process has ended."""
        if self._is_pipe_closed and self._process.returncode is not None:
            self.gone.set_result(None)


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
    """Start the interpreter we run ourselves, on the modules we run."""
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
