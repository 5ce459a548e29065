"""The parts of an endpoint's name: its method, the segments of its path, and its operation where it has one."""

from __future__ import annotations

#: An operation, the last part, begins with a space; what is before the first slash is empty.
Parts = tuple[str, ...]


def parts_of(name: str) -> Parts:
    """Return the parts of a name; none, if it has no path."""
    method, path, *operation = (*name.split(" ", 2), "")[:3]
    return (
        (method, *path.split("/"), *(f" {one}" for one in operation if one)) if path.startswith("/") else ()
    )


def name_of(parts: Parts) -> str:
    """Return the name that has these parts."""
    method, first, *rest = parts
    path = "".join(part if part.startswith(" ") else f"/{part}" for part in rest)
    return f"{method} {first}{path}"
