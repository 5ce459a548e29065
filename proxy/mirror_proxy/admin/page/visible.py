"""Visible: characters that would hide, or turn text around, are written out, so that a page shows what is there.

What is shown comes from clients and upstreams: terminal escapes, bidirectional overrides and bytes that are no text
are as good as invisible in a browser. It is done once to each page that is made, whatever stands on it.
"""

from __future__ import annotations

import re

#: Controls other than tab and line feed, marks and overrides of direction, what has no width, and lone surrogates.
_HIDDEN = re.compile(
    "[\\x00-\\x08\\x0b-\\x1f\\x7f-\\x9f\\u00ad\\u061c\\u200b-\\u200f\\u2028-\\u202e\\u2060-\\u2069\\ufeff\\ufff9-\\ufffb"
    "\\ud800-\\udfff]"
)


def written_out(text: str) -> str:
    r"""Return `text` with its escape, `\x1b` or `\u202e`, for each character that is not seen; for a byte, `\xff`."""
    return _HIDDEN.sub(lambda found: _escape(ord(found[0])), text)


def _escape(code: int) -> str:
    if 0xDC80 <= code <= 0xDCFF:  # a byte that was no text (surrogateescape)
        return f"\\x{code - 0xDC00:02x}"
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
