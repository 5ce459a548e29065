"""The same user, the same side: a sticky draw for split and mirrors, and hashing over a cluster's endpoints."""

from __future__ import annotations

from collections import Counter

import pytest

from mirror_proxy.config.model import (
    Address,
    Balancer,
    CorsPolicy,
    Destination,
    HashKey,
    MirrorPolicy,
    Route,
    StringMatch,
)
from mirror_proxy.overrides import Percent
from tests.conftest import Connect, MakeOrigin, MakePlane
from tests.support.client import get
from tests.support.plane import cluster_at, make_config, until
from tests.support.routes import clusters_of, config_of


async def test_a_user_always_has_the_same_destination_and_mirrors(
    origin: MakeOrigin, plane: MakePlane, connect: Connect
) -> None:
    v1, v2, few, many = [await origin() for _ in range(4)]
    made = Route(
        "r",
        (Destination("v1", "v1", 80), Destination("v2", "v2", 20)),
        (MirrorPolicy("few", "few", 20, 100), MirrorPolicy("many", "many", 60, 100)),
    )
    clusters = clusters_of(v1=v1, v2=v2, few=few, many=many)
    served = await plane(config_of(made, clusters=clusters, settings={"sticky": HashKey("cookie", "user")}))
    client = await connect(served)
    for user in [b"user=%d" % number for number in range(40)] * 3:
        await client.ask(get(b"/", b"cookie: a=b; " + user))
    sides = [Counter(request.get(b"cookie") for request in side.requests) for side in (v1, v2)]
    assert sides[0].keys().isdisjoint(sides[1])
    assert set((sides[0] + sides[1]).values()) == {3}
    await until(lambda: not served.count("mirror_in_flight", "many"), "shadows to end")
    await until(lambda: not served.count("mirror_in_flight", "few"), "shadows to end")
    seen = [{request.get(b"cookie") for request in side.requests} for side in (few, many)]
    assert seen[0] < seen[1] < set(sides[0] + sides[1])
    assert {
        count for side in (few, many) for count in Counter(r.get(b"cookie") for r in side.requests).values()
    } == {3}


async def test_a_percent_that_grows_adds_users_and_takes_none_away(
    origin: MakeOrigin, plane: MakePlane, connect: Connect
) -> None:
    v1, v2 = await origin(), await origin()
    made = Route("r", (Destination("v1", "v1"),), (MirrorPolicy("m", "v2", 10, 100),))
    config = config_of(
        made, clusters=clusters_of(v1=v1, v2=v2), settings={"sticky": HashKey("cookie", "user")}
    )
    served = await plane(config)
    client = await connect(served)
    seen: list[set[bytes | None]] = []
    for percent in (None, 25, 60, 100):
        served.inner.steer(() if percent is None else (Percent("m", percent),))
        v2.requests.clear()
        for user in range(60):
            await client.ask(get(b"/", b"cookie: user=%d" % user))
        await until(lambda: not served.count("mirror_in_flight", "m"), "shadows to end")
        seen.append({request.get(b"cookie") for request in v2.requests})
    assert seen[0] < seen[1] < seen[2] < seen[3]
    assert len(seen[3]) == 60


async def test_a_request_without_a_value_is_drawn_by_dice(
    origin: MakeOrigin, plane: MakePlane, connect: Connect
) -> None:
    v1, v2 = await origin(), await origin()
    made = Route("r", (Destination("v1", "v1", 1), Destination("v2", "v2", 1)))
    settings = {"sticky": HashKey("header", "x-user")}
    client = await connect(
        await plane(config_of(made, clusters=clusters_of(v1=v1, v2=v2), settings=settings))
    )
    for _ in range(64):
        await client.ask(get())
    assert v1.requests
    assert v2.requests


@pytest.mark.parametrize(
    ("hops", "forwarded", "sides"),
    [(0, 16, 1), (1, 16, 2), (2, 16, 1)],
    ids=["none", "one", "more than there are"],
)
async def test_a_client_s_address_is_what_the_last_trusted_proxy_saw(
    origin: MakeOrigin, plane: MakePlane, connect: Connect, hops: int, forwarded: int, sides: int
) -> None:
    v1, v2 = await origin(), await origin()
    made = Route("r", (Destination("v1", "v1", 1), Destination("v2", "v2", 1)))
    settings = {"sticky": HashKey("source_ip"), "xff_num_trusted_hops": hops}
    client = await connect(
        await plane(config_of(made, clusters=clusters_of(v1=v1, v2=v2), settings=settings))
    )
    for number in range(forwarded):
        await client.ask(get(b"/", b"x-forwarded-for: 10.0.0.%d" % number))
    assert len([side for side in (v1, v2) if side.requests]) == sides


async def test_a_cluster_s_hash_key_leads_a_user_to_one_endpoint(
    origin: MakeOrigin, plane: MakePlane, connect: Connect
) -> None:
    sides = [await origin() for _ in range(3)]
    cluster = cluster_at(
        "v1",
        *(Address("127.0.0.1", side.port) for side in sides),
        balancer=Balancer("hash", HashKey("header", "x-user")),
    )
    client = await connect(await plane(make_config(cluster)))
    for _ in range(3):
        for user in range(30):
            await client.ask(get(b"/", b"x-user: %d" % user))
    users = [Counter(request.get(b"x-user") for request in side.requests) for side in sides]
    assert [set(user.values()) for user in users] == [{3}] * 3


@pytest.mark.parametrize(
    ("ttl_s", "age"), [(0.0, b""), (3600.0, b"; Max-Age=3600")], ids=["session", "an hour"]
)
async def test_a_client_without_its_cookie_gets_one_that_leads_back(
    origin: MakeOrigin, plane: MakePlane, connect: Connect, ttl_s: float, age: bytes
) -> None:
    sides = [await origin() for _ in range(3)]
    cluster = cluster_at(
        "v1",
        *(Address("127.0.0.1", side.port) for side in sides),
        balancer=Balancer("hash", HashKey("cookie", "side", ttl_s, "/")),
    )
    served = await plane(make_config(cluster))
    first = await connect(served)
    cookies = [(await first.ask(get())).get(b"set-cookie") for _ in range(2)]
    assert cookies[0] == cookies[1]
    assert cookies[0] is not None
    assert cookies[0].endswith(age + b"; Path=/; HttpOnly")
    [side] = [side for side in sides if side.requests]
    pair = cookies[0].partition(b";")[0]
    for _ in range(5):
        other = await connect(served)
        response = await other.ask(get(b"/", b"cookie: " + pair))
        assert response.get(b"set-cookie") is None
    assert len(side.requests) == 7


async def test_a_cookie_without_a_time_to_live_is_never_made(
    origin: MakeOrigin, plane: MakePlane, connect: Connect
) -> None:
    v1 = await origin()
    config = make_config(v1.port, cluster={"balancer": Balancer("hash", HashKey("cookie", "side"))})
    response = await (await connect(await plane(config))).ask(get())
    assert (response.status, response.get(b"set-cookie")) == (200, None)


async def test_a_response_to_another_origin_sets_the_sticky_cookie_too(
    origin: MakeOrigin, plane: MakePlane, connect: Connect
) -> None:
    v1 = await origin()
    cors = CorsPolicy((StringMatch("exact", "https://a.com"),))
    config = make_config(v1.port, settings={"sticky": HashKey("cookie", "user", 0.0, "/")}, cors=cors)
    response = await (await connect(await plane(config))).ask(get(b"/", b"origin: https://a.com"))
    assert response.get(b"access-control-allow-origin") == b"https://a.com"
    assert (response.get(b"set-cookie") or b"").startswith(b"user=")
