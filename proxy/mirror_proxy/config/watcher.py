"""Watch files and folders for changes, by looking: edits, renames over them, swapped symbolic links, new files.

A look notes what every path leads to in the end (so a ConfigMap's `..data` link shows), or that it leads nowhere,
and for a folder the same of each file in it that would be read. A change counts once two looks in a row agree:
who writes in several steps is let finish. It looks instead of listening to inotify, which tells nothing on network
file systems and loses its file at a rename.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from pathlib import Path

from mirror_proxy.config.document import SUFFIXES

#: What one path leads to: device, inode, time of the last change (ns) and size; None: nothing.
Stamp = tuple[int, int, int, int] | None
Look = dict[str, Stamp]

INTERVAL_S = 0.5


def look_at(paths: Iterable[str]) -> Look:
    """Note what each of `paths` leads to, and what is in those that are folders."""
    seen: Look = {}
    for path in map(Path, paths):
        seen[str(path)] = _stamp(path)
        try:
            children = [child for child in path.iterdir() if child.suffix in SUFFIXES]
        except OSError:  # no folder
            continue
        seen[str(path)] = None  # its own time tells nothing that its files do not
        for child in children:
            seen[str(child)] = _stamp(child)
    return seen


def _stamp(path: Path) -> Stamp:
    try:
        found = path.stat()
    except OSError:
        return None
    return (found.st_dev, found.st_ino, found.st_mtime_ns, found.st_size)


class Watched:
    """Some paths, and how they looked last."""

    def __init__(self, paths: Iterable[str]) -> None:
        self.paths = tuple(paths)
        self._told = self._last = look_at(self.paths)

    def has_changed(self) -> bool:
        """Look; tell whether something differs from what was told last, and is the same as at the look before."""
        look = look_at(self.paths)
        is_settled = look == self._last
        self._last = look
        if not is_settled or look == self._told:
            return False
        self._told = look
        return True


class Watcher:
    """Looks twice a second, in a thread of its own, and calls back when something has changed.

    Its first look is at once: make it before the files are read, and no change is missed.
    """

    def __init__(self, paths: Iterable[str], interval_s: float = INTERVAL_S) -> None:
        self._interval_s = interval_s
        self._given = Watched(paths)
        self._named = Watched(())
        self._is_over = threading.Event()
        self._thread: threading.Thread | None = None

    def name(self, paths: Iterable[str]) -> None:
        """Watch these files too, in place of those named before: what the configuration names, as certificates."""
        names = tuple(sorted(set(paths)))
        if names != self._named.paths:
            self._named = Watched(names)

    def start(self, on_change: Callable[[], None]) -> None:
        """Call `on_change` in the watcher's thread, again and again, until `stop`."""
        self._thread = threading.Thread(target=self._run, args=(on_change,), name="watcher", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Look no more; returns when the thread has ended."""
        self._is_over.set()
        if self._thread is not None:
            self._thread.join()

    def _run(self, on_change: Callable[[], None]) -> None:
        while not self._is_over.wait(self._interval_s):
            changes = [watched.has_changed() for watched in (self._given, self._named)]
            if any(changes):
                on_change()
