"""Who may see what was stored of requests and answers."""

from __future__ import annotations

import base64
from pathlib import Path

import aiohttp
import pytest

from tests.admin.conftest import AdminUrls


def password(text: str) -> dict[str, str]:
    """Return the header that a browser sends when it was told a name and this password."""
    return {"Authorization": "Basic " + base64.b64encode(f"anyone:{text}".encode()).decode()}


PRIVATE = ("/differences", "/differences/1", "/compare/differences", "/compare/differences/1")


@pytest.mark.parametrize("path", PRIVATE)
async def test_what_was_stored_is_shown_on_loopback_only_where_there_is_no_token(
    urls: AdminUrls, client: aiohttp.ClientSession, path: str
) -> None:
    async with client.get(f"{urls.everything}{path}") as answer:
        assert answer.status in {200, 404}
    async with client.get(f"{urls.public}{path}") as answer:
        assert answer.status == 403
        assert "set admin.tokenFile" in (await answer.json())["error"]


@pytest.mark.parametrize("path", PRIVATE)
async def test_with_a_token_what_was_stored_is_shown_to_who_has_it(
    urls: AdminUrls, client: aiohttp.ClientSession, tmp_path: Path, path: str
) -> None:
    token = tmp_path / "token"
    token.write_text("s:cret\n")
    urls.proxy.require_token(str(token))
    for listener in (urls.everything, urls.public):
        for headers in ({}, password(""), password("s")):
            async with client.get(f"{listener}{path}", headers=headers) as answer:
                assert answer.status == 401
                assert answer.headers["WWW-Authenticate"].startswith('Basic realm="mirror-proxy')
                assert "s:cret" not in await answer.text()
        async with client.get(f"{listener}{path}", headers=password("s:cret")) as answer:
            assert answer.status in {200, 404}
        async with client.get(f"{listener}{path}", headers={"Authorization": "Bearer s:cret"}) as answer:
            assert answer.status in {200, 404}


@pytest.mark.parametrize(
    "shown", ["Basic", "Basic !", "Basic YTpi", "Basic OnM6Y3JldA", "Digest OnM6Y3JldA=="]
)
async def test_credentials_that_are_no_use_open_nothing(
    urls: AdminUrls, client: aiohttp.ClientSession, tmp_path: Path, shown: str
) -> None:
    token = tmp_path / "token"
    token.write_text("s:cret")
    urls.proxy.require_token(str(token))
    async with client.get(f"{urls.everything}/differences", headers={"Authorization": shown}) as answer:
        assert answer.status == 401
    token.write_text("")
    async with client.get(
        f"{urls.everything}/differences", headers={"Authorization": "Basic Og=="}
    ) as answer:
        assert answer.status == 401


async def test_no_change_is_taken_on_a_password_which_browsers_send_by_themselves(
    urls: AdminUrls, client: aiohttp.ClientSession, tmp_path: Path
) -> None:
    token = tmp_path / "token"
    token.write_text("secret")
    urls.proxy.require_token(str(token))
    async with client.post(f"{urls.everything}/drain", headers=password("secret")) as answer:
        assert answer.status == 401
        assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert urls.proxy.done == []


async def test_counts_are_shown_to_everyone(
    urls: AdminUrls, client: aiohttp.ClientSession, tmp_path: Path
) -> None:
    token = tmp_path / "token"
    token.write_text("secret")
    urls.proxy.require_token(str(token))
    for path in ("/", "/mirrors", "/compare/report"):
        async with client.get(f"{urls.public}{path}") as answer:
            assert answer.status == 200
