"""An admin server over a subject whose figures are known."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace

import aiohttp
import pytest

from proxy.admin.server import AdminServer
from proxy.admin.subject import Loaded, Refusal, RefusedError, Row, Snapshot, State
from proxy.config.model import (
    Address,
    Admin,
    Cluster,
    Config,
    Destination,
    Endpoint,
    FieldMatch,
    Match,
    Route,
    Settings,
    StringMatch,
    VirtualHost,
)

CLUSTER: Row = {
    "name": "outbound|8080||v1",
    "requests_active": 2,
    "endpoints": [{"address": "10.0.0.1:8080", "active": 2, "idle": 1}],
}
MATCH = Match(
    path=StringMatch("prefix", "/a"),
    headers=(FieldMatch("x-user", StringMatch("exact", "jason"), invert=True),),
    query=(FieldMatch("q", StringMatch("present")),),
)
ROUTES = (
    Route("split", (Destination("shop/v1", "c1", 90), Destination("shop/v2", "c2", 10)), matches=(MATCH,)),
    Route("rest", (Destination("shop/v1", "c1"),)),
)
CONFIG = Config(
    Settings(),
    tuple(Cluster(name, "shop", (Endpoint(Address("10.0.0.1", 80)),)) for name in ("c1", "c2")),
    (VirtualHost("default/shop", ("shop", "shop.default"), ROUTES),),
)


class Shop:
    """A subject whose figures are known; `done` is what it was asked to do."""

    state: State = "LIVE"
    refusal: Refusal | None = None

    def __init__(self) -> None:
        self.loaded = Loaded(CONFIG, 3, 1_700_000_000.0)
        self.weights: dict[str, dict[str, int]] = {}
        self.done: list[object] = []

    async def snapshot(self) -> Snapshot:
        outcomes = {
            ("r", "mirror", "completed"): 3.0,
            ("r", "mirror", "lagged"): 0.0,
            ("r", "other", "reset"): 1.0,
        }
        report = {"mirror_requests_total": dict(outcomes)}
        return Snapshot(report, [CLUSTER], [{"name": "mirror", "percent": 10.0}])  # type: ignore[arg-type]

    def server_info(self) -> Row:
        return {"version": "1.2.3", "state": self.state}

    def weights_of(self, route: str) -> tuple[Mapping[str, int], float | None]:
        return self.weights.get(route, {}), 12.34 if route in self.weights else None

    async def set_weights(self, route: str, weights: Mapping[str, int], ttl_s: float | None) -> None:
        if route != "split":
            raise RefusedError(f'there is no route "{route}"', routes=["split"])
        self.done.append((route, dict(weights), ttl_s))
        self.weights[route] = dict(weights)

    async def reload(self) -> Refusal | None:
        self.done.append("reload")
        return self.refusal

    def drain(self) -> None:
        self.done.append("drain")

    def require_token(self, token_file: str) -> None:
        settings = replace(CONFIG.settings, admin=Admin(Address("127.0.0.1", 1), token_file))
        self.loaded = replace(self.loaded, config=replace(CONFIG, settings=settings))


class Doors:
    """Both doors of a running admin server, and one to everything that is not on loopback only."""

    def __init__(self, subject: Shop, **sockets: socket.socket) -> None:
        urls = {name: f"http://127.0.0.1:{sock.getsockname()[1]}" for name, sock in sockets.items()}
        self.subject = subject
        self.everything, self.probes, self.public = urls["everything"], urls["probes"], urls["public"]


@pytest.fixture
async def doors() -> AsyncIterator[Doors]:
    shop = Shop()
    server = AdminServer(shop)
    everything = socket.create_server(("127.0.0.1", 0))
    probes, public = socket.create_server(("0.0.0.0", 0)), socket.create_server(("0.0.0.0", 0))
    opened = [
        await server.open(everything),
        await server.open_probes(probes),
        await server.open(public),
    ]
    yield Doors(shop, everything=everything, probes=probes, public=public)
    for door in opened:
        await door.close()


@pytest.fixture
async def client() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session
