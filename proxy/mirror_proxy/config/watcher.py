"""Watch files and folders for changes, by polling: edits, renames over them, swapped symbolic links, new files.

A scan follows links (so a change of a ConfigMap's `..data` link shows); in a folder it takes every file that would be
read. A change counts once two scans in a row agree, so that a file written in several steps is complete. inotify would
miss changes on network file systems, and loses its file at a rename.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from pathlib import Path

from mirror_proxy.config.document import SUFFIXES

#: Device, inode, time of the last change (ns) and size of a file; None: there is none.
FileState = tuple[int, int, int, int] | None
FileStates = dict[str, FileState]

INTERVAL_S = 0.5


def scan(paths: Iterable[str]) -> FileStates:
    """Return the state of each of `paths`, and of the files in those that are folders."""
    seen: FileStates = {}
    for path in map(Path, paths):
        seen[str(path)] = _state_of(path)
        try:
            children = [child for child in path.iterdir() if child.suffix in SUFFIXES]
        except OSError:  # no folder
            continue
        seen[str(path)] = None  # its files say more than its own time
        for child in children:
            seen[str(child)] = _state_of(child)
    return seen


def _state_of(path: Path) -> FileState:
    try:
        found = path.stat()
    except OSError:
        return None
    return (found.st_dev, found.st_ino, found.st_mtime_ns, found.st_size)


class WatchedPaths:
    """Some paths, with their state at the last scan."""

    def __init__(self, paths: Iterable[str]) -> None:
        self.paths = tuple(paths)
        self._reported = self._last = scan(self.paths)

    def has_changed(self) -> bool:
        """Scan; tell whether the state is that of the scan before, and not the one reported last."""
        states = scan(self.paths)
        is_settled = states == self._last
        self._last = states
        if not is_settled or states == self._reported:
            return False
        self._reported = states
        return True


class Watcher:
    """Scans twice a second, in a thread of its own, and calls back after a change.

    It scans at once: make it before the files are read, so that no change is missed.
    """

    def __init__(self, paths: Iterable[str], interval_s: float = INTERVAL_S) -> None:
        self._interval_s = interval_s
        self._given = WatchedPaths(paths)
        self._referenced = WatchedPaths(())
        self._is_over = threading.Event()
        self._thread: threading.Thread | None = None

    def watch_referenced(self, paths: Iterable[str]) -> None:
        """Watch the files that the configuration refers to, such as certificates, in place of those before."""
        names = tuple(sorted(set(paths)))
        if names != self._referenced.paths:
            self._referenced = WatchedPaths(names)

    def start(self, on_change: Callable[[], None]) -> None:
        """Call `on_change` in the watcher's thread, again and again, until `stop`."""
        self._thread = threading.Thread(target=self._run, args=(on_change,), name="watcher", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop; returns when the thread has ended."""
        self._is_over.set()
        if self._thread is not None:
            self._thread.join()

    def _run(self, on_change: Callable[[], None]) -> None:
        while not self._is_over.wait(self._interval_s):
            changes = [watched.has_changed() for watched in (self._given, self._referenced)]
            if any(changes):
                on_change()
