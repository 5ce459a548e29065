"""The log over the admin server: who may change its level, and to what."""

from __future__ import annotations

from pathlib import Path

import aiohttp
import pytest

from tests.admin.conftest import AdminUrls

INFO = {"level": "info", "file_level": "info", "format": "text"}


async def test_the_level_is_shown_and_changed(urls: AdminUrls, client: aiohttp.ClientSession) -> None:
    url = f"{urls.everything}/logging"
    async with client.get(url) as answer:
        assert await answer.json() == INFO
    async with client.post(url, params={"level": "debug"}) as answer:
        assert (answer.status, await answer.json()) == (200, {**INFO, "level": "debug"})
    assert urls.proxy.done == [("log", "debug")]


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ("", "level: no level is given; use debug, info, warning, error"),
        ("?level=", 'level: "" is not a level; use debug, info, warning, error'),
        ("?level=DEBUG", 'level: "DEBUG" is not a level; use debug, info, warning, error'),
        ("?level=off&level=debug", 'level: "off" is not a level; use debug, info, warning, error'),
        ("?levl=debug", 'unknown key "levl"; did you mean "level"?'),
    ],
)
async def test_a_wrong_level_is_400_with_those_that_exist(
    urls: AdminUrls, client: aiohttp.ClientSession, query: str, reason: str
) -> None:
    async with client.post(f"{urls.everything}/logging{query}") as answer:
        assert (answer.status, await answer.json()) == (400, {"error": reason})
    assert urls.proxy.done == []


async def test_the_level_is_changed_by_nobody_from_afar_without_the_token_or_on_another_page(
    urls: AdminUrls, client: aiohttp.ClientSession, tmp_path: Path
) -> None:
    async def post(listener: str, **headers: str) -> int:
        async with client.post(f"{listener}/logging?level=debug", headers=headers) as answer:
            return answer.status

    assert await post(urls.public) == 403
    assert await post(urls.everything, Origin="http://elsewhere.example") == 403
    assert await post(urls.everything, Host="elsewhere.example") == 403
    assert await post(urls.probes) == 404
    token = tmp_path / "token"
    token.write_text("secret")
    urls.proxy.require_token(str(token))
    assert await post(urls.everything) == 401
    assert urls.proxy.done == []
    assert await post(urls.everything, Authorization="Bearer secret") == 200
