"""Path templates that users give: which paths are of one endpoint.

`{name}` stands for a segment or a part of one, `*` at the end for all that follows.
"""

from __future__ import annotations

import re
from functools import cache

#: No longer path, and no longer part, is of any template: matching takes quadratic time in a part's length.
_MAX_PATH = 4 * 1024
_PART = "[^/]{1,200}"
_PARAMETER = re.compile(r"\{[^{}]*\}")


def is_match(template: str, path: str) -> bool:
    """Return whether the whole path is one of the template's."""
    return len(path) <= _MAX_PATH and bool(_pattern(template).fullmatch(path))


def literal_length(template: str) -> int:
    """Return how many characters of a template stand for themselves."""
    return len(_PARAMETER.sub("", template))


@cache
def _pattern(template: str) -> re.Pattern[str]:
    """Return the expression for a template; segments are atomic, so that one is never matched again for another."""
    *segments, last = template.split("/")
    rest = [".*"] if last == "*" else [_segment(last)]
    return re.compile("/".join([*map(_segment, segments), *rest]), re.DOTALL)


def _segment(template: str) -> str:
    return f"(?>{_PART.join(map(re.escape, _PARAMETER.split(template)))})"
