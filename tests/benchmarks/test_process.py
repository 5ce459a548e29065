from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from benchmarks.process import (
    PAGE_BYTES,
    TICKS_PER_SECOND,
    ProcessTree,
    Stat,
    descendants,
    on_cores,
    parse_stat,
    read_stats,
)
from tests.support.waiting import until

# pid (comm) state ppid pgrp session tty tpgid flags minflt cminflt majflt cmajflt utime stime cutime ...
LINE = "42 (a) b (c)) S 7 42 42 0 -1 4194304 1 2 3 4 100 20 3 1 20 0 1 0 99 1000000 250 18446744073709551615"
PARENT_OF_BUSY_CHILD = """
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", "while True: pass"])
print(child.pid, flush=True)
child.wait()
"""


def test_cpu_counts_a_process_and_the_children_it_has_reaped() -> None:
    assert parse_stat(LINE).cpu_s == 124 / TICKS_PER_SECOND


def test_a_name_with_blanks_and_brackets_shifts_no_field() -> None:
    assert parse_stat(LINE) == Stat(42, 7, 124 / TICKS_PER_SECOND, 250 * PAGE_BYTES)


def test_a_tree_holds_grandchildren_and_no_strangers() -> None:
    stats = {pid: Stat(pid, parent, 0.0, 0) for pid, parent in ((1, 0), (5, 1), (9, 5), (11, 9), (12, 1))}
    assert [stat.pid for stat in descendants(5, stats)] == [5, 9, 11]


def test_a_root_that_has_ended_has_an_empty_tree() -> None:
    assert descendants(5, {}) == []


@pytest.mark.slow
def test_a_childs_cpu_and_memory_count_and_kill_ends_it_too(tmp_path: Path) -> None:
    tree = ProcessTree([sys.executable, "-c", PARENT_OF_BUSY_CHILD], tmp_path / "log")
    try:
        until(lambda: tree.cpu_s() > 0.1 and tree.last_words().isdigit(), "the child to be busy")
        child = int(tree.last_words())
        assert tree.waited_s() >= 0
        assert tree.rss_bytes() > read_stats()[child].rss_bytes > 0
    finally:
        tree.kill()
    assert not tree.is_running
    until(lambda: child not in read_stats(), "the child to be gone")


def test_what_is_started_on_cores_stays_there(tmp_path: Path) -> None:
    mine = os.sched_getaffinity(0)
    core = max(mine)
    show = "import os; print(*os.sched_getaffinity(0))"
    tree = ProcessTree([sys.executable, "-c", show], tmp_path / "log", [core])
    until(lambda: not tree.is_running, "the process to end")
    assert tree.last_words() == str(core)
    assert os.sched_getaffinity(0) == mine


def test_cores_are_given_back_when_the_start_fails(tmp_path: Path) -> None:
    mine = os.sched_getaffinity(0)
    with pytest.raises(FileNotFoundError):
        ProcessTree([str(tmp_path / "no-such-command")], tmp_path / "log", [max(mine)])
    with on_cores(mine):
        assert os.sched_getaffinity(0) == mine
