"""Pages: a template made into an answer, with the headers that keep what stands on it from doing anything."""

from __future__ import annotations

from pathlib import Path

from aiohttp import web

from mirror_proxy import template
from mirror_proxy.admin.page import words
from mirror_proxy.admin.page.visible import written_out

TEMPLATES = Path(__file__).parents[1] / "templates"

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
    """Answer a page made of a template and `values`."""
    return web.Response(text=render(name, **values), status=status, headers=HEADERS, content_type="text/html")


def render(name: str, **values: object) -> str:
    """Return a template with `values`, and the words for numbers, in it."""
    return written_out(template.render(TEMPLATES, name, **words.SAY, **values))
