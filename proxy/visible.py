"""Visible: text in which nothing is hidden, whoever it came from.

Terminal escapes, line ends and overrides of direction in what clients, upstreams or files said must not pass for what
the proxy says: they could move the cursor, turn a line around or begin another.
"""

from __future__ import annotations


def visible(text: str, keep: str = "") -> str:
    r"""Return `text` with each character that is not printable as an escape (`\n`, `\x1b`), but for those in `keep`."""
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() or one in keep else _escape(one) for one in text)


def _escape(character: str) -> str:
    return character.encode("unicode_escape").decode()
