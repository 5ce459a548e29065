"""What the admin server takes besides questions, and from whom."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from mirror_proxy.admin.interface import RejectedReload
from tests.admin.conftest import AdminUrls

WEIGHTS = {"route": "split", "weights": {"shop/v1": 0, "shop/v2": 100}}


async def test_weights_are_set_and_the_route_s_row_is_the_answer(
    urls: AdminUrls, client: aiohttp.ClientSession
) -> None:
    body = {**WEIGHTS, "ttl": "5m"}
    async with client.patch(f"{urls.everything}/routes", json=body) as answer:
        assert answer.status == 200
        [row] = (await answer.json())["routes"]
    assert urls.proxy.done == [("split", {"shop/v1": 0, "shop/v2": 100}, 300.0)]
    assert row["overridden"] is True
    assert row["ends_in_s"] == 12.3
    assert [(one["name"], one["file_weight"], one["weight"]) for one in row["destinations"]] == [
        ("shop/v1", 90, 0),
        ("shop/v2", 10, 100),
    ]


async def test_null_gives_a_route_the_file_s_weights_again(
    urls: AdminUrls, client: aiohttp.ClientSession
) -> None:
    urls.proxy.weights["split"] = {"shop/v2": 30}
    body = {"route": "split", "weights": None}
    async with client.patch(f"{urls.everything}/routes", json=body) as answer:
        [row] = (await answer.json())["routes"]
    assert urls.proxy.done == [("reset", "split")]
    assert [one["weight"] for one in row["destinations"]] == [90, 10]


async def test_what_the_subject_refuses_is_422_with_what_exists(
    urls: AdminUrls, client: aiohttp.ClientSession
) -> None:
    async with client.patch(f"{urls.everything}/routes", json={**WEIGHTS, "route": "spilt"}) as answer:
        assert answer.status == 422
        assert await answer.json() == {"error": 'there is no route "spilt"', "routes": ["split"]}


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "the body is not JSON"),
        (b"{", "the body is not JSON"),
        (b"[" * 60_000, "the body is not JSON"),
        (b"[]", "the body must be a JSON object"),
        (b'{"route": 1, "weights": {"a": 1}}', "route must be the name of a route"),
        (b'{"route": "split"}', "weights must be an object of destinations and numbers"),
        (b'{"route": "split", "weights": {}}', "weights must be an object of destinations and numbers"),
        (b'{"route": "split", "weights": {"a": 1.5}}', "the weight of a must be a whole number"),
        (b'{"route": "split", "weights": {"a": true}}', "the weight of a must be a whole number"),
        (b'{"route": "split", "weights": {"a": -1}}', "the weight of a must be a whole number"),
        (b'{"route": "split", "weights": {"a": 1}, "ttl": 5}', "ttl must be a duration such as 5m"),
        (b'{"route": "split", "weights": {"a": 1}, "ttl": "5"}', 'ttl: "5" is not a duration'),
        (b'{"route": "split", "weights": {"a": 1}, "ttl": "0s"}', "ttl must be more than 0"),
        (b'{"route": "split", "weights": null, "ttl": "5m"}', "what the files say has no end: leave out ttl"),
        (b'{"route": "split", "weight": {"a": 1}}', 'unknown key "weight"; did you mean "weights"?'),
    ],
)
async def test_nonsense_is_400_with_a_reason_and_changes_nothing(
    urls: AdminUrls, client: aiohttp.ClientSession, body: bytes, reason: str
) -> None:
    headers = {"Content-Type": "application/json"}
    async with client.patch(f"{urls.everything}/routes", data=body, headers=headers) as answer:
        assert answer.status == 400
        assert (await answer.json())["error"].startswith(reason)
    assert urls.proxy.done == []


async def test_a_body_that_is_too_large_is_413(urls: AdminUrls, client: aiohttp.ClientSession) -> None:
    headers = {"Content-Type": "application/json"}
    async with client.patch(f"{urls.everything}/routes", data=b" " * 70_000, headers=headers) as answer:
        assert answer.status == 413
    assert urls.proxy.done == []


async def test_a_body_that_is_not_json_by_its_type_is_415(
    urls: AdminUrls, client: aiohttp.ClientSession
) -> None:
    for path in ("/routes", "/reload"):
        method = "PATCH" if path == "/routes" else "POST"
        async with client.request(method, f"{urls.everything}{path}", data=b"a=1") as answer:
            assert answer.status == 415
    assert urls.proxy.done == []


async def test_reload_answers_with_the_generation_or_with_every_problem(
    urls: AdminUrls, client: aiohttp.ClientSession
) -> None:
    async with client.post(f"{urls.everything}/reload") as answer:
        assert (answer.status, await answer.json()) == (200, {"generation": 3})
    urls.proxy.refusal = RejectedReload(("a.yaml:1: one", "a.yaml:2: two"), 0.0)
    async with client.post(f"{urls.everything}/reload") as answer:
        assert answer.status == 422
        assert (await answer.json())["problems"] == ["a.yaml:1: one", "a.yaml:2: two"]
    assert urls.proxy.done == ["reload", "reload"]


async def test_drain_begins_and_is_accepted(urls: AdminUrls, client: aiohttp.ClientSession) -> None:
    async with client.post(f"{urls.everything}/drain") as answer:
        assert (answer.status, await answer.json()) == (202, {"state": "DRAINING"})
    assert urls.proxy.done == ["drain"]


async def test_the_second_door_takes_no_change(urls: AdminUrls, client: aiohttp.ClientSession) -> None:
    async with client.post(f"{urls.probes}/drain") as answer:
        assert answer.status == 404


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://[evil"},
        {"Origin": "http://127.0.0.1:1"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Host": "evil.example"},
    ],
)
async def test_a_page_of_another_origin_changes_nothing(
    urls: AdminUrls, client: aiohttp.ClientSession, headers: dict[str, str]
) -> None:
    for method, path in (("PATCH", "/routes"), ("POST", "/reload"), ("POST", "/drain")):
        body: Any = WEIGHTS if method == "PATCH" else None
        url = f"{urls.everything}{path}"
        async with client.request(method, url, json=body, headers=headers) as answer:
            assert answer.status == 403
            assert (await answer.json())["error"]
    assert urls.proxy.done == []


async def test_a_page_of_our_own_origin_may(urls: AdminUrls, client: aiohttp.ClientSession) -> None:
    headers = {"Origin": urls.everything, "Sec-Fetch-Site": "same-origin"}
    async with client.post(f"{urls.everything}/drain", headers=headers) as answer:
        assert answer.status == 202


async def test_without_a_token_changes_are_taken_on_loopback_only(
    urls: AdminUrls, client: aiohttp.ClientSession
) -> None:
    async with client.post(f"{urls.public}/drain") as answer:
        assert answer.status == 403
        assert "set admin.tokenFile" in (await answer.json())["error"]
    async with client.get(f"{urls.public}/routes") as answer:
        assert answer.status == 200
    assert urls.proxy.done == []


async def test_with_a_token_every_change_needs_it_wherever_it_comes_from(
    urls: AdminUrls, client: aiohttp.ClientSession, tmp_path: Path
) -> None:
    token = tmp_path / "token"
    token.write_text("secret\n")
    urls.proxy.require_token(str(token))
    for listener in (urls.everything, urls.public):
        for shown in ("", "Bearer", "Bearer wrong", "Basic secret", "secret", "Bearer sécret"):
            async with client.post(f"{listener}/drain", headers={"Authorization": shown}) as answer:
                assert answer.status == 401
                assert answer.headers["WWW-Authenticate"] == "Bearer"
                assert "secret" not in await answer.text()
    assert urls.proxy.done == []
    for listener in (urls.everything, urls.public):
        async with client.post(f"{listener}/drain", headers={"Authorization": "Bearer secret"}) as answer:
            assert answer.status == 202
    token.write_text("rotated")
    async with client.post(f"{urls.public}/drain", headers={"Authorization": "Bearer secret"}) as answer:
        assert answer.status == 401
    async with client.post(f"{urls.public}/drain", headers={"Authorization": "bearer rotated"}) as answer:
        assert answer.status == 202


async def test_a_token_that_is_empty_or_cannot_be_read_opens_nothing(
    urls: AdminUrls, client: aiohttp.ClientSession, tmp_path: Path
) -> None:
    token = tmp_path / "token"
    urls.proxy.require_token(str(token))
    async with client.post(f"{urls.everything}/drain", headers={"Authorization": "Bearer "}) as answer:
        assert answer.status == 503
    token.write_text("\n")
    async with client.post(f"{urls.everything}/drain", headers={"Authorization": "Bearer "}) as answer:
        assert answer.status == 401
    assert urls.proxy.done == []


async def test_a_token_may_have_any_bytes_and_shown_bytes_that_are_no_text_are_refused(
    urls: AdminUrls, tmp_path: Path
) -> None:
    token = tmp_path / "token"
    token.write_bytes(b"\xff\xfe")
    urls.proxy.require_token(str(token))
    for shown, status in ((b"\xff\xfd", b"401"), (b"\xff\xfe", b"202")):
        host = urls.everything.removeprefix("http://")
        reader, writer = await asyncio.open_connection(*host.split(":"))
        head = b"POST /drain HTTP/1.1\r\nHost: %b\r\nAuthorization: Bearer %b\r\n\r\n" % (
            host.encode(),
            shown,
        )
        writer.write(head)
        assert (await reader.readline()).split()[1] == status
        writer.close()
