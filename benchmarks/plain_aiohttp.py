"""The mirroring proxy one would write in an afternoon: aiohttp both ways and `create_task` for the copy.

    python -m benchmarks.plain_aiohttp LISTEN_PORT PRIMARY_URL [MIRROR_URL PERCENT]

A baseline and nothing else: whole bodies in memory, no limits, no accounts.
"""

from __future__ import annotations

import asyncio
import random
import sys
from contextlib import suppress

import aiohttp
import uvloop
from aiohttp import web
from multidict import CIMultiDict

HOP_BY_HOP = {"connection", "host", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade"}


class PlainProxy:
    """Forwards to `primary`, and a copy of `percent` in a hundred requests to `mirror`."""

    def __init__(self, session: aiohttp.ClientSession, primary: str, mirror: str, percent: float) -> None:
        self._session = session
        self._primary = primary
        self._mirror = mirror
        self._percent = percent
        self._copies: set[asyncio.Task[None]] = set()

    async def handle(self, request: web.Request) -> web.Response:
        """Answer with the primary's response; the copy runs by itself."""
        body = await request.read()
        headers = CIMultiDict((k, v) for k, v in request.headers.items() if k.lower() not in HOP_BY_HOP)
        if self._mirror and random.uniform(0, 100) < self._percent:
            copy = asyncio.create_task(self._copy(request.method, request.path_qs, headers, body))
            self._copies.add(copy)
            copy.add_done_callback(self._copies.discard)
        async with self._session.request(
            request.method, self._primary + request.path_qs, headers=headers, data=body, allow_redirects=False
        ) as response:
            payload = await response.read()
            kept = CIMultiDict((k, v) for k, v in response.headers.items() if k.lower() not in HOP_BY_HOP)
            return web.Response(status=response.status, headers=kept, body=payload)

    async def _copy(self, method: str, path: str, headers: CIMultiDict[str], body: bytes) -> None:
        with suppress(aiohttp.ClientError, asyncio.TimeoutError):
            async with self._session.request(
                method, self._mirror + path, headers=headers, data=body, allow_redirects=False
            ) as response:
                await response.read()


async def serve(port: int, primary: str, mirror: str, percent: float) -> None:
    """Serve on loopback until the process is ended."""
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector, auto_decompress=False) as session:
        app = web.Application(client_max_size=64 * 1024 * 1024)
        app.router.add_route("*", "/{path:.*}", PlainProxy(session, primary, mirror, percent).handle)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", port, backlog=1024).start()
        await asyncio.Event().wait()


def main(port: str, primary: str, mirror: str = "", percent: str = "100") -> None:
    """Run from the command line."""
    uvloop.run(serve(int(port), primary, mirror, float(percent)))


if __name__ == "__main__":
    main(*sys.argv[1:])
