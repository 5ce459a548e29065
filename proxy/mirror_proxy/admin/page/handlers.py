"""What the page's paths answer; nothing here changes anything: its script asks `/mirrors` and `/routes` for that."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

from aiohttp import hdrs, web

from mirror_proxy.admin import connections
from mirror_proxy.admin.guard import problem
from mirror_proxy.admin.page import panels
from mirror_proxy.admin.page.live import LIVE
from mirror_proxy.admin.page.moment import Moment, Wanted
from mirror_proxy.admin.page.pages import HEADERS, page
from mirror_proxy.admin.views import PAGES
from mirror_proxy.admin.work_thread import VIEWS

STATIC = Path(__file__).parents[1] / "static"
_KINDS = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
#: All that `/static/` has.
FILES = {path.name: path for path in STATIC.iterdir() if path.suffix in _KINDS}

#: A browser that takes nothing for so long is let go; it asks again by itself.
_TIMEOUT_S = 10.0
_MOST_FIND = 200


async def index(request: web.Request) -> web.Response:
    """Answer the page as things stand; a browser with scripts then follows `/events`."""
    moment = replace(await request.app[LIVE].look(), wanted=_wanted(request))
    links = [(path, answer is not None, about) for path, answer, about in PAGES[1:] if "{" not in path]
    return await request.app[VIEWS].run(lambda: _page(moment, links))


def _page(moment: Moment, links: list[tuple[str, bool, str]]) -> web.Response:
    """Made in a thread, as the events are."""
    return page("page.html", moment=moment, panels=panels.make(moment), links=links)


async def events(request: web.Request) -> web.StreamResponse:
    """Stream the panels that change, once a second, as server-sent events."""
    live = request.app[LIVE]
    if not live.has_room:
        return problem(503, "as many pages are open as may be followed at a time")
    response = web.StreamResponse(headers={**HEADERS, "Content-Type": "text/event-stream"})
    following = live.follow(panels.draw, _wanted(request))
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


def _wanted(request: web.Request) -> Wanted:
    query = request.query
    return Wanted(query.get("find", "")[:_MOST_FIND], query.get("figures") == "recent")


async def static(request: web.Request) -> web.Response:
    """Answer one of the files that the page is made with."""
    path = FILES.get(request.match_info["name"])
    if path is None:
        return problem(404, "there is no such file", files=sorted(FILES))
    return web.Response(
        body=path.read_bytes(), headers=HEADERS, content_type=_KINDS[path.suffix], charset="utf-8"
    )
