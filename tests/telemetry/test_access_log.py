from __future__ import annotations

import os
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from mirror_proxy.telemetry.access_log import AccessLog
from mirror_proxy.telemetry.lines import PIPE_BUF
from tests.support.waiting import BOUND_S, until

ROOT = Path(__file__).parents[2]


@pytest.fixture
def closing() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def _opened(closing: ExitStack, path: Path, **options: int) -> AccessLog:
    log = AccessLog(str(path), **options)
    closing.callback(log.close, BOUND_S)
    return log


def _fifo(closing: ExitStack, path: Path) -> int:
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    closing.callback(os.close, reader)
    return reader


def test_lines_are_in_the_file_once_it_is_closed(tmp_path: Path) -> None:
    path = tmp_path / "log"
    log = AccessLog(str(path))
    for number in range(1000):
        log.offer(b"line %d" % number)
    log.close(BOUND_S)
    assert path.read_bytes().splitlines() == [b"line %d" % number for number in range(1000)]
    assert log.dropped == 0


def test_the_file_is_appended_to_and_closed_to_others(tmp_path: Path) -> None:
    path = tmp_path / "log"
    for line in (b"one", b"two"):
        log = AccessLog(str(path))
        log.offer(line)
        log.close(BOUND_S)
    assert path.read_bytes() == b"one\ntwo\n"
    assert stat.S_IMODE(path.stat().st_mode) & 0o037 == 0


def test_a_file_that_cannot_be_opened_is_an_error_at_once(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="missing/log"):
        AccessLog(str(tmp_path / "missing" / "log"))


def test_after_a_rename_reopen_goes_on_in_a_new_file(tmp_path: Path, closing: ExitStack) -> None:
    path = tmp_path / "log"
    log = _opened(closing, path)
    log.offer(b"before")
    until(path.read_bytes, "a line")
    path.rename(tmp_path / "old")
    log.reopen()
    until(path.exists, "a new file")
    log.offer(b"after")
    until(path.read_bytes, "a line")
    assert path.read_bytes() == b"after\n"
    assert (tmp_path / "old").read_bytes() == b"before\n"


def test_when_reopening_fails_the_old_file_stays_in_use(
    tmp_path: Path, closing: ExitStack, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "logs"
    folder.mkdir()
    log = _opened(closing, folder / "log")
    folder.rename(tmp_path / "moved")
    log.reopen()
    until(lambda: "cannot be reopened" in caplog.text, "a warning")
    log.offer(b"still here")
    until((tmp_path / "moved" / "log").read_bytes, "a line in the old file")


def test_over_the_bound_lines_are_dropped_and_counted_and_offer_never_waits(
    tmp_path: Path, closing: ExitStack
) -> None:
    reader = _fifo(closing, tmp_path / "pipe")
    log = _opened(closing, tmp_path / "pipe", max_queued_bytes=10_000)
    line = b"x" * 99
    for _ in range(5000):  # a pipe holds 64 KiB, the queue 10 000 bytes, and nobody reads
        log.offer(line)
    assert log.dropped >= 5000 - (65536 + PIPE_BUF + 10_000) // 100
    kept = 5000 - log.dropped
    got = b""
    while got.count(b"\n") < kept:
        try:
            got += os.read(reader, 65536)
        except BlockingIOError:
            time.sleep(0.01)
    assert set(got.splitlines()) == {line}


def test_closing_with_a_full_pipe_gives_up_after_its_time(tmp_path: Path, closing: ExitStack) -> None:
    _fifo(closing, tmp_path / "pipe")
    log = AccessLog(str(tmp_path / "pipe"))
    for _ in range(2000):
        log.offer(b"x" * 99)
    log.close(0.3)
    log._thread.join(BOUND_S)
    assert not log._thread.is_alive()
    assert log.dropped >= 2000 - (65536 + PIPE_BUF) // 100


def test_several_writers_on_one_pipe_never_mix_lines(tmp_path: Path, closing: ExitStack) -> None:
    reader = _fifo(closing, tmp_path / "pipe")
    logs = [AccessLog(str(tmp_path / "pipe")) for _ in range(3)]
    got = bytearray()

    def read() -> None:
        while got.count(b"\n") < 3000:
            try:
                got.extend(os.read(reader, 4096))
            except BlockingIOError:
                time.sleep(0.001)

    thread = threading.Thread(target=read)
    thread.start()
    for number in range(1000):
        for letter, log in zip(b"abc", logs, strict=True):
            log.offer(bytes([letter]) * (1 + number % 700))
    for log in logs:
        log.close(BOUND_S)
    thread.join(BOUND_S)
    lines = bytes(got).splitlines()
    assert len(lines) == 3000
    assert all(len(set(line)) == 1 for line in lines)


def test_a_line_that_a_pipe_cannot_take_whole_is_dropped(tmp_path: Path, closing: ExitStack) -> None:
    reader = _fifo(closing, tmp_path / "pipe")
    log = AccessLog(str(tmp_path / "pipe"))
    log.offer(b"x" * PIPE_BUF)
    log.offer(b"y" * (PIPE_BUF - 1))
    log.offer(b"z")
    log.close(BOUND_S)
    assert os.read(reader, 3 * PIPE_BUF) == b"y" * (PIPE_BUF - 1) + b"\nz\n"
    assert log.dropped == 1


def test_a_full_disk_is_named_once_counted_and_recovered_from(
    tmp_path: Path, closing: ExitStack, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "mirror_proxy")
    path = tmp_path / "log"
    path.symlink_to("/dev/full")
    log = _opened(closing, path)
    for number in range(1, 4):
        log.offer(b"lost")
        until(lambda number=number: log.dropped == number, "a dropped line")  # type: ignore[misc]
    assert caplog.text.count('error="[Errno 28] No space left on device"') == 1
    path.unlink()
    log.reopen()
    until(lambda: path.exists() and path.is_file(), "a new file")
    log.offer(b"kept")
    until(path.read_bytes, "a line")
    until(lambda: "is being written again" in caplog.text and "lost=3" in caplog.text, "the recovery")


def test_a_dash_is_standard_output_and_leaves_it_blocking() -> None:
    code = (
        "import os; from mirror_proxy.telemetry.access_log import AccessLog; log = AccessLog('-');"
        "log.offer(b'hello'); log.reopen(); log.close(5); print(os.get_blocking(1))"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, cwd=ROOT)
    assert answer.stdout == b"hello\nTrue\n"


def test_when_nobody_reads_standard_output_any_more_lines_are_counted() -> None:
    code = (
        "import sys; from mirror_proxy.telemetry.access_log import AccessLog; log = AccessLog('-');"
        "sys.stdin.read(); log.offer(b'hello'); log.close(5); sys.stderr.write(str(log.dropped))"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=ROOT,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        process.stdin.close()
        said = process.stderr.read().decode()
    assert said.endswith('lines are being dropped path=- error="[Errno 32] Broken pipe"\n1')
