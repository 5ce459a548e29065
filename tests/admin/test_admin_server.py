from __future__ import annotations

import aiohttp
import pytest
from prometheus_client.parser import text_string_to_metric_families

from mirror_proxy.admin.guard import is_local_host
from mirror_proxy.admin.interface import State
from tests.admin.conftest import CLUSTER, AdminUrls


@pytest.mark.parametrize(("state", "status"), [("LIVE", 200), ("INITIALIZING", 503), ("DRAINING", 503)])
async def test_ready_is_200_only_while_serving(
    urls: AdminUrls, client: aiohttp.ClientSession, state: State, status: int
) -> None:
    urls.proxy.state = state
    for listener in (urls.everything, urls.probes):
        async with client.get(f"{listener}/ready") as answer:
            assert (answer.status, await answer.text()) == (status, f"{state}\n")
        async with client.get(f"{listener}/healthz") as answer:
            assert (answer.status, await answer.text()) == (200, "ok\n")


async def test_clusters_are_text_as_envoy_writes_it_or_json(
    urls: AdminUrls, client: aiohttp.ClientSession
) -> None:
    async with client.get(f"{urls.everything}/clusters") as answer:
        assert (await answer.text()).splitlines() == [
            "outbound|8080||v1::requests_active::2",
            "outbound|8080||v1::10.0.0.1:8080::active::2",
            "outbound|8080||v1::10.0.0.1:8080::idle::1",
        ]
    async with client.get(f"{urls.everything}/clusters?format=json") as answer:
        assert await answer.json() == {"clusters": [CLUSTER]}


async def test_metrics_come_as_text_or_openmetrics_as_asked(
    urls: AdminUrls, client: aiohttp.ClientSession
) -> None:
    async with client.get(f"{urls.probes}/metrics") as answer:
        assert answer.headers["Content-Type"].startswith("text/plain; version=")
        text = await answer.text()
        assert any(
            family.name == "mirror_proxy_mirror_requests" for family in text_string_to_metric_families(text)
        )
    accept = {"Accept": "application/openmetrics-text; version=1.0.0"}
    async with client.get(f"{urls.everything}/metrics", headers=accept) as answer:
        assert answer.headers["Content-Type"].startswith("application/openmetrics-text")
        assert (await answer.text()).endswith("# EOF\n")


async def test_the_index_links_to_every_page(urls: AdminUrls, client: aiohttp.ClientSession) -> None:
    async with client.get(f"{urls.everything}/") as answer:
        page = await answer.text()
    assert "<li>/reload" in page
    for path in ("/ready", "/healthz", "/metrics", "/server_info", "/clusters", "/mirrors", "/routes"):
        assert f'href="{path}"' in page
        async with client.get(f"{urls.everything}{path}") as answer:
            assert answer.status == 200


async def test_an_unknown_path_is_answered_with_those_that_exist(
    urls: AdminUrls, client: aiohttp.ClientSession
) -> None:
    async with client.get(f"{urls.probes}/clusters") as answer:
        assert answer.status == 404
        assert await answer.json() == {
            "error": "there is no /clusters here", "paths": ["/healthz", "/metrics", "/ready"]
        }  # fmt: skip


async def test_a_method_that_is_not_taken_is_answered_with_those_that_are(
    urls: AdminUrls, client: aiohttp.ClientSession
) -> None:
    async with client.post(f"{urls.everything}/mirrors") as answer:
        assert answer.status == 405
        assert answer.headers["Allow"] == "GET, HEAD, PATCH"
        assert await answer.json() == {
            "error": "/mirrors does not take POST",
            "methods": ["GET", "HEAD", "PATCH"],
        }


async def test_a_foreign_host_is_refused_on_loopback_only(
    urls: AdminUrls, client: aiohttp.ClientSession
) -> None:
    headers = {"Host": "evil.example:9901"}
    async with client.get(f"{urls.everything}/server_info", headers=headers) as answer:
        assert answer.status == 403
        assert await answer.json() == {
            "error": 'Host "evil.example:9901" is refused; ask for localhost or the IP address'
        }
    async with client.get(f"{urls.probes}/ready", headers=headers) as answer:
        assert answer.status == 200


@pytest.mark.parametrize(
    "host", ["localhost", "localhost:9901", "LOCALHOST", "127.0.0.1:9901", "[::1]:9901", "10.1.2.3"]
)
def test_names_that_cannot_be_rebound_are_local(host: str) -> None:
    assert is_local_host(host)


@pytest.mark.parametrize(
    "host", ["", "evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "[::1", "a@b"]
)
def test_other_names_are_not_local(host: str) -> None:
    assert not is_local_host(host)
