"""`/routes` and `/config_dump`; `/mirrors` has a file of its own."""

from __future__ import annotations

from typing import Any

import aiohttp
import pytest

from mirror_proxy.admin.interface import MirrorOverride, RejectedReload
from mirror_proxy.overrides import ALL_MIRRORS
from tests.admin.conftest import AdminUrls


async def test_routes_show_conditions_and_the_file_s_weights_beside_the_present_ones(
    urls: AdminUrls, client: aiohttp.ClientSession
) -> None:
    async with client.get(f"{urls.everything}/routes") as answer:
        split, rest = (await answer.json())["routes"]
    assert split == {
        "name": "split",
        "virtual_host": "default/shop",
        "domains": ["shop", "shop.default"],
        "matches": ["path prefix /a, header x-user not exact jason, query q present"],
        "destinations": [
            {"name": "shop/v1", "cluster": "c1", "weight": 90, "file_weight": 90},
            {"name": "shop/v2", "cluster": "c2", "weight": 10, "file_weight": 10},
        ],
        "mirrors": [],
        "overridden": False,
    }
    assert rest["matches"] == ["everything"]


async def test_the_config_dump_has_envoy_s_shape_and_the_weights_that_requests_meet(
    urls: AdminUrls, client: aiohttp.ClientSession
) -> None:
    urls.proxy.weights["split"] = {"shop/v2": 30}
    async with client.get(f"{urls.everything}/config_dump") as answer:
        clusters, routes = (await answer.json())["configs"]
    assert clusters["@type"] == "type.googleapis.com/envoy.admin.v3.ClustersConfigDump"
    assert [one["cluster"]["name"] for one in clusters["dynamic_active_clusters"]] == ["c1", "c2"]
    assert routes["@type"] == "type.googleapis.com/envoy.admin.v3.RoutesConfigDump"
    [config] = routes["dynamic_route_configs"]
    assert (config["version_info"], config["last_updated"]) == ("3", "2023-11-14T22:13:20.000Z")
    assert config["client_status"] == "ACKED"
    assert "error_state" not in config
    split = config["route_config"]["virtual_hosts"][0]["routes"][0]
    weights = {one["name"]: one["weight"] for one in split["route"]["weighted_clusters"]["clusters"]}
    assert weights == {"c1": 90, "c2": 30}


@pytest.mark.parametrize(
    ("mirror_override", "fraction"),
    [
        ({}, {"numerator": 100_000, "denominator": "MILLION"}),
        ({"rest/v2": MirrorOverride(0.0001)}, {"numerator": 1, "denominator": "MILLION"}),
        ({"rest/v2": MirrorOverride(0.57)}, {"numerator": 5700, "denominator": "MILLION"}),
        ({"rest/v2": MirrorOverride(50.0, paused=True)}, {"numerator": 0, "denominator": "MILLION"}),
        ({ALL_MIRRORS: MirrorOverride(paused=True)}, {"numerator": 0, "denominator": "MILLION"}),
    ],
    ids=["as the file says", "least", "more", "paused", "all paused"],
)
async def test_the_config_dump_shows_the_shares_that_mirrors_really_get(
    urls: AdminUrls,
    client: aiohttp.ClientSession,
    mirror_override: dict[str, MirrorOverride],
    fraction: dict[str, Any],
) -> None:
    urls.proxy.mirrors = mirror_override
    async with client.get(f"{urls.everything}/config_dump") as answer:
        [config] = (await answer.json())["configs"][1]["dynamic_route_configs"]
    route = config["route_config"]["virtual_hosts"][0]["routes"][1]["route"]
    [policy] = route["request_mirror_policies"]
    assert policy["runtime_fraction"]["default_value"] == fraction


async def test_a_refused_reload_stands_in_the_config_dump_with_its_problems_and_time(
    urls: AdminUrls, client: aiohttp.ClientSession
) -> None:
    urls.proxy.refusal = RejectedReload(("a.yaml:1: one", "a.yaml:2: two"), 1_700_000_001.5)
    async with client.get(f"{urls.everything}/config_dump") as answer:
        [config] = (await answer.json())["configs"][1]["dynamic_route_configs"]
    assert config["client_status"] == "NACKED"
    assert config["error_state"] == {
        "last_update_attempt": "2023-11-14T22:13:21.500Z",
        "details": "a.yaml:1: one\na.yaml:2: two",
    }
