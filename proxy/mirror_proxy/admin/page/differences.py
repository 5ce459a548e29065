"""The pages of differences: a list of examples, filtered by a form, and one example with both responses."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import get_args
from urllib.parse import urlencode

from aiohttp import web

from mirror_proxy.admin import compare
from mirror_proxy.admin.body import InvalidRequestError
from mirror_proxy.admin.guard import PROXY
from mirror_proxy.admin.page import sides
from mirror_proxy.admin.page.pages import page
from mirror_proxy.admin.work_thread import DIFFERENCES, VIEWS
from mirror_proxy.comparison.diff.difference import Kind
from mirror_proxy.comparison.diff.example import Example, Search
from mirror_proxy.comparison.redaction.span import REDACTED
from mirror_proxy.config.model import Config
from mirror_proxy.errors import RefusedError

MOST = 25
_FILTERS = ("route", "mirror", "path", "kind")


async def newest(request: web.Request) -> web.Response:
    """Answer the newest examples of a search, at most `MOST`; `?before=NUMBER` continues with older ones."""
    proxy = request.app[PROXY]
    query = {key: value for key, value in request.query.items() if value}
    try:
        search = replace(compare.read_search(query), limit=MOST + 1)
    except InvalidRequestError as error:
        return _error_page(400, str(error))
    try:
        found = await proxy.differences(search)
    except RefusedError as error:
        return _error_page(422, str(error))
    config = proxy.loaded.config
    return await request.app[VIEWS].run(lambda: _newest(search, found, config))


async def one(request: web.Request) -> web.Response:
    """Answer one example: the request, the differences, and both responses side by side."""
    number = compare.whole(request.match_info["number"])
    try:
        example = None if number is None else await request.app[PROXY].difference(number)
    except RefusedError as error:
        return _error_page(422, str(error))
    if example is None:
        return _error_page(404, "There is no such difference, or no longer.")
    return await request.app[DIFFERENCES].run(lambda: _difference(example))


def _newest(search: Search, found: Sequence[Example], config: Config) -> web.Response:
    shown = found[:MOST]
    return page(
        "differences.html",
        examples=shown,
        search=search,
        routes=sorted({name for name, _ in _mirrors(config)}),
        mirrors=sorted({name for _, name in _mirrors(config)}),
        kinds=get_args(Kind),
        older=_link(search, shown[-1].number) if len(found) > MOST else "",
        newer=_link(search, None) if search.before is not None else "",
    )


def _difference(example: Example) -> web.Response:
    return page("difference.html", example=example, sides=sides.of(example), redacted=REDACTED)


def _mirrors(config: Config) -> Iterator[tuple[str, str]]:
    """Yield the route and name of each mirror."""
    for route in config.routes():
        yield from ((route.name, mirror.name) for mirror in route.mirrors if not mirror.is_baseline)


def _link(search: Search, before: int | None) -> str:
    wanted = {name: getattr(search, name) for name in _FILTERS}
    given = {**wanted, "before": before}
    return f"/differences?{urlencode({key: value for key, value in given.items() if value is not None})}"


def _error_page(status: int, why: str) -> web.Response:
    return page("sorry.html", status, code=status, why=why)
