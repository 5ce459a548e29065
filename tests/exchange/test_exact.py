"""Exact sampling in a data plane: the mirrors of a route take turns, wherever the route stands."""

from __future__ import annotations

from dataclasses import replace

from mirror_proxy.config.model import Match, MirrorPolicy, StringMatch, VirtualHost
from mirror_proxy.overrides import Percent
from tests.conftest import Connect, MakeOrigin, MakePlane
from tests.support.plane import until
from tests.support.routes import clusters_of, config_of, route

BLOCKS = (Match(path=StringMatch("prefix", "/a")), Match(path=StringMatch("prefix", "/b")))


async def test_the_mirrors_of_a_route_share_its_turns_over_all_its_places(
    origin: MakeOrigin, plane: MakePlane, connect: Connect
) -> None:
    v1, few, many = [await origin() for _ in range(3)]
    made = replace(
        route("r", "v1"),
        matches=BLOCKS,
        mirrors=(MirrorPolicy("few", "few", 10, 100), MirrorPolicy("many", "many", 200_000, 1_000_000)),
    )
    config = config_of(made, clusters=clusters_of(v1=v1, few=few, many=many), settings={"exact": True})
    config = replace(
        config, virtual_hosts=(VirtualHost("x", ("x",), (made,)), VirtualHost("any", ("*",), (made,)))
    )
    served = await plane(config)
    client = await connect(served)

    async def ask_a_hundred() -> None:
        for number in range(100):
            name = b"x" if number % 4 < 2 else b"y"
            target = (b"/a%d" if number % 2 else b"/b%d") % number
            await client.ask(b"GET %s HTTP/1.1\r\nHost: %s\r\n\r\n" % (target, name))
        await until(lambda: not served.count("mirror_in_flight", "many"), "shadows to end")
        await until(lambda: not served.count("mirror_in_flight", "few"), "shadows to end")

    await ask_a_hundred()
    copied = [{request.target for request in side.requests} for side in (few, many)]
    assert copied[0] < copied[1]
    assert [served.outcomes(name)["completed"] for name in ("few", "many")] == [10, 20]
    served.inner.steer((Percent("many", 35), Percent("few", 1.5)))
    await ask_a_hundred()
    assert served.outcomes("many")["completed"] == 20 + 35
    assert served.outcomes("few")["completed"] in {11, 12}
    assert [sum(served.outcomes(name).values()) for name in ("few", "many")] == [200, 200]
    assert len(v1.requests) == 200
