"""Send requests to a server of this machine: a crawl by a surfer's decisions, or the same requests again."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterable
from dataclasses import dataclass

import aiohttp
from yarl import URL

from benchmarks.ports import HOST
from benchmarks.verdicts import page
from benchmarks.verdicts.message import Cookies, Request, Response, header
from benchmarks.verdicts.pair import Crawling
from benchmarks.verdicts.surfer import Surfer

#: Seconds between a response and the next request; an application on a busy machine has time for its shadows.
THINK_S = (0.01, 0.04)
TIMEOUT_S = 30
_BROWSER = {
    "user-agent": "Mozilla/5.0 (X11; Linux x86_64) verdicts",
    "accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
    "accept-language": "en-US,en;q=0.5",
    "accept-encoding": "gzip",
}


@dataclass(frozen=True, slots=True)
class Exchange:
    """A request and its response."""

    request: Request
    response: Response


async def crawl(
    port: int, crawling: Crawling, count: int, seed: int, think_s: tuple[float, float] = THINK_S
) -> list[Exchange]:
    """Send `count` requests to `port`, one after the other, and return them with their responses."""
    surfer, cookies, think = Surfer(crawling, seed), Cookies(), random.Random(seed)
    host = crawling.host or f"{HOST}:{port}"
    done: list[Exchange] = []
    async with _session() as session:
        while len(done) < count:
            known = {"host": host, **crawling.headers, **_BROWSER, "cookie": str(cookies)}
            request = surfer.next().with_headers(known)
            response = await _send(session, port, request)
            cookies.take(response.headers)
            surfer.see(page.read(request.target, header(request.headers, "host"), response))
            done.append(Exchange(request, response))
            await asyncio.sleep(think.uniform(*think_s))
    return done


async def replay(port: int, requests: Iterable[Request]) -> list[Response]:
    """Send the same requests to another port, Host and cookies included."""
    async with _session() as session:
        return [await _send(session, port, request) for request in requests]


def _session() -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
        timeout=aiohttp.ClientTimeout(total=TIMEOUT_S),
        max_field_size=65536,
    )


async def _send(session: aiohttp.ClientSession, port: int, request: Request) -> Response:
    """Return the response, or one of status 599 where the server sent none."""
    url = URL(f"http://{HOST}:{port}{request.target}", encoded=True)
    try:
        async with session.request(
            request.method,
            url,
            headers=request.headers,
            data=request.body or None,
            allow_redirects=False,
            skip_auto_headers=("content-type", "user-agent"),
        ) as response:
            return Response(response.status, tuple(response.headers.items()), await response.read())
    except (aiohttp.ClientError, TimeoutError) as error:
        return Response(599, (), str(error).encode())
