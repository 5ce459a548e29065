"""A crawl of a small application, and the same requests again."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from benchmarks.verdicts.crawl import Exchange, crawl, replay
from benchmarks.verdicts.message import header
from benchmarks.verdicts.pair import Crawling
from tests.support.plane import free_port

CRAWLING = Crawling(("/",), "^$", {}, posts=True, share=0.0, host="shop.test", headers={}, requests=())
PAGE = '<a href="/a">a</a><a href="/b">b</a><form method="post" action="/buy"><input name="what"></form>'


async def _page(request: web.Request) -> web.Response:
    response = web.Response(text=f"{PAGE}{request.host}", content_type="text/html")
    response.set_cookie("visited", request.path.strip("/") or "home")
    return response


async def _buy(_: web.Request) -> web.Response:
    return web.Response(status=303, headers={"location": "/a"})


@pytest.fixture
async def port() -> AsyncIterator[int]:
    application = web.Application()
    application.router.add_post("/buy", _buy)
    application.router.add_get("/{path:.*}", _page)
    runner = web.AppRunner(application)
    await runner.setup()
    number = free_port()
    await web.TCPSite(runner, "127.0.0.1", number).start()
    yield number
    await runner.cleanup()


def targets(exchanges: list[Exchange]) -> list[tuple[str, str]]:
    return [(one.request.method, one.request.target) for one in exchanges]


async def test_crawl_of_one_seed_is_the_same_each_time(port: int) -> None:
    one, two = [await crawl(port, CRAWLING, 30, 5, (0, 0)) for _ in range(2)]
    assert targets(one) == targets(two)
    assert ("POST", "/buy") in targets(one)


async def test_crawl_follows_the_redirect_of_a_form_and_keeps_cookies(port: int) -> None:
    exchanges = await crawl(port, CRAWLING, 40, 5, (0, 0))
    bought = targets(exchanges).index(("POST", "/buy"))
    assert targets(exchanges)[bought + 1] == ("GET", "/a")
    assert header(exchanges[bought].request.headers, "cookie").startswith("visited=")


async def test_replay_sends_the_same_requests_with_their_host(port: int) -> None:
    exchanges = await crawl(port, CRAWLING, 10, 5, (0, 0))
    responses = await replay(port, [one.request for one in exchanges])
    assert [one.body for one in responses] == [one.response.body for one in exchanges]
    assert b"shop.test" in responses[0].body


async def test_server_that_sends_no_response_counts_as_status_599() -> None:
    (exchange,) = await crawl(free_port(), CRAWLING, 1, 1, (0, 0))
    assert exchange.response.status == 599
