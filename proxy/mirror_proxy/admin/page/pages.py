"""Render pages from templates, with headers that allow no foreign content.

What a page shows comes from clients and upstreams: invisible characters, and marks of text direction, are escaped.
"""

from __future__ import annotations

import re
from pathlib import Path

from aiohttp import web

from mirror_proxy import template
from mirror_proxy.text import (
    format_count,
    format_difference,
    format_latency,
    format_number,
    format_percent,
    format_rate,
    format_share,
    format_span,
    format_time,
)

TEMPLATES = Path(__file__).parents[1] / "templates"

#: How templates write numbers.
FORMATS = {
    "count": format_count,
    "difference": format_difference,
    "latency": format_latency,
    "number": format_number,
    "percent": format_percent,
    "rate": format_rate,
    "share": format_share,
    "span": format_span,
    "time": format_time,
}

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:;"
        " base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


def page(name: str, status: int = 200, **values: object) -> web.Response:
    """Return a response with a template and `values`."""
    return web.Response(text=render(name, **values), status=status, headers=HEADERS, content_type="text/html")


def render(name: str, **values: object) -> str:
    """Return a template with `values`; it may call the functions of `FORMATS`."""
    return written_out(template.render(TEMPLATES, name, **FORMATS, **values))


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
