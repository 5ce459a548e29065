"""Serve the page, its panels as server-sent events, and its files; nothing here changes anything.

Each panel has a template of its name, and a module of its name where more than `PageData` is needed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from aiohttp import hdrs, web

from mirror_proxy.admin import connections
from mirror_proxy.admin.guard import problem
from mirror_proxy.admin.page import compared, controls, details, ramps, traffic
from mirror_proxy.admin.page.data import PageData, PageQuery
from mirror_proxy.admin.page.live import LIVE
from mirror_proxy.admin.page.pages import HEADERS, page, render
from mirror_proxy.admin.views import PAGES
from mirror_proxy.admin.work_thread import VIEWS

STATIC = Path(__file__).parents[1] / "static"
_KINDS = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
#: The files of `/static/`.
FILES = {path.name: path for path in STATIC.iterdir() if path.suffix in _KINDS}

#: A browser that takes no event for this long is disconnected; it connects again by itself.
_TIMEOUT_S = 10.0
_MOST_FIND = 200

#: What each panel's template is given besides `data`, as `shown`.
_PANELS: Mapping[str, Callable[[PageData], object]] = {
    "standing": lambda data: data.info,
    "traffic": traffic.of,
    "controls": controls.of,
    "ramps": ramps.of,
    "details": details.of,
    "compared": compared.of,
    "workers": lambda data: data.info.get("workers", ()),
}


async def index(request: web.Request) -> web.Response:
    """Answer the page; a browser with scripts then follows `/events`."""
    data = replace(await request.app[LIVE].read(), query=_query(request))
    links = [(path, answer is not None, about) for path, answer, about in PAGES[1:] if "{" not in path]
    return await request.app[VIEWS].run(lambda: _page(data, links))


def _page(data: PageData, links: list[tuple[str, bool, str]]) -> web.Response:
    """Render the page; in a thread, as events are."""
    return page("page.html", data=data, panels=_panels(data), links=links)


def _panels(data: PageData) -> dict[str, object]:
    return {name: panel(data) for name, panel in _PANELS.items()}


def render_panels(data: PageData) -> dict[str, str]:
    """Return all panels by name, as HTML."""
    return {
        name: render(f"panel_{name}.html", data=data, shown=shown) for name, shown in _panels(data).items()
    }


async def events(request: web.Request) -> web.StreamResponse:
    """Stream changed panels once a second, as server-sent events."""
    live = request.app[LIVE]
    if not live.has_room:
        return problem(503, "as many pages are open as may be followed at a time")
    response = web.StreamResponse(headers={**HEADERS, "Content-Type": "text/event-stream"})
    following = live.follow(render_panels, _query(request))
    try:
        await response.prepare(request)
        connections.wait(request)
        if request.method == hdrs.METH_HEAD:
            return response
        async for event in following:
            async with asyncio.timeout(_TIMEOUT_S):
                await response.write(event)
    except (TimeoutError, ConnectionResetError):
        response.force_close()
    finally:
        await following.aclose()
    return response


def _query(request: web.Request) -> PageQuery:
    query = request.query
    return PageQuery(query.get("find", "")[:_MOST_FIND], query.get("figures") == "recent")


async def static(request: web.Request) -> web.Response:
    """Answer one of the page's static files."""
    path = FILES.get(request.match_info["name"])
    if path is None:
        return problem(404, "there is no such file", files=sorted(FILES))
    return web.Response(
        body=path.read_bytes(), headers=HEADERS, content_type=_KINDS[path.suffix], charset="utf-8"
    )
