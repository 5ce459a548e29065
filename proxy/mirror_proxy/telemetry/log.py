"""The process's own log: one line per event on standard error, which never blocks the process.

    2026-11-23T12:38:58.219Z ERROR supervisor worker is gone, replacing it worker=0 was="killed by SIGKILL"

or, as JSON, one object a line. Set up here and nowhere else, once per process. Lines go through a bounded queue and a
thread (`telemetry.lines`): a full standard error costs lines, not time; they are counted, and once there is
room again one line says how many. Whatever would be written to standard error by itself (uncaught exceptions, Python's
warnings, asyncio's complaints) goes the same way. Requests are not logged here; they have the access log.
"""

from __future__ import annotations

import json
import logging
import math
import os
import sys
import threading
import time
import traceback
from collections.abc import Callable
from datetime import UTC, datetime
from types import TracebackType

from mirror_proxy.telemetry.event import Event, Field, clipped, event, text
from mirror_proxy.telemetry.line_limit import PERIOD_S, LineLimit
from mirror_proxy.telemetry.lines import PIPE_BUF, Lines
from mirror_proxy.text import disarmed

MAX_QUEUED_BYTES = 256 * 1024
STDERR = 2

_PACKAGE = __name__.partition(".")[0]
#: What leaving waits for somebody to read the last lines.
_FLUSH_S = 0.5
#: Values and messages are cut to the first of these lengths that lets the line fit into `PIPE_BUF`.
_CUTS = (3000, 1000, 300, 80, 20)
_FRAMES = 12
_root = logging.getLogger()
_log = logging.getLogger(__name__)


def start(process: str, form: str = "text", level: str = "info") -> None:
    """Send this process's log to standard error from now on; `process` is what it is called in each line.

    The package logs from `level` up, others from there too, but never less than warnings.
    """
    _hold_standard_descriptors()
    for former in [one for one in _root.handlers if isinstance(one, Handler)]:
        _root.removeHandler(former)
        former.close()
    _root.addHandler(Handler(process))
    set_form(form, level)
    logging.captureWarnings(capture=True)
    sys.excepthook = _on_uncaught
    sys.unraisablehook = _on_unraisable
    threading.excepthook = _on_thread_end


def set_form(form: str, level: str) -> None:
    """Change the form and the level of this process's log."""
    number = logging.getLevelNamesMapping()[level.upper()]
    for handler in _root.handlers:
        if isinstance(handler, Handler):
            handler.render = _FORMS[form]
    logging.getLogger(_PACKAGE).setLevel(number)
    _root.setLevel(max(number, logging.WARNING))


def dropped() -> int:
    """Return how many lines of this process were lost."""
    return sum(handler.lines.dropped for handler in _root.handlers if isinstance(handler, Handler))


#: Process, record, words and fields to a line.
Render = Callable[[str, logging.LogRecord, str, dict[str, Field]], bytes]


class _StderrLines(Lines):
    """Lines to standard error; `tell` is called whenever none is queued. `is_failing`: the last write failed."""

    def __init__(self, fd: int, tell: Callable[[], float | None]) -> None:
        self._tell = tell
        self.is_failing = False
        super().__init__(fd, max_queued_bytes=MAX_QUEUED_BYTES)

    def on_failed(self, error: OSError) -> None:  # noqa: ARG002 there is nowhere to say why
        """Note it."""
        self.is_failing = True

    def on_written(self) -> None:
        """Note it."""
        self.is_failing = False

    def on_drained(self) -> float | None:
        """Say what was left out."""
        return self._tell()


class Handler(logging.Handler):
    """Renders records and offers them; says how many were lost or left out, once it can."""

    def __init__(self, process: str, fd: int = STDERR, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self.render: Render = _text
        self._process = process
        self._clock = clock
        self._limit = LineLimit()
        self._is_closing = False
        self._lost = 0  # lines that a line has told of
        self._turn = threading.RLock()  # not logging's own, which is held while the thread is waited for
        self.lines = _StderrLines(fd, self._tell)

    def emit(self, record: logging.LogRecord) -> None:
        """Queue a line, or drop it (logging)."""
        with self._turn:
            try:
                if self._is_admitted(record):
                    self._offer(record)
            except Exception:  # noqa: BLE001 a line that cannot be rendered must not end what logs it
                self.handleError(record)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 logging's name
        """Say where a line should be that cannot be rendered (logging would write to standard error)."""
        words = event("log line cannot be rendered", logger=record.name, line=record.lineno)
        self._offer(self._record(logging.ERROR, words))

    def close(self) -> None:
        """Flush within a bound, and stop (logging, at exit)."""
        self._is_closing = True
        self.lines.close(_FLUSH_S)
        super().close()

    def _offer(self, record: logging.LogRecord) -> None:
        self.lines.offer(_line(self.render, self._process, record))

    def _is_admitted(self, record: logging.LogRecord) -> bool:
        """Our own events all are, unless they are said to be limited; what libraries say always is."""
        said = record.msg
        is_ours = record.name.partition(".")[0] == _PACKAGE
        if is_ours and not (isinstance(said, Event) and said.is_limited):
            return True
        place = (record.name, record.pathname, record.lineno)
        words = said.words if isinstance(said, Event) else str(said)
        is_admitted = self._limit.admits(place, words, self._clock())
        if not is_admitted:
            self.lines.wake()  # it has to look again when the period is over
        return is_admitted

    def _tell(self) -> float | None:
        """In the writer's thread, when nothing is queued: say what is missing; return when to be called again."""
        with self._turn:
            lost = self.lines.dropped - self._lost
            if lost and not self.lines.is_failing:  # else the line that reports the loss would be lost too
                self._lost += lost
                self._offer(self._record(logging.WARNING, event("log lines were lost", lost=lost)))
            now = self._clock()
            for words, count in self._limit.ended(math.inf if self._is_closing else now):
                said = event("log lines were left out", like=words, left_out=count, period_s=PERIOD_S)
                self._offer(self._record(logging.WARNING, said))
            next_end = self._limit.next_end
        return None if next_end is None else max(0.0, next_end - now)

    @staticmethod
    def _record(level: int, said: Event) -> logging.LogRecord:
        return logging.LogRecord(__name__, level, __file__, 0, said, (), None)


# --- a line ---


def _line(render: Render, process: str, record: logging.LogRecord) -> bytes:
    """Render a record on one line; what is long is cut, so that a pipe takes the line whole."""
    words, fields = _parts(record)
    for most in _CUTS:
        short = {name: clipped(value, most) for name, value in fields.items()}
        line = render(process, record, str(clipped(words, most)), short)
        if len(line) < PIPE_BUF:
            return line
    return render(process, record, words[: _CUTS[-1]], {})


def _parts(record: logging.LogRecord) -> tuple[str, dict[str, Field]]:
    said = record.msg
    words, fields = (said.words, dict(said.fields)) if isinstance(said, Event) else (record.getMessage(), {})
    if record.name.partition(".")[0] != _PACKAGE:
        fields["logger"] = record.name
    if record.exc_info and record.exc_info[1] is not None:
        error = record.exc_info[1]
        fields.setdefault("error", repr(error))
        fields["traceback"] = "".join(traceback.format_exception(error, limit=-_FRAMES)).rstrip()
    return words, fields


def _text(process: str, record: logging.LogRecord, words: str, fields: dict[str, Field]) -> bytes:
    said = disarmed(text(words, fields))
    return f"{_time(record)} {record.levelname} {process} {said}".encode(errors="backslashreplace")


def _json(process: str, record: logging.LogRecord, words: str, fields: dict[str, Field]) -> bytes:
    head = {
        "time": _time(record),
        "level": record.levelname.lower(),
        "process": process,
        "pid": os.getpid(),
        "message": words,
    }
    return disarmed(json.dumps(head | fields | head, separators=(",", ":"))).encode()


_FORMS: dict[str, Render] = {"text": _text, "json": _json}


def _time(record: logging.LogRecord) -> str:
    moment = datetime.fromtimestamp(record.created, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


# --- what would be written to standard error by itself ---


def _on_uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    _log.error(event("uncaught exception", error=error), exc_info=(kind, error, trace))


def _on_thread_end(ended: threading.ExceptHookArgs) -> None:
    error = ended.exc_value
    if error is not None and not isinstance(error, SystemExit):
        name = ended.thread.name if ended.thread is not None else None
        _log.error(event("thread ended in an exception", thread=name, error=error), exc_info=error)


def _on_unraisable(ended: sys.UnraisableHookArgs) -> None:
    error = ended.exc_value
    _log.error(event("exception ignored", where=repr(ended.object), error=error), exc_info=error)


def _hold_standard_descriptors() -> None:
    """Open those of the descriptors 0 to 2 that are closed, lest a socket is called standard error."""
    while (fd := os.open(os.devnull, os.O_RDWR)) <= STDERR:
        os.set_inheritable(fd, True)
    os.close(fd)
