"""Parts: fields of forms with files (multipart), by the name in the head of each part."""

from __future__ import annotations

import re
from collections.abc import Iterator

from mirror_proxy.comparison.redaction.span import REDACTED, IsSecret, Span

#: `; name="password"`, the rest of the part's head, and the empty line.
_HEAD = re.compile(
    r";\s{0,8}name\s{0,4}=\s{0,4}(?:\"([^\"\n]{1,200})\"|([^\s;\"]{1,200}))[^\n]{0,1000}\n"
    r"(?:[^\s:]{1,100}:[^\n]{0,1000}\n){0,16}\r?\n",
    re.IGNORECASE,
)
_BOUNDARY = re.compile(r"\s*+(--[^\s]{1,100})")


def parts(text: str, is_secret: IsSecret) -> Iterator[Span]:
    """Yield the content of parts whose names mark secrets, up to the next boundary."""
    if "name" not in text:
        return
    first = _BOUNDARY.match(text)
    boundary = first[1] if first else "--"
    for match in _HEAD.finditer(text):
        if is_secret(match[1] or match[2]):
            end = text.find(f"\n{boundary}", match.end() - 1)
            end = end if end >= 0 else len(text)
            yield match.end(), max(match.end(), end - text.endswith("\r", 0, end)), REDACTED
