"""Lines on their way out of a process: `offer` never blocks, one thread writes them in batches.

`offer` appends to a bounded queue; over the bound the line is dropped and counted. A regular file takes a whole batch
in one append. Into anything else, writes end at line ends and are at most `PIPE_BUF` long, which POSIX keeps whole
(`write`, "Atomicity"), so that several processes share one pipe without mixing; a line that cannot be written whole is
dropped and counted. Standard descriptors belong to others as well and stay blocking: the thread polls before each
write. If another process fills the pipe between the two, it is the thread that waits.

Waking the thread takes no lock: a finalizer that logs may run in the middle of it, on the same thread.
"""

from __future__ import annotations

import os
import select
import stat
import threading
import time
from collections import deque
from contextlib import suppress
from queue import Empty, SimpleQueue

MAX_QUEUED_BYTES = 4 * 1024 * 1024
PIPE_BUF = select.PIPE_BUF

_BATCH_BYTES = 256 * 1024
_POLL_MS = 200


class Lines:
    """Lines to `target`, a path or an open descriptor; of offers, one may be made at a time.

    `gather_s` is how long the thread waits for more lines, once it has one. Raises `OSError` when the file cannot be
    opened.
    """

    def __init__(
        self, target: str | int, *, max_queued_bytes: int = MAX_QUEUED_BYTES, gather_s: float = 0.0
    ) -> None:
        self._target = target
        self._max_queued_bytes = max_queued_bytes
        self._gather_s = gather_s
        self._lines: deque[bytes] = deque()
        # Each counter has one writing thread: what is queued is what was taken in less what was taken out.
        self._offered_bytes = self._taken_bytes = 0
        self._refused = self._lost = 0
        self._bell: SimpleQueue[None] = SimpleQueue()
        self._is_rung = False
        self._reopening = threading.Event()
        self._deadline: float | None = None
        self._is_torn = False
        self._fd, self._is_file = self._open()
        self._thread = threading.Thread(target=self._run, name="lines", daemon=True)
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
        self.wake()

    def wake(self) -> None:
        """Have the thread look."""
        if not self._is_rung:
            self._is_rung = True
            self._bell.put(None)

    def reopen(self) -> None:
        """Open the path again, after it was renamed; a descriptor stays as it is."""
        self._reopening.set()
        self.wake()

    def close(self, timeout_s: float) -> None:
        """Write what is queued within `timeout_s`, then stop; waits for at most that long."""
        if self._deadline is None:
            self._deadline = time.monotonic() + timeout_s
            self.wake()
        self._thread.join(timeout_s)

    # --- hooks, called in the thread ---

    def on_failed(self, error: OSError) -> None:
        """A batch was lost."""

    def on_written(self) -> None:
        """A batch was written."""

    def on_reopen_failed(self, error: OSError) -> None:
        """The path cannot be opened again; what was open stays in use."""

    def on_drained(self) -> float | None:
        """Nothing is queued. Return after how many seconds to be called again, if nothing is offered (None: never)."""
        return None

    # --- the thread ---

    def _open(self) -> tuple[int, bool]:
        fd = self._target
        if isinstance(fd, str):
            flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK
            fd = os.open(fd, flags, 0o640)
        return fd, stat.S_ISREG(os.fstat(fd).st_mode)

    def _run(self) -> None:
        again_s: float | None = None
        while self._deadline is None:
            self._wait(again_s)
            self._write_queued()
            again_s = self.on_drained()
        self._write_queued()
        self.on_drained()
        self._write_queued()
        if isinstance(self._target, str):
            os.close(self._fd)

    def _wait(self, timeout_s: float | None) -> None:
        with suppress(Empty):
            self._bell.get(timeout=timeout_s)
            time.sleep(self._gather_s)
        self._is_rung = False
        if self._reopening.is_set():
            self._reopen()

    def _reopen(self) -> None:
        self._reopening.clear()
        if not isinstance(self._target, str):
            return
        try:
            fd, is_file = self._open()
        except OSError as error:
            self.on_reopen_failed(error)
            return
        os.close(self._fd)
        self._fd, self._is_file, self._is_torn = fd, is_file, False

    def _write_queued(self) -> None:
        while self._lines:
            batch = self._take(_BATCH_BYTES if self._is_file else PIPE_BUF)
            if not batch:
                continue
            try:
                self._write(b"\n".join(batch) + b"\n")
            except OSError as error:
                self._lost += len(batch)
                self.on_failed(error)
                if isinstance(error, TimeoutError):
                    self._lose_queued()
            else:
                self.on_written()

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
        if self._is_torn:  # the last write stopped inside a line
            data = b"\n" + data
        view = memoryview(data)
        while view:
            self._wait_writable()
            try:
                view = view[os.write(self._fd, view) :]
            except BlockingIOError:
                continue
            self._is_torn = len(view) > 0

    def _wait_writable(self) -> None:
        """Wait until `PIPE_BUF` bytes are taken whole; raise `TimeoutError` when closing takes too long."""
        if self._is_file:
            return
        poll = select.poll()
        poll.register(self._fd, select.POLLOUT)
        while not poll.poll(_POLL_MS):
            if self._deadline is not None and time.monotonic() > self._deadline:
                raise TimeoutError("nobody reads it")
