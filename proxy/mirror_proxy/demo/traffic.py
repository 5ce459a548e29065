"""A little traffic: a few clients that read pages and place orders, each on its own kept connection.

They check what the mirror must never change: every answer comes, and it is the primary's.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable

import aiohttp

CLIENTS = 4

_dice = random.Random()  # noqa: S311 nothing here is a secret
_PAUSE_S = (0.01, 0.09)
_TIMEOUT = aiohttp.ClientTimeout(total=5)
_PAGES = ("/", "/cart", "/search?q=teapot", *(f"/items/{number}" for number in range(20)))


class Traffic:
    """Sends requests to `url`; `answers` came and were `version`'s, `failures` did not or were not."""

    def __init__(self, url: str, version: str) -> None:
        self._url = url
        self._version = version
        self.answers = 0
        self.failures = 0

    async def flow(self, is_wanted: Callable[[], bool]) -> None:
        """Be all clients at once, each until it has an answer and no more is wanted."""
        await asyncio.gather(*(self._be_client(is_wanted) for _ in range(CLIENTS)))

    async def _be_client(self, is_wanted: Callable[[], bool]) -> None:
        async with aiohttp.ClientSession(self._url, timeout=_TIMEOUT) as session:
            while is_wanted():
                if await self._is_answered(session):
                    self.answers += 1
                else:
                    self.failures += 1
                await asyncio.sleep(_dice.uniform(*_PAUSE_S))

    async def _is_answered(self, session: aiohttp.ClientSession) -> bool:
        try:
            async with _request(session) as response:
                answer = await response.json()
        except (aiohttp.ClientError, TimeoutError, ValueError):
            return False
        return response.status == 200 and answer["version"] == self._version


def _request(session: aiohttp.ClientSession) -> aiohttp.client._RequestContextManager:
    """Ask for a page, or place an order one time in four."""
    if _dice.randrange(4):
        return session.get(_dice.choice(_PAGES))
    return session.post("/orders", json={"item": _dice.randrange(20), "note": "x" * _dice.randrange(4000)})
