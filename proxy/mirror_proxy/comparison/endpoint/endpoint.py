"""Name the endpoint of a request: its method, and its path with a placeholder for each segment that varies."""

from __future__ import annotations

from mirror_proxy.comparison.endpoint.segment import shape

#: A path is followed for at most so many segments and characters; what comes after is `REST`.
MAX_SEGMENTS = 12
MAX_CHARACTERS = 160
REST = "{*}"

#: A method that is longer is none that any server knows.
_MAX_METHOD = 20


def name(method: str, target: str) -> str:
    """Return the endpoint of a request, in at most `MAX_CHARACTERS` and a little more."""
    return f"{method[:_MAX_METHOD]} {'/'.join(_bounded(shapes(target)))}"


def shapes(target: str) -> list[str]:
    """Return the shape of each segment of a request target's path; the first one is empty, before its slash."""
    first, *rest = path_of(target).split("/", MAX_SEGMENTS + 1)
    segments = [shape(one) for one in rest[:MAX_SEGMENTS]]
    return [first[:MAX_CHARACTERS], *segments, *([REST] if len(rest) > MAX_SEGMENTS else [])]


def path_of(target: str) -> str:
    """Return the path of a target in any of its forms, without query, fragment, scheme and authority."""
    path = target.partition("?")[0].partition("#")[0]
    if path.startswith("/") or "://" not in path:
        return path
    return f"/{path.partition('://')[2].partition('/')[2]}"


def _bounded(segments: list[str]) -> list[str]:
    size = 0
    for place, segment in enumerate(segments):
        size += len(segment) + 1
        if size > MAX_CHARACTERS:
            return [*segments[:place], REST]
    return segments
