"""Traffic for the demo: a few clients that read pages and place orders, each on its own kept connection.

They check what a mirror must never change: every response arrives, and it is the primary's.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable

import aiohttp

CLIENTS = 4

_random = random.Random()  # noqa: S311 nothing here is a secret
_PAUSE_S = (0.01, 0.09)
_TIMEOUT = aiohttp.ClientTimeout(total=5)
_PAGES = ("/", "/cart", "/search?q=teapot", *(f"/items/{number}" for number in range(20)))


class TrafficGenerator:
    """Sends requests to `url` and counts: `responses` are responses of `version`, `failures` everything else."""

    def __init__(self, url: str, version: str) -> None:
        self._url = url
        self._version = version
        self.responses = 0
        self.failures = 0

    async def run(self, is_wanted: Callable[[], bool]) -> None:
        """Run all clients, each until its response has arrived and `is_wanted` is false."""
        await asyncio.gather(*(self._run_client(is_wanted) for _ in range(CLIENTS)))

    async def _run_client(self, is_wanted: Callable[[], bool]) -> None:
        async with aiohttp.ClientSession(self._url, timeout=_TIMEOUT) as session:
            while is_wanted():
                if await self._is_served(session):
                    self.responses += 1
                else:
                    self.failures += 1
                await asyncio.sleep(_random.uniform(*_PAUSE_S))

    async def _is_served(self, session: aiohttp.ClientSession) -> bool:
        try:
            async with _request(session) as response:
                body = await response.json()
        except (aiohttp.ClientError, TimeoutError, ValueError):
            return False
        return response.status == 200 and body["version"] == self._version


def _request(session: aiohttp.ClientSession) -> aiohttp.client._RequestContextManager:
    """Request a page, or place an order one time in four."""
    if _random.randrange(4):
        return session.get(_random.choice(_PAGES))
    return session.post(
        "/orders", json={"item": _random.randrange(20), "note": "x" * _random.randrange(4000)}
    )
