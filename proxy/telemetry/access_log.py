"""The access log's writer: the loop offers lines, one thread writes them in batches.

`offer` appends to a bounded queue and never waits; over the bound the line is dropped and counted. A regular
file takes a whole batch in one append. Into a pipe, writes end at line ends and are at most `PIPE_BUF` long,
which POSIX keeps whole (`write`, "Atomicity"), so that several workers share one standard output without
mixing; a line that cannot be written whole is dropped and counted. Descriptor 1 belongs to others as well and
stays blocking: the thread polls before each write.
"""

from __future__ import annotations

import logging
import os
import select
import stat
import threading
import time
from collections import deque

MAX_QUEUED_BYTES = 4 * 1024 * 1024
PIPE_BUF = select.PIPE_BUF

_BATCH_BYTES = 256 * 1024
_BATCH_WAIT_S = 0.1
_POLL_MS = 200
_log = logging.getLogger(__name__)


class AccessLog:
    """One worker's access log, to the file `target` or, for `-`, standard output.

    Raises `OSError` when the file cannot be opened.
    """

    def __init__(self, target: str, *, max_queued_bytes: int = MAX_QUEUED_BYTES) -> None:
        self._target = target
        self._max_queued_bytes = max_queued_bytes
        self._lines: deque[bytes] = deque()
        # Each counter has one writing thread: what is queued is what was taken in less what was taken out.
        self._offered_bytes = self._taken_bytes = 0
        self._refused = self._lost = 0
        self._awake = threading.Event()
        self._reopening = threading.Event()
        self._deadline: float | None = None
        self._failing = self._torn = False
        self._fd, self._is_file = self._open()
        self._thread = threading.Thread(target=self._run, name="access-log", daemon=True)
        self._thread.start()

    @property
    def dropped(self) -> int:
        """Lines that were not written: the queue was full, or the write failed."""
        return self._refused + self._lost

    def offer(self, line: bytes) -> None:
        """Queue `line`, which has no line end, or drop it; never waits."""
        size = len(line) + 1
        if self._offered_bytes - self._taken_bytes + size > self._max_queued_bytes:
            self._refused += 1
            return
        self._offered_bytes += size
        self._lines.append(line)
        if not self._awake.is_set():
            self._awake.set()

    def reopen(self) -> None:
        """Open the path again, after it was renamed; standard output stays as it is."""
        self._reopening.set()
        self._awake.set()

    def close(self, timeout_s: float) -> None:
        """Write what is queued within `timeout_s`, then stop; waits for at most that long."""
        self._deadline = time.monotonic() + timeout_s
        self._awake.set()
        self._thread.join(timeout_s)

    def _open(self) -> tuple[int, bool]:
        if self._target == "-":
            fd = 1
        else:
            flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK
            fd = os.open(self._target, flags, 0o640)
        return fd, stat.S_ISREG(os.fstat(fd).st_mode)

    def _run(self) -> None:
        while self._deadline is None:
            self._awake.wait()
            time.sleep(_BATCH_WAIT_S)  # one write for many lines
            self._awake.clear()
            if self._reopening.is_set():
                self._reopen()
            self._write_queued()
        self._write_queued()
        if self._target != "-":
            os.close(self._fd)

    def _reopen(self) -> None:
        self._reopening.clear()
        if self._target == "-":
            return
        try:
            fd, is_file = self._open()
        except OSError as error:
            _log.warning(
                "access log %s cannot be reopened, the old file stays in use: %s", self._target, error
            )
            return
        os.close(self._fd)
        self._fd, self._is_file, self._torn = fd, is_file, False

    def _write_queued(self) -> None:
        while self._lines:
            batch = self._take(_BATCH_BYTES if self._is_file else PIPE_BUF)
            if not batch:
                continue
            try:
                self._write(b"\n".join(batch) + b"\n")
            except OSError as error:
                self._lost += len(batch)
                self._on_write_error(error)
                if isinstance(error, TimeoutError):
                    self._lose_queued()
            else:
                self._on_written()

    def _lose_queued(self) -> None:
        self._lost += len(self._lines)
        self._lines.clear()

    def _take(self, most: int) -> list[bytes]:
        """Take lines whose bytes and line ends come to at most `most`."""
        batch: list[bytes] = []
        room = most
        while self._lines:
            size = len(self._lines[0]) + 1
            if size > room and (batch or not self._is_file):
                if batch:
                    break
                self._lost += 1  # longer than a pipe takes whole
                self._lines.popleft()
            else:
                batch.append(self._lines.popleft())
                room -= size
            self._taken_bytes += size
        return batch

    def _write(self, data: bytes) -> None:
        if self._torn:  # the last write stopped inside a line
            data = b"\n" + data
        view = memoryview(data)
        while view:
            self._wait_writable()
            try:
                view = view[os.write(self._fd, view) :]
            except BlockingIOError:
                continue
            self._torn = len(view) > 0

    def _wait_writable(self) -> None:
        """Wait until `PIPE_BUF` bytes are taken whole; raise `TimeoutError` when closing takes too long."""
        if self._is_file:
            return
        poll = select.poll()
        poll.register(self._fd, select.POLLOUT)
        while not poll.poll(_POLL_MS):
            if self._deadline is not None and time.monotonic() > self._deadline:
                raise TimeoutError("nobody reads it")

    def _on_write_error(self, error: OSError) -> None:
        if not self._failing:
            self._failing = True
            _log.warning("access log %s: lines are being dropped: %s", self._target, error)

    def _on_written(self) -> None:
        if self._failing:
            self._failing = False
            _log.info(
                "access log %s is being written again; %d lines lost so far", self._target, self.dropped
            )
