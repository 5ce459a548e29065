"""The path of a request, with a placeholder for each segment that varies."""

from __future__ import annotations

from mirror_proxy.comparison.endpoint.segment import PLACEHOLDER, shape
from mirror_proxy.comparison.redaction.address import secret_segments

#: Segments and characters of a path that are read; the rest is `REST`.
MAX_SEGMENTS = 12
MAX_CHARACTERS = 160
REST = "{*}"


def shapes(target: str) -> list[str]:
    """Return the shape of each segment of a request target's path; before its first slash is an empty one."""
    first, *rest = path_of(target).split("/", MAX_SEGMENTS + 1)
    followed = [first, *rest[:MAX_SEGMENTS]]
    segments = [
        PLACEHOLDER if is_secret else segment and shape(segment)
        for segment, is_secret in zip(followed, secret_segments(followed), strict=True)
    ]
    return _bounded([*segments, *([REST] if len(rest) > MAX_SEGMENTS else [])])


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
