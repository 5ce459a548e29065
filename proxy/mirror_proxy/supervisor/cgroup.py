"""Where the kernel says what this container may use: our cgroup's folders, of v1 and v2."""

from __future__ import annotations

from pathlib import Path


def folders(root: Path, controller: str) -> list[tuple[Path, bool]]:
    """Return the folders of our cgroup and of its parents for a `controller` of v1, with whether each is v2's.

    In a container the path that the kernel names is often that of the host, and only its end is mounted: folders that
    do not exist are among them.
    """
    found = []
    for line in read(root / "proc/self/cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        if not controllers:
            base = root / "sys/fs/cgroup"
        elif controller in controllers.split(","):
            base = root / "sys/fs/cgroup" / controller
        else:
            continue
        own = Path(path.lstrip("/"))
        found += [(base / part, not controllers) for part in (own, *own.parents)]
    return found


def read(path: Path) -> str:
    """Return what a file says; nothing where it cannot be read."""
    try:
        return path.read_text(encoding="ascii")
    except OSError:
        return ""
