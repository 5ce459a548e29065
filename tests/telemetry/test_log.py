"""The log of a process, in a process of its own: what reaches standard error, and what happens when nobody reads it."""

from __future__ import annotations

import fcntl
import json
import logging
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from mirror_proxy.telemetry.event import limited
from mirror_proxy.telemetry.lines import PIPE_BUF
from mirror_proxy.telemetry.log import Handler
from tests.support.waiting import BOUND_S

ROOT = Path(__file__).parents[2]
TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"

_HEAD = """
import logging, sys
from mirror_proxy.telemetry.event import event, limited
from mirror_proxy.telemetry import log
ours = logging.getLogger("mirror_proxy.any")
"""


def run(script: str, *arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run `script`, with a log already begun as `arguments` say."""
    begun = f"log.start(*{arguments or ('worker-3',)!r})\n"
    return subprocess.run(
        [sys.executable, "-c", _HEAD + begun + script],
        capture_output=True,
        check=False,
        text=True,
        cwd=ROOT,
        timeout=BOUND_S,
        **options,
    )


def lines(script: str, *arguments: str) -> list[str]:
    """Return the lines a script logs, without their time."""
    done = run(script, *arguments)
    assert (done.returncode, done.stdout) == (0, "")
    said = done.stderr.splitlines()
    assert all(re.match(rf"{TIME} ", line) for line in said), said
    return [line.partition(" ")[2] for line in said]


def objects(script: str) -> list[dict[str, Any]]:
    done = run(script, "comparer", "json")
    return [json.loads(line) for line in done.stderr.splitlines()]


def test_a_line_is_time_level_process_words_and_fields() -> None:
    assert lines("ours.info(event('worker is back', worker=3)); ours.warning('plain %s', 'words')") == [
        "INFO worker-3 worker is back worker=3",
        "WARNING worker-3 plain words",
    ]


def test_json_is_one_object_a_line() -> None:
    [found] = objects("ours.error(event('store failed', error='a \"b\"\\n\\x1b', tries=2, late=True))")
    assert re.fullmatch(TIME, found.pop("time"))
    assert isinstance(found.pop("pid"), int)
    assert found == {
        "level": "error",
        "process": "comparer",
        "message": "store failed",
        "error": 'a "b"\n\x1b',
        "tries": 2,
        "late": True,
    }


def test_a_field_cannot_take_the_place_of_what_every_line_has() -> None:
    [found] = objects("ours.info(event('ready', time='x', level='x', process='x', pid='x', message='x'))")
    assert (found["level"], found["process"], found["message"]) == ("info", "comparer", "ready")


def test_no_line_is_a_command_to_a_ci() -> None:
    script = "ours.error(event('reload refused', problem='##[error]x', file='::error::x'))"
    assert lines(script) == [r"ERROR worker-3 reload refused problem=#\u0023[error]x file=::error::x"]
    [found] = objects(script)
    assert (found["problem"], found["file"]) == ("##[error]x", "::error::x")
    assert "##[" not in run(script, "comparer", "json").stderr


def test_libraries_log_warnings_and_are_named() -> None:
    assert lines("other = logging.getLogger('lib'); other.info('quiet'); other.warning('a\\nb\\x1b[2J')") == [
        "WARNING worker-3 a\\nb\\x1b[2J logger=lib"
    ]


@pytest.mark.parametrize(
    ("level", "expected"),
    [
        ("debug", ["DEBUG", "INFO", "WARNING", "ERROR", "WARNING", "ERROR"]),
        ("info", ["INFO", "WARNING", "ERROR", "WARNING", "ERROR"]),
        ("warning", ["WARNING", "ERROR", "WARNING", "ERROR"]),
        ("error", ["ERROR", "ERROR"]),
    ],
)
def test_the_level_is_the_least_that_is_logged(level: str, expected: list[str]) -> None:
    script = """
for logger in (ours, logging.getLogger("lib")):
    for level in ("debug", "info", "warning", "error"):
        getattr(logger, level)("words")
"""
    assert [line.split()[0] for line in lines(script, "p", "text", level)] == expected


def test_form_and_level_change_while_the_process_runs() -> None:
    script = "ours.debug('no'); log.set_form('json', 'debug'); ours.debug('yes')"
    [line] = run(script).stderr.splitlines()
    assert json.loads(line)["message"] == "yes"


def test_an_error_brings_its_traceback_on_the_same_line() -> None:
    script = """
try:
    1 / 0
except ZeroDivisionError as error:
    ours.error(event("task failed", task="t"), exc_info=error)
"""
    [line] = lines(script)
    assert line.startswith('ERROR worker-3 task failed task=t error="ZeroDivisionError(')
    assert "traceback=" in line
    assert line.endswith('ZeroDivisionError: division by zero"')


def test_a_long_line_is_cut_to_what_a_pipe_takes_whole() -> None:
    script = "ours.info(event('long', one='é' * 100_000, two='\\x00' * 100_000, three='ok'))"
    for form in ("text", "json"):
        [line] = run(script, "p", form).stderr.splitlines()
        assert len(line.encode()) < PIPE_BUF
        assert "three" in line


def test_a_line_that_cannot_be_rendered_is_said_and_harms_nobody() -> None:
    [failed, following] = lines("ours.info('%d', 'words'); ours.info('next')")
    assert failed.startswith("ERROR worker-3 log line cannot be rendered logger=mirror_proxy.any line=")
    assert following == "INFO worker-3 next"


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("raise ValueError('no luck')", "uncaught exception"),
        (
            "from threading import Thread\nt = Thread(target=lambda: 1 / 0, name='t'); t.start(); t.join()",
            "thread ended in an exception thread=t",
        ),
        (
            "class Bad:\n    def __del__(self): raise ValueError('no luck')\nBad()",
            "exception ignored where=",
        ),
        ("import warnings; warnings.warn('old', RuntimeWarning)", "RuntimeWarning: old"),
        (
            "import asyncio\nasyncio.BaseEventLoop().call_exception_handler({'message': 'it broke'})",
            "it broke logger=asyncio",
        ),
    ],
)
def test_what_python_writes_by_itself_is_one_line_of_the_log(script: str, said: str) -> None:
    [line] = run(script).stderr.splitlines()
    assert re.match(rf"{TIME} (ERROR|WARNING) worker-3 ", line)
    assert said in line


def test_of_what_others_cause_a_few_lines_are_logged_and_the_rest_is_counted() -> None:
    script = """
for _ in range(100):
    ours.warning(limited("request failed", client="a"))
    ours.warning(event("worker is gone"))
"""
    said = lines(script)
    assert said.count("WARNING worker-3 request failed client=a") == 5
    assert said.count("WARNING worker-3 worker is gone") == 100
    assert (
        said[-1] == 'WARNING worker-3 log lines were left out like="request failed" left_out=95 period_s=10'
    )


def test_the_rest_is_counted_when_the_period_is_over() -> None:
    ours, theirs = os.pipe()
    now = 100.0
    handler = Handler("p", theirs, lambda: now)

    def read(count: int) -> list[bytes]:
        got = b""
        while got.count(b"\n") < count:
            got += os.read(ours, 65536)
        return got.splitlines()

    def fail(times: int) -> None:
        for _ in range(times):
            handler.handle(
                logging.makeLogRecord({"name": "mirror_proxy.any", "msg": limited("request failed")})
            )

    fail(7)
    assert len(read(5)) == 5
    now += 10.0
    handler.lines.wake()
    [told] = read(1)
    assert told.endswith(b'log lines were left out like="request failed" left_out=2 period_s=10')
    fail(1)
    [line] = read(1)
    assert line.endswith(b"request failed")
    handler.close()
    os.close(theirs)
    os.close(ours)


def test_a_library_that_repeats_itself_is_limited_too() -> None:
    script = """
lib = logging.getLogger("lib")
for number in range(100):
    lib.error(f"Fatal error on transport {number}")
"""
    *some, told = lines(script)
    assert len(some) == 5
    assert told.endswith('left out like="Fatal error on transport 0" left_out=95 period_s=10')


def _tiny_pipe() -> tuple[int, int]:
    """Make a pipe of one page, that is full."""
    ours, theirs = os.pipe()
    fcntl.fcntl(theirs, fcntl.F_SETPIPE_SZ, 4096)
    os.write(theirs, b"x" * 4095 + b"\n")
    return ours, theirs


def test_a_full_standard_error_holds_up_neither_the_process_nor_its_exit() -> None:
    ours, theirs = _tiny_pipe()
    script = """
for number in range(20_000):
    ours.warning(event("worker is gone", number=number))
sys.stdout.write(str(log.dropped()))
"""
    done = subprocess.run(
        [sys.executable, "-c", _HEAD + "log.start('p')\n" + script],
        stdout=subprocess.PIPE,
        stderr=theirs,
        check=True,
        cwd=ROOT,
        timeout=BOUND_S,
    )
    os.close(theirs)
    assert int(done.stdout) > 15_000
    assert os.read(ours, 65536) == b"x" * 4095 + b"\n"
    os.close(ours)


def test_once_there_is_room_one_line_says_how_many_were_lost() -> None:
    ours, theirs = _tiny_pipe()
    script = """
for number in range(20_000):
    ours.warning(event("worker is gone", number=number))
print(log.dropped(), flush=True)
sys.stdin.read()
"""
    with subprocess.Popen(
        [sys.executable, "-c", _HEAD + "log.start('p')\n" + script],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=theirs,
        cwd=ROOT,
    ) as process:
        os.close(theirs)
        assert process.stdin is not None
        assert process.stdout is not None
        dropped = int(process.stdout.readline())
        got = b""
        while not got.endswith(b"lost=%d\n" % dropped):
            got += os.read(ours, 65536)
        process.stdin.close()
    os.close(ours)
    *kept, last = got.splitlines()[1:]
    assert len(kept) == 20_000 - dropped
    assert last.endswith(b" WARNING p log lines were lost lost=%d" % dropped)
    assert kept[-1].endswith(b"number=%d" % (len(kept) - 1)), (
        "the first are kept, and the notice stands where they end"
    )


def test_a_closed_standard_error_becomes_no_other_file(tmp_path: Path) -> None:
    script = f"""
log.start("p")
file = open({str(tmp_path / "data")!r}, "w")
ours.warning("words")
assert file.fileno() > 2
"""
    command = f"exec {sys.executable} -c '{(_HEAD + script).replace(chr(39), chr(34))}' 0<&- 2>&-"
    assert subprocess.run(["sh", "-c", command], cwd=ROOT, check=False, timeout=BOUND_S).returncode == 0
    assert (tmp_path / "data").read_bytes() == b""


def test_nobody_reads_any_more_and_lines_are_counted() -> None:
    script = (
        "sys.stdin.read(); ours.warning('words'); logging.shutdown(); sys.stdout.write(str(log.dropped()))"
    )
    with subprocess.Popen(
        [sys.executable, "-c", _HEAD + "log.start('p')\n" + script],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=ROOT,
    ) as process:
        assert process.stderr is not None
        process.stderr.close()
        process.stderr = None
        said, _ = process.communicate(timeout=BOUND_S)
    assert said == b"1"
