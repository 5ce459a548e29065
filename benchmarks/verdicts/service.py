"""One running instance of an application, with a folder and data of its own."""

from __future__ import annotations

import http.client
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.ports import HOST, free_port, pause
from benchmarks.process import ProcessTree
from benchmarks.verdicts.pair import Pair

START_S = 60


@contextmanager
def running(pair: Pair, binaries: Path, home: Path) -> Iterator[int]:
    """Prepare and start an instance whose files are in `home`; give its port, and end it afterwards."""
    _await_next_second()
    home.mkdir(parents=True)
    port = free_port()
    places = {"bin": str(binaries), "port": str(port), "home": str(home), "here": str(pair.folder)}
    base = [
        "env",
        "-C",
        str(home),
        "HOME=" + str(home),
        *(f"{k}={_put(v, places)}" for k, v in pair.env.items()),
    ]
    for argv in pair.prepare:
        subprocess.run([*base, *(_put(word, places) for word in argv)], check=True, capture_output=True)
    process = ProcessTree([*base, *(_put(word, places) for word in pair.start)], home / "log")
    try:
        await_answer(process, port)
        yield port
    finally:
        process.kill()


def await_answer(process: ProcessTree, port: int, path: str = "/", *, statuses: range = range(600)) -> None:
    """Wait until a GET of `path` is answered with one of `statuses`."""
    deadline = time.monotonic() + START_S
    while _status(port, path) not in statuses:
        if not process.is_running or time.monotonic() > deadline:
            raise RuntimeError(f"port {port}: no response: {process.last_words()}")
        pause()


def _await_next_second() -> None:
    """Let the files of two instances differ in their times, as those of two machines do."""
    time.sleep(1.05 - time.time() % 1)


def _put(word: str, places: dict[str, str]) -> str:
    for name, value in places.items():
        word = word.replace("{" + name + "}", value)
    return word


def _status(port: int, path: str) -> int:
    """Return the status of a GET, -1 where there is no response."""
    connection = http.client.HTTPConnection(HOST, port, timeout=5)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        response.read()
    except (OSError, http.client.HTTPException):
        return -1
    finally:
        connection.close()
    return response.status
