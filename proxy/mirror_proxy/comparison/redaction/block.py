r"""Blocks: values in the lines below their name, as YAML and folded lines of a head have them.

`password: |` with the indented lines that follow, `secrets:` with a list or mapping below it, and a value that goes on
in lines that are indented deeper.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from mirror_proxy.comparison.redaction.span import REDACTED, IsSecret, Span

_LINE = re.compile(
    r"^([ \t]{0,200})((?:- )?)[\"']?([A-Za-z0-9_.$ -]{1,100}?)[\"']?[ \t]{0,8}:(?=\s|\Z)([^\n]*+)\n",
    re.MULTILINE,
)
_INDENT = re.compile(r"[ \t]*+(-[ \t])?")
#: A value of one line that says nothing more of the next lines.
_CLOSED = re.compile(r"\s*(?:\"(?:[^\"\\]|\\.)*+\"|'[^']*+'|[\[{].*[\]}]),?\s*\Z")


def blocks(text: str, is_secret: IsSecret) -> Iterator[Span]:
    """Yield the lines below a name that marks a secret."""
    at = 0
    for match in _LINE.finditer(text):
        if match.start() < at or not is_secret(match[3]) or _CLOSED.match(match[4]):
            continue
        at = _end(text, match.end(), len(match[1]) + len(match[2]), may_be_list=not match[4].strip())
        if at > match.end():
            yield match.end(), at, REDACTED


def _end(text: str, at: int, indent: int, *, may_be_list: bool) -> int:
    """Return the end of the lines that are indented deeper than `indent`, or items of a list at the same indent."""
    end = at
    while at < len(text):
        line_end = text.find("\n", at)
        line_end = line_end if line_end >= 0 else len(text)
        found = _INDENT.match(text, at, line_end)
        dash = found[1] if found else None
        width = len(found[0]) - len(dash or "") if found else 0
        if text[at:line_end].strip():
            if width < indent or (width == indent and not (dash and may_be_list)):
                break
            end = line_end
        at = line_end + 1
    return end
