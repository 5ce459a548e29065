"""`/ramp`: shown, started, told to go on, ended; from whom it is taken, and what is nonsense."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import aiohttp
import pytest

from mirror_proxy.ramp.plan import read
from tests.admin.conftest import AdminUrls

START = {"mirror": "rest/v2", "steps": [1, 100], "every": "1m", "guards": ["diff_rate>1%"]}
SHOWN = {"ramps": [{"mirror": "rest/v2", "state": "running"}]}
CHANGES: list[tuple[str, str, Any]] = [
    ("POST", "/ramp", START),
    ("PATCH", "/ramp", {"mirror": "rest/v2"}),
    ("DELETE", "/ramp?mirror=rest/v2", None),
]


async def test_ramps_are_shown(urls: AdminUrls, client: aiohttp.ClientSession) -> None:
    async with client.get(f"{urls.everything}/ramp") as answer:
        assert answer.status == 200
        assert await answer.json() == SHOWN
    async with client.get(f"{urls.probes}/ramp") as answer:
        assert answer.status == 404


async def test_one_is_started_as_it_is_planned(urls: AdminUrls, client: aiohttp.ClientSession) -> None:
    async with client.post(f"{urls.everything}/ramp", json=START) as answer:
        assert answer.status == 200
        assert await answer.json() == SHOWN
    assert urls.proxy.done == [read(START)]


async def test_one_goes_on_by_the_name_of_its_mirror_or_route(
    urls: AdminUrls, client: aiohttp.ClientSession
) -> None:
    for named in ({"mirror": "rest/v2"}, {"route": "split"}):
        async with client.patch(f"{urls.everything}/ramp", json=named) as answer:
            assert answer.status == 200
    assert urls.proxy.done == [("go", ("percent", "rest/v2")), ("go", ("weights", "split"))]


async def test_one_is_ended_where_it_is_or_rolled_back(
    urls: AdminUrls, client: aiohttp.ClientSession
) -> None:
    for query in ("mirror=rest/v2", "route=split&keep"):
        async with client.delete(f"{urls.everything}/ramp?{query}") as answer:
            assert answer.status == 200
    assert urls.proxy.done == [
        ("stop", ("percent", "rest/v2"), False),
        ("stop", ("weights", "split"), True),
    ]


async def test_one_that_does_not_exist_is_422_with_those_that_do(
    urls: AdminUrls, client: aiohttp.ClientSession
) -> None:
    async with client.delete(f"{urls.everything}/ramp?mirror=rest/v3") as answer:
        assert answer.status == 422
        assert await answer.json() == {"error": "no ramp of rest/v3 is under way", "ramps": ["rest/v2"]}


@pytest.mark.parametrize(
    ("method", "path", "body", "reason"),
    [
        ("POST", "/ramp", {}, "a ramp is of a mirror, or of a route and its destination"),
        ("POST", "/ramp", {**START, "step": [1]}, 'unknown key "step"; did you mean "steps"?'),
        ("POST", "/ramp", {**START, "steps": [5, 1]}, "each step must be more than the one before it"),
        ("POST", "/ramp", {**START, "guards": ["diff_rate"]}, '"diff_rate" is not a limit'),
        ("POST", "/ramp", [], "the body must be a JSON object"),
        ("PATCH", "/ramp", {}, "say whose ramp"),
        ("PATCH", "/ramp", {"mirror": 1}, "say whose ramp"),
        ("PATCH", "/ramp", {"mirror": "rest/v2", "keep": True}, 'unknown key "keep"'),
        ("DELETE", "/ramp", None, "say whose ramp"),
        ("DELETE", "/ramp?mirror=rest/v2&route=split", None, "say whose ramp"),
        ("DELETE", "/ramp?mirror=rest/v2&keep=false", None, "keep takes no value"),
        ("DELETE", "/ramp?mirrow=rest/v2", None, 'unknown key "mirrow"; did you mean "mirror"?'),
    ],
)
async def test_nonsense_is_400_with_a_reason_and_changes_nothing(
    urls: AdminUrls, client: aiohttp.ClientSession, method: str, path: str, body: object, reason: str
) -> None:
    async with client.request(method, f"{urls.everything}{path}", json=body) as answer:
        assert answer.status == 400
        assert (await answer.json())["error"].startswith(reason)
    assert urls.proxy.done == []


@pytest.mark.parametrize(("method", "path", "body"), CHANGES)
async def test_every_change_is_guarded_as_the_others_are(
    urls: AdminUrls, client: aiohttp.ClientSession, tmp_path: Path, method: str, path: str, body: object
) -> None:
    foreign = {"Origin": "https://elsewhere.example"}
    async with client.request(method, f"{urls.everything}{path}", json=body, headers=foreign) as answer:
        assert answer.status == 403
    token = tmp_path / "token"
    token.write_text("secret\n")
    urls.proxy.require_token(str(token))
    async with client.request(method, f"{urls.everything}{path}", json=body) as answer:
        assert answer.status == 401
    assert urls.proxy.done == []
    shown = {"Authorization": "Bearer secret"}
    async with client.request(method, f"{urls.everything}{path}", json=body, headers=shown) as answer:
        assert answer.status == 200
    assert len(urls.proxy.done) == 1
