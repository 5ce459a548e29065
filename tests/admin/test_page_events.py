"""What the page is sent while somebody looks at it."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from itertools import count

import aiohttp
import pytest

from mirror_proxy.admin.page import handlers, live
from mirror_proxy.admin.server import AdminServer
from mirror_proxy.comparison.diff.run import RunTotals, TotalsSearch
from mirror_proxy.comparison.diff.totals import Key, Totals
from mirror_proxy.config.model import Compare, Share
from mirror_proxy.errors import RefusedError
from tests.admin.conftest import AdminUrls, Shop
from tests.support.waiting import BOUND_S

HOSTILE = "<script>alert(1)</script>\"'>\u202e\x1b[31m"


@pytest.fixture(autouse=True)
def _often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look a hundred times a second, so that no test waits long."""
    monkeypatch.setattr(live, "_EVERY_S", 0.01)


def compare(shop: Shop) -> None:
    """Have answers compared."""
    config = shop.loaded.config
    settings = replace(config.settings, compare=Compare(share=Share(10)))
    shop.loaded = replace(shop.loaded, config=replace(config, settings=settings))


@asynccontextmanager
async def follow(client: aiohttp.ClientSession, url: str) -> AsyncIterator[aiohttp.ClientResponse]:
    async with client.get(f"{url}/events") as answer:
        assert answer.status == 200
        assert answer.content_type == "text/event-stream"
        yield answer


async def event(answer: aiohttp.ClientResponse) -> dict[str, str]:
    """Read one event: the panels in it."""
    async with asyncio.timeout(BOUND_S):
        line, blank = await answer.content.readline(), await answer.content.readline()
    assert blank == b"\n"
    panels: dict[str, str] = json.loads(line.removeprefix(b"data: "))
    return panels


async def test_the_first_event_has_all_panels_and_later_ones_those_that_changed(
    urls: AdminUrls, client: aiohttp.ClientSession
) -> None:
    async with follow(client, urls.everything) as stream:
        first = await event(stream)
        assert first.keys() == {"standing", "traffic", "controls", "ramps", "details", "compared", "workers"}
        urls.proxy.state = "DRAINING"
        changed: dict[str, str] = {}
        while "standing" not in changed:
            changed |= await event(stream)
        assert "DRAINING" in changed["standing"]
        assert "controls" not in changed


async def test_mirrors_are_narrowed_by_what_a_reader_looks_for(
    urls: AdminUrls, client: aiohttp.ClientSession
) -> None:
    async with client.get(f"{urls.everything}/events?find=nothing") as stream:
        assert "No mirror has such a name" in (await event(stream))["controls"]
    async with client.get(f"{urls.everything}/events?find=REST") as stream:
        assert "rest/v2" in (await event(stream))["controls"]
    async with client.get(f"{urls.everything}/?find={HOSTILE}") as answer:
        assert "No mirror has such a name" in await answer.text()


async def test_figures_of_late_are_those_since_somebody_looked(
    urls: AdminUrls, client: aiohttp.ClientSession
) -> None:
    compare(urls.proxy)
    urls.proxy.counted = Totals({("compared", "rest", "rest/v2", "GET /items"): 1_000})
    async with follow(client, urls.everything) as always:
        assert "1,000" in (await event(always))["compared"]
        async with client.get(f"{urls.everything}/events?figures=recent") as late:
            await event(late)
            urls.proxy.counted = Totals({("compared", "rest", "rest/v2", "GET /items"): 1_234})
            said = ""
            while ">234<" not in said:
                said = (await event(late)).get("compared", said)
        while "1,234" not in said:
            said = (await event(always)).get("compared", said)


async def test_one_more_page_than_may_be_followed_is_refused_until_another_is_closed(
    urls: AdminUrls, client: aiohttp.ClientSession
) -> None:
    streams = [await client.get(f"{urls.everything}/events") for _ in range(live.MAX_STREAMS)]
    for stream in streams:
        await event(stream)
    async with client.get(f"{urls.everything}/events") as answer:
        assert answer.status == 503
        assert "as many pages" in (await answer.json())["error"]
    streams.pop().close()
    async with asyncio.timeout(BOUND_S):
        while True:
            async with client.get(f"{urls.everything}/events") as answer:
                if answer.status == 200:
                    break
    for stream in streams:
        stream.close()


async def test_who_does_not_read_holds_nobody_and_is_let_go(
    urls: AdminUrls, client: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(handlers, "_TIMEOUT_S", 0.2)
    monkeypatch.setattr(live, "MAX_STREAMS", 2)
    compare(urls.proxy)
    with socket.socket() as lazy:
        lazy.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        host, port = urls.everything.removeprefix("http://").split(":")
        lazy.connect((host, int(port)))
        lazy.send(f"GET /events HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
        async with follow(client, urls.everything) as stream, asyncio.timeout(BOUND_S):
            await event(stream)
            status = 503
            for number in count():
                urls.proxy.counted = much(number)
                await event(stream)  # others have each event in its time
                async with client.get(f"{urls.everything}/events") as answer:
                    status = answer.status
                if status == 200:
                    break
            assert number > 0


def much(number: int) -> Totals:
    """Return totals whose panel takes a hundred thousand bytes: the kernel holds some megabytes for who is slow."""
    counts: dict[tuple[str, ...], int] = {("compared", "rest", "rest/v2", "GET /items"): number + 1}
    for i in range(40):
        counts["field", "rest", "rest/v2", "GET /items", f"$.{i}{'x' * 1_000}", "value"] = number
    return Totals(counts)


async def test_streams_end_when_the_door_closes(client: aiohttp.ClientSession) -> None:
    sock = socket.create_server(("127.0.0.1", 0))
    listener = await AdminServer(Shop()).open(sock)
    async with follow(client, f"http://127.0.0.1:{sock.getsockname()[1]}") as stream:
        await event(stream)
        await listener.close()
        async with asyncio.timeout(BOUND_S):
            await stream.read()  # to its end, which is whole


async def test_a_comparer_that_cannot_be_asked_is_said_and_hides_nothing_else(
    urls: AdminUrls, client: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(_shop: Shop, _since: float) -> Totals:
        raise RefusedError(f"the store is away {HOSTILE}")

    compare(urls.proxy)
    monkeypatch.setattr(Shop, "totals", refuse)
    async with client.get(f"{urls.everything}/") as answer:
        text = await answer.text()
    assert "the store is away &lt;script&gt;" in text
    assert "completed" in text


async def test_a_comparer_that_does_not_answer_is_waited_for_once_and_holds_no_page(
    urls: AdminUrls, client: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = 0
    answer_now = asyncio.Event()

    async def hang(_shop: Shop, _search: TotalsSearch) -> RunTotals:
        nonlocal asked
        asked += 1
        await answer_now.wait()
        counts: dict[Key, int] = {
            ("compared", "rest", "rest/v2", "GET /items"): 4_321,
            ("requests", "r", "v1", "200"): 99,
        }
        return RunTotals((), Totals(counts))

    compare(urls.proxy)
    monkeypatch.setattr(live, "_ANSWER_S", 0.01)
    monkeypatch.setattr(Shop, "totals", hang)
    async with follow(client, urls.everything) as stream:
        assert "completed" in (await event(stream))["details"]
        urls.proxy.state = "DRAINING"
        while "DRAINING" not in (await event(stream)).get("standing", ""):
            pass
        assert asked == 1
        answer_now.set()
        panels: dict[str, str] = {}
        while "4,321" not in panels.get("compared", ""):
            panels |= await event(stream)
    assert ">99<" not in panels.get("traffic", ""), "what the workers count is known from them"


async def test_a_comparer_that_took_its_time_is_let_alone_for_many_times_that(
    urls: AdminUrls, client: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = 0

    async def work(_shop: Shop, _selection: TotalsSearch) -> RunTotals:
        nonlocal asked
        asked += 1
        await asyncio.sleep(0.01)  # the loop's clock is no finer than a millisecond
        return RunTotals()

    compare(urls.proxy)
    monkeypatch.setattr(live, "_REST", 1e9)
    monkeypatch.setattr(Shop, "totals", work)
    async with follow(client, urls.everything) as stream:
        await event(stream)
        for number in range(20):
            urls.proxy.loaded = replace(urls.proxy.loaded, generation=number)
            while f"generation <b>{number}</b>" not in (await event(stream)).get("standing", ""):
                pass
    assert asked == 1


async def test_whether_there_are_events_may_be_asked(urls: AdminUrls, client: aiohttp.ClientSession) -> None:
    async with client.head(f"{urls.everything}/events") as answer:
        assert answer.status == 200
        assert answer.content_type == "text/event-stream"
