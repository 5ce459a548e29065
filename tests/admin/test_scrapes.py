"""Scrapes: how often metrics are rendered, and how old they may be."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import cast

import pytest

from mirror_proxy.admin.interface import ProxyInterface, ProxySnapshot
from mirror_proxy.admin.scrapes import Page, Scrapes


class Counting:
    """A proxy that has counted one more each time it is looked at, which takes `takes_s`."""

    def __init__(self) -> None:
        self.looks = 0
        self.takes_s = 0.0
        self.used_s = 0.0
        self.now = 100.0

    async def snapshot(self) -> ProxySnapshot:
        self.looks += 1
        return ProxySnapshot({"downstream_connections_total": {(): self.looks}}, [], [])


class Scraped:
    """Scrapes of such a proxy."""

    def __init__(self) -> None:
        self.proxy = Counting()
        self.scrapes = Scrapes(cast("ProxyInterface", self.proxy), lambda: self.proxy.now, self._used)

    def _used(self) -> float:
        """Return what is known before a page is rendered, and after it."""
        self.proxy.used_s += self.proxy.takes_s
        return self.proxy.used_s

    async def count(self, accept: str = "") -> int:
        return seen(await self.scrapes.page(accept))


def seen(page: Page) -> int:
    [line] = [
        line
        for line in page.body.splitlines()
        if line.startswith(b"mirror_proxy_downstream_connections_total")
    ]
    return int(float(line.split()[1]))


@pytest.fixture
async def scraped() -> AsyncIterator[Scraped]:
    made = Scraped()
    yield made
    made.scrapes.close()


async def test_a_short_rendering_is_made_anew_for_each_scrape(scraped: Scraped) -> None:
    assert [await scraped.count() for _ in range(3)] == [1, 2, 3]


async def test_scrapes_at_the_same_time_share_one_rendering(scraped: Scraped) -> None:
    pages = await asyncio.gather(*(scraped.scrapes.page("") for _ in range(50)))
    assert scraped.proxy.looks == 1
    assert {seen(page) for page in pages} == {1}


async def test_a_long_rendering_is_sent_again_for_as_long_as_it_took(scraped: Scraped) -> None:
    scraped.proxy.takes_s = 0.5
    assert await scraped.count() == 1
    scraped.proxy.now += 0.49
    assert await scraped.count() == 1
    scraped.proxy.now += 0.02
    assert await scraped.count() == 2


async def test_no_page_is_sent_again_after_five_seconds(scraped: Scraped) -> None:
    scraped.proxy.takes_s = 60.0
    assert await scraped.count() == 1
    scraped.proxy.now += 4.9
    assert await scraped.count() == 1
    scraped.proxy.now += 0.2
    assert await scraped.count() == 2


async def test_each_form_is_rendered_for_itself_and_only_a_few_are_remembered(scraped: Scraped) -> None:
    scraped.proxy.takes_s = 0.5
    kinds = [f"application/openmetrics-text; version={number}.0.0" for number in range(1, 20)]
    types = {(await scraped.scrapes.page(kind)).content_type for kind in kinds}
    assert len(types) == len(kinds)
    assert len(scraped.scrapes._forms) == 8


@pytest.mark.parametrize("version", ["abc", "1.x", "", "-", "1e9"])
async def test_an_accept_header_with_a_version_that_is_none_gets_text(scraped: Scraped, version: str) -> None:
    page = await scraped.scrapes.page(f"text/plain; version={version}")
    assert page.content_type.startswith("text/plain; version=0.0.4")
