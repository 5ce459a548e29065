"""Exact sampling in a data plane: the mirrors of a route take turns, wherever the route stands."""

from __future__ import annotations

from dataclasses import replace

import pytest

from proxy.config.model import Match, MirrorPolicy, StringMatch, VirtualHost
from tests.conftest import Connect, MakeOrigin, MakePlane
from tests.support.plane import until
from tests.support.routes import clusters_of, config_of, route

BLOCKS = (Match(path=StringMatch("prefix", "/a")), Match(path=StringMatch("prefix", "/b")))


@pytest.mark.parametrize(("unit", "denominator"), [(1, 100), (10_000, 1_000_000)])
async def test_the_mirrors_of_a_route_share_its_turns_over_all_its_places(
    origin: MakeOrigin, plane: MakePlane, connect: Connect, unit: int, denominator: int
) -> None:
    v1, few, many = [await origin() for _ in range(3)]
    made = replace(
        route("r", "v1"),
        matches=BLOCKS,
        mirrors=tuple(
            MirrorPolicy(name, name, share * unit, denominator) for name, share in (("few", 10), ("many", 35))
        ),
    )
    config = config_of(made, clusters=clusters_of(v1=v1, few=few, many=many), settings={"exact": True})
    config = replace(
        config, virtual_hosts=(VirtualHost("x", ("x",), (made,)), VirtualHost("any", ("*",), (made,)))
    )
    served = await plane(config)
    client = await connect(served)
    for number in range(100):
        name = b"x" if number % 4 < 2 else b"y"
        target = (b"/a%d" if number % 2 else b"/b%d") % number
        await client.ask(b"GET %s HTTP/1.1\r\nHost: %s\r\n\r\n" % (target, name))
    await until(lambda: not served.count("mirror_in_flight", "many"), "shadows to end")
    await until(lambda: not served.count("mirror_in_flight", "few"), "shadows to end")
    copied = [{request.target for request in side.requests} for side in (few, many)]
    assert copied[0] < copied[1]
    counts = [served.outcomes(name) for name in ("few", "many")]
    straddles = (
        denominator == 100
    )  # where the third digit of the number turns, one draw may stand for another
    for count, share in zip(counts, (10, 35), strict=True):
        assert abs(count["completed"] - share) <= int(straddles)
        assert count["completed"] + count["not_sampled"] == 100
    assert len(v1.requests) == 100
