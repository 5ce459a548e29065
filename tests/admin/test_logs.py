"""The log over the admin server: who may change its level, and to what."""

from __future__ import annotations

from pathlib import Path

import aiohttp
import pytest

from tests.admin.conftest import Doors

INFO = {"level": "info", "file_level": "info", "format": "text"}


async def test_the_level_is_shown_and_changed(doors: Doors, client: aiohttp.ClientSession) -> None:
    url = f"{doors.everything}/logging"
    async with client.get(url) as answer:
        assert await answer.json() == INFO
    async with client.post(url, params={"level": "debug"}) as answer:
        assert (answer.status, await answer.json()) == (200, {**INFO, "level": "debug"})
    assert doors.subject.done == [("log", "debug")]


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
    doors: Doors, client: aiohttp.ClientSession, query: str, reason: str
) -> None:
    async with client.post(f"{doors.everything}/logging{query}") as answer:
        assert (answer.status, await answer.json()) == (400, {"error": reason})
    assert doors.subject.done == []


async def test_the_level_is_changed_by_nobody_from_afar_without_the_token_or_on_another_page(
    doors: Doors, client: aiohttp.ClientSession, tmp_path: Path
) -> None:
    async def post(door: str, **headers: str) -> int:
        async with client.post(f"{door}/logging?level=debug", headers=headers) as answer:
            return answer.status

    assert await post(doors.public) == 403
    assert await post(doors.everything, Origin="http://elsewhere.example") == 403
    assert await post(doors.everything, Host="elsewhere.example") == 403
    assert await post(doors.probes) == 404
    token = tmp_path / "token"
    token.write_text("secret")
    doors.subject.require_token(str(token))
    assert await post(doors.everything) == 401
    assert doors.subject.done == []
    assert await post(doors.everything, Authorization="Bearer secret") == 200
