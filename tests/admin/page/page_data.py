"""Page data of a proxy whose counts are known."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from mirror_proxy.admin.interface import LoadedConfig, ProxySnapshot
from mirror_proxy.admin.page.data import PageData
from mirror_proxy.admin.page.history import Point
from mirror_proxy.comparison.diff.totals import Totals
from mirror_proxy.config.model import (
    Address,
    Cluster,
    Compare,
    Config,
    Destination,
    Endpoint,
    MirrorPolicy,
    Route,
    Settings,
    Share,
    VirtualHost,
)


def config(*mirrors: MirrorPolicy, route: str = "shop") -> Config:
    """Build one route with these mirrors."""
    routes = (Route(route, (Destination("v1", "c"),), mirrors),)
    cluster = Cluster("c", "v1", (Endpoint(Address("10.0.0.1", 80)),))
    return Config(
        Settings(compare=Compare(share=Share(10))), (cluster,), (VirtualHost("any", ("*",), routes),)
    )


def page_data(counts: dict[tuple[str, ...], int], **changes: Any) -> PageData:
    """Build the data of a page when this has been counted, of a route `shop` with a mirror `shop/v2`."""
    made = PageData(
        time=1_700_000_000.0,
        state="LIVE",
        info={"version": "1.2.3", "uptime_s": 60.0},
        loaded=LoadedConfig(config(MirrorPolicy("shop/v2", "c2", 10)), 3, 0.0),
        refusal=None,
        snapshot=ProxySnapshot(
            {}, [], [{"name": "shop/v2", "in_flight": 2, "buffered_bytes": 0, "breaker": "closed"}]
        ),
        totals=Totals(counts),
        routes=(),
        mirror_override={},
        ramps=(),
        points=(Point(0.0, 0, 0, 0, 0),),
    )
    return replace(made, **changes)
