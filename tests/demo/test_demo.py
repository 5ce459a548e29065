"""The demo, run as a user runs it."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import re
import signal
import socket
import struct
import subprocess
import sys
import termios
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.waiting import BOUND_S, until

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
COMMAND = [sys.executable, "-m", "mirror_proxy", "demo", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"]


def figures(table: str) -> dict[str, int]:
    """Read `name count` pairs off one row of the table."""
    return {name: int(count) for name, count in re.findall(r"([a-z_/0-9]+) (\d+)", table)}


def row(text: str, name: str) -> str:
    return next(line for line in reversed(text.splitlines()) if line.startswith(name))


def descendants(pid: int) -> list[int]:
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return []
    return [int(child) for child in children]


def test_the_demo_shows_what_was_mirrored_and_every_request_is_accounted_for() -> None:
    done = subprocess.run(
        [*COMMAND, "--seconds", "3"], cwd=ROOT, capture_output=True, text=True, timeout=BOUND_S, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "\x1b" not in done.stdout, "piped output is plain"
    assert re.search(r"^\d s: \d+ requests: completed \d+", done.stdout, re.MULTILINE)
    answers = int(row(done.stdout, "primary").split()[1])
    outcomes = figures(row(done.stdout, "outcomes"))
    assert answers > 50
    assert sum(outcomes.values()) == answers
    assert {"completed", "not_sampled"} <= outcomes.keys()
    assert figures(row(done.stdout, "statuses"))["200/200"] > 0
    assert row(done.stdout, "clients") == f"clients     {answers} answers, all from v1; 0 failures"


def test_ctrl_c_on_a_terminal_leaves_nothing_running() -> None:
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 120, 0, 0))
    process = subprocess.Popen(COMMAND, cwd=ROOT, stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    try:
        shown = _read_until(ours, lambda text: text.count("primary   ") >= 3)
        assert "\x1b[6F\x1b[J" in shown, "the table is refreshed in place"
        workers = descendants(process.pid)
        assert workers
        admin = re.findall(r"(http://[^/]+)/ +\(the page", shown)[0]
        with urllib.request.urlopen(f"{admin}/ready", timeout=BOUND_S) as response:
            assert response.read() == b"LIVE\n"
        access_log = Path(re.findall(r"tail -f (\S+)", shown)[0])
        until(lambda: '"kind":"mirror"' in access_log.read_text(), "a shadow in the access log")
        for pid in (process.pid, *workers):  # a terminal's Ctrl-C goes to all of them
            os.kill(pid, signal.SIGINT)
        said = _read_until(ours, lambda text: "clients   " in text)
        assert process.wait(BOUND_S) == 0
        assert "0 failures" in said
        assert not access_log.parent.exists()
        assert not any(Path(f"/proc/{pid}").exists() for pid in workers)
    finally:
        process.kill()
        process.wait()
        os.close(ours)


def _read_until(terminal: int, is_enough: Callable[[str], bool]) -> str:
    os.set_blocking(terminal, False)
    text = ""

    def has_enough() -> bool:
        nonlocal text
        with contextlib.suppress(BlockingIOError):
            text += os.read(terminal, 65536).decode()
        return is_enough(text)

    until(has_enough, f"more than {text}")
    return text


def test_a_busy_port_is_said_plainly() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = subprocess.run(
            [*COMMAND[:4], "--listen", f"127.0.0.1:{port}", "--admin", "127.0.0.1:0"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=BOUND_S,
            check=False,
        )
    assert done.returncode == 1
    advice = "the port is already in use; stop what uses it or choose another port"
    said = f'error="listener 127.0.0.1:{port}: {advice}"\n'
    assert done.stderr.endswith(f" ERROR demo proxy cannot start {said}")


def test_addresses_that_clash_are_said_plainly() -> None:
    done = subprocess.run(
        [*COMMAND[:4], "--listen", "127.0.0.1:18080", "--admin", "127.0.0.1:18080"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=BOUND_S,
        check=False,
    )
    assert done.returncode == 2
    assert "give each its own port" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_demo_that_nobody_watches_goes_on_and_ends() -> None:
    reading, writing = os.pipe()
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 4096)
    os.write(writing, b"x" * 4096)
    try:
        done = subprocess.run(
            [*COMMAND, "--seconds", "2"],
            cwd=ROOT,
            stdout=writing,
            stderr=writing,
            timeout=BOUND_S,
            check=False,
        )
    finally:
        os.close(writing)
        os.close(reading)
    assert done.returncode == 0
