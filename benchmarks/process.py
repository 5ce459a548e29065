"""Processes as the benchmark sees them: started on chosen cores, accounted as a tree, ended by pid."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True, slots=True)
class Stat:
    """What is read of `/proc/PID/stat` (proc(5)): CPU in seconds, resident memory in bytes."""

    pid: int
    parent: int
    cpu_s: float
    rss_bytes: int


def parse_stat(text: str) -> Stat:
    """Read `/proc/PID/stat`. CPU counts the process, its threads and the children it has reaped."""
    pid, _, rest = text.partition(" (")
    fields = rest.rpartition(") ")[2].split()
    ticks = sum(int(field) for field in fields[11:15])  # utime, stime, cutime, cstime
    return Stat(int(pid), int(fields[1]), ticks / TICKS_PER_SECOND, int(fields[21]) * PAGE_BYTES)


def read_stats() -> dict[int, Stat]:
    """Return every process of this machine by pid."""
    stats = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError):  # it has ended since the listing
                stats[int(entry.name)] = parse_stat((entry / "stat").read_text())
    return stats


def descendants(root: int, stats: dict[int, Stat]) -> list[Stat]:
    """Return `root` and everything it started that still runs, parents first."""
    tree = [stats[root]] if root in stats else []
    for member in tree:
        tree.extend(stat for stat in stats.values() if stat.parent == member.pid)
    return tree


def _command(pid: int) -> list[str]:
    with suppress(OSError):  # it has ended meanwhile
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")
    return []


def _set_niceness(pid: int, niceness: int) -> None:
    """Set the niceness of a process and of its session, which Linux may schedule as a group (autogroup, sched(7))."""
    with suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, pid, niceness)
    with suppress(OSError):
        Path(f"/proc/{pid}/autogroup").write_text(str(niceness))


@contextmanager
def on_cores(cores: Collection[int]) -> Iterator[None]:
    """Keep this process to `cores` meanwhile; what it starts inherits them."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def leave_first_core() -> int:
    """Keep this process off its first core, which is for the proxy under test; return that core."""
    first, *rest = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, rest or [first])
    if not rest:
        print("one core only: the load and the upstreams compete with the proxy")
    return first


class ProcessTree:
    """One started command and whatever it starts in turn; `niceness` is added to this process's own."""

    def __init__(
        self, argv: Sequence[str], log: Path, cores: Collection[int] = (), niceness: int = 0
    ) -> None:
        self.log = log
        with on_cores(cores or os.sched_getaffinity(0)), log.open("wb") as output:
            self._root = subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
            )
        _set_niceness(self._root.pid, os.getpriority(os.PRIO_PROCESS, 0) + niceness)

    @property
    def is_running(self) -> bool:
        """Return whether the command itself still runs."""
        return self._root.poll() is None

    def last_words(self) -> str:
        """Return the end of what the command printed, for an error message."""
        return self.log.read_text(errors="replace").strip()[-400:] or "no output"

    def cpu_s(self, module: str = "") -> float:
        """Return the CPU seconds the tree, or its processes that run `module`, have used since they started."""
        stats = self._stats()
        pids = set(self.pids(module)) if module else {stat.pid for stat in stats}
        return sum(stat.cpu_s for stat in stats if stat.pid in pids)

    def pids(self, module: str = "") -> list[int]:
        """Return the processes of the tree, or those of them that run a Python module."""
        return [stat.pid for stat in self._stats() if not module or module in _command(stat.pid)]

    def rss_bytes(self) -> int:
        """Return the resident memory of the tree; pages shared by two processes count twice."""
        return sum(stat.rss_bytes for stat in self._stats())

    def waited_s(self) -> float:
        """Return how long the tree's threads have waited for a core that others had, `/proc/PID/schedstat`."""
        waited_ns = 0
        for pid in self.pids():
            for path in Path("/proc").glob(f"{pid}/task/*/schedstat"):
                with suppress(OSError):  # it has ended meanwhile
                    waited_ns += int(path.read_text().split()[1])
        return waited_ns / 1e9

    def terminate(self) -> None:
        """Ask the command to leave, as an orchestrator would (SIGTERM to the root only)."""
        self._root.terminate()

    def kill(self) -> None:
        """End the whole tree now. The root is stopped first so that it replaces nobody meanwhile."""
        if self.is_running:
            self._root.send_signal(signal.SIGSTOP)
        for stat in self._stats():
            with suppress(ProcessLookupError):
                os.kill(stat.pid, signal.SIGKILL)
        self._root.wait()

    def _stats(self) -> list[Stat]:
        return descendants(self._root.pid, read_stats())
