"""`/mirrors`: how each stands, and what is taken to steer it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from mirror_proxy.admin import rows
from mirror_proxy.admin.interface import MirrorOverride, ProxySnapshot
from mirror_proxy.config.model import Destination, MirrorPolicy, Route, VirtualHost
from mirror_proxy.overrides import ALL_MIRRORS
from mirror_proxy.telemetry.metrics import Report
from tests.admin.conftest import CONFIG, AdminUrls, Shop

V2, REPEAT = "rest/v2", "rest/repeat"


async def patch(
    urls: AdminUrls, client: aiohttp.ClientSession, body: dict[str, Any], status: int = 200
) -> dict[str, Any]:
    async with client.patch(f"{urls.everything}/mirrors", json=body) as answer:
        assert answer.status == status, await answer.text()
        found: dict[str, Any] = await answer.json()
        return found


async def test_each_mirror_has_its_share_the_file_s_and_what_became_of_its_requests(
    urls: AdminUrls, client: aiohttp.ClientSession
) -> None:
    urls.proxy.mirrors[V2] = MirrorOverride(2.5, left_s=12.34)
    async with client.get(f"{urls.everything}/mirrors") as answer:
        found = await answer.json()
    assert found == {
        "mirrors": [
            {
                "name": V2,
                "route": "rest",
                "cluster": "c2",
                "role": "mirror",
                "percent": 2.5,
                "file_percent": 10.0,
                "overridden": True,
                "paused": False,
                "ends_in_s": 12.3,
                "in_flight": 1,
                "outcomes": {"completed": 3},
            },
            {
                "name": REPEAT,
                "route": "rest",
                "cluster": "c3",
                "role": "repeat",
                "percent": 100.0,
                "file_percent": 100.0,
                "overridden": False,
                "paused": False,
                "outcomes": {},
            },
        ],
        "all_paused": False,
    }


@pytest.mark.parametrize(
    ("body", "done"),
    [
        ({"mirror": V2, "percent": 5}, (V2, 5, None, None)),
        ({"mirror": V2, "percent": 0.5, "ttl": "5m"}, (V2, 0.5, None, 300.0)),
        ({"mirror": V2, "percent": 0.0001}, (V2, 0.0001, None, None)),
        ({"mirror": V2, "percent": 33.3333}, (V2, 33.3333, None, None)),
        ({"mirror": V2, "percent": 0, "paused": False}, (V2, 0, False, None)),
        ({"mirror": V2, "percent": 100, "paused": True, "ttl": "1s"}, (V2, 100, True, 1.0)),
        ({"mirror": REPEAT, "paused": True}, (REPEAT, None, True, None)),
        ({"paused": True, "ttl": "1h"}, (ALL_MIRRORS, None, True, 3600.0)),
        ({"paused": False}, (ALL_MIRRORS, None, False, None)),
        ({"mirror": V2, "percent": None}, ("reset", V2)),
    ],
)
async def test_what_is_asked_for_is_done(
    urls: AdminUrls, client: aiohttp.ClientSession, body: dict[str, Any], done: tuple[object, ...]
) -> None:
    found = await patch(urls, client, body)
    assert urls.proxy.done == [done]
    assert [row["name"] for row in found["mirrors"]] == (
        [body["mirror"]] if "mirror" in body else [V2, REPEAT]
    )


async def test_the_answer_shows_what_holds_now(urls: AdminUrls, client: aiohttp.ClientSession) -> None:
    [row] = (await patch(urls, client, {"mirror": V2, "percent": 0.5, "ttl": "5m"}))["mirrors"]
    assert [row["percent"], row["file_percent"], row["overridden"], row["ends_in_s"]] == [0.5, 10, True, 300]
    found = await patch(urls, client, {"paused": True})
    assert found["all_paused"]
    assert [row["paused"] for row in found["mirrors"]] == [True, True]
    found = await patch(urls, client, {"mirror": V2, "percent": None})
    assert [row["percent"] for row in found["mirrors"]] == [10]


async def test_a_mirror_that_does_not_exist_is_422_with_those_that_do(
    urls: AdminUrls, client: aiohttp.ClientSession
) -> None:
    for change in ({"percent": 5}, {"percent": None}, {"paused": True}):
        found = await patch(urls, client, {"mirror": "rest/v3", **change}, status=422)
        assert found == {"error": 'no mirror is named "rest/v3"', "mirrors": [REPEAT, V2]}
    assert urls.proxy.done == []


NUMBER = "percent must be a number from 0 to 100, or null for the file's"
ENDLESS = "what the files say has no end: leave out ttl"


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "the body is not JSON"),
        (b"[]", "the body must be a JSON object"),
        (
            b'{"mirror": 1, "percent": 5}',
            "mirror must be the name of a mirror; leave it out to pause or resume all",
        ),
        (b'{"mirror": null, "paused": true}', "mirror must be the name of a mirror"),
        (b"{}", "say percent, or paused, or both"),
        (b'{"mirror": "rest/v2"}', "say percent, or paused, or both"),
        (b'{"mirror": "rest/v2", "ttl": "5m"}', "say percent, or paused, or both"),
        (b'{"percent": 5}', "a percent is one mirror's: say which with mirror"),
        (b'{"percent": null}', "a percent is one mirror's"),
        (b'{"mirror": "*", "percent": 5, "paused": true}', "a percent is one mirror's"),
        (b'{"mirror": "rest/v2", "percent": "5"}', NUMBER),
        (b'{"mirror": "rest/v2", "percent": true}', NUMBER),
        (b'{"mirror": "rest/v2", "percent": -1}', NUMBER),
        (b'{"mirror": "rest/v2", "percent": 100.0001}', NUMBER),
        (b'{"mirror": "rest/v2", "percent": NaN}', NUMBER),
        (b'{"mirror": "rest/v2", "percent": 1e999}', NUMBER),
        (b'{"mirror": "rest/v2", "percent": 0.00001}', "percent must be a multiple of 0.0001"),
        (
            b'{"mirror": "rest/v2", "percent": null, "paused": true}',
            "the file's percent is asked for by itself",
        ),
        (b'{"mirror": "rest/v2", "paused": null}', "paused must be true or false"),
        (b'{"mirror": "rest/v2", "paused": 1}', "paused must be true or false"),
        (b'{"mirror": "rest/v2", "percent": 5, "ttl": 300}', "ttl must be a duration such as 5m"),
        (b'{"mirror": "rest/v2", "percent": 5, "ttl": "0s"}', "ttl must be more than 0"),
        (b'{"mirror": "rest/v2", "percent": null, "ttl": "5m"}', ENDLESS),
        (b'{"paused": false, "ttl": "5m"}', ENDLESS),
        (b'{"mirror": "rest/v2", "percnt": 5}', 'unknown key "percnt"; did you mean "percent"?'),
    ],
)
async def test_nonsense_is_400_with_a_reason_and_changes_nothing(
    urls: AdminUrls, client: aiohttp.ClientSession, body: bytes, reason: str
) -> None:
    headers = {"Content-Type": "application/json"}
    async with client.patch(f"{urls.everything}/mirrors", data=body, headers=headers) as answer:
        assert answer.status == 400
        assert (await answer.json())["error"].startswith(reason)
    assert urls.proxy.done == []


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Authorization": "Bearer wrong"}, 401),
        ({}, 401),
        ({"Authorization": "Bearer secret", "Origin": "https://evil.example"}, 403),
        ({"Authorization": "Bearer secret", "Sec-Fetch-Site": "cross-site"}, 403),
        ({"Authorization": "Bearer secret", "Host": "evil.example"}, 403),
        ({"Authorization": "Bearer secret", "Content-Type": "text/plain"}, 415),
        ({"Authorization": "Bearer secret"}, 200),
    ],
)
async def test_who_may_not_change_anything_does_not(
    urls: AdminUrls, client: aiohttp.ClientSession, tmp_path: Path, headers: dict[str, str], status: int
) -> None:
    token = tmp_path / "token"
    token.write_text("secret\n")
    urls.proxy.require_token(str(token))
    shown = {"Content-Type": "application/json", **headers}
    body = b'{"paused": true}'
    async with client.patch(f"{urls.everything}/mirrors", data=body, headers=shown) as answer:
        assert answer.status == status
    assert urls.proxy.done == ([(ALL_MIRRORS, None, True, None)] if status == 200 else [])


async def test_outcomes_of_a_thousand_mirrors_are_read_once() -> None:
    passes = 0

    class Samples(dict[tuple[str, ...], float | list[float]]):
        def items(self) -> Any:
            nonlocal passes
            passes += 1
            return super().items()

    routes = tuple(
        Route(f"r{n}", (Destination("v1", "c1"),), (MirrorPolicy(f"r{n}/v2", "c2", 1, 1),))
        for n in range(1000)
    )
    shop = Shop()
    shop.loaded = replace(
        shop.loaded, config=replace(CONFIG, virtual_hosts=(VirtualHost("v", ("*",), routes),))
    )
    report: Report = {
        "mirror_requests_total": Samples({(f"r{n}", f"r{n}/v2", "completed"): n for n in range(1000)})
    }
    found: Any = rows.mirrors(rows.ConfigCopy(shop), ProxySnapshot(report, [], []))
    assert passes == 1
    assert [row["outcomes"] for row in found["mirrors"][:3]] == [{}, {"completed": 1}, {"completed": 2}]
