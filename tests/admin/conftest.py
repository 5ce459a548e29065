"""An admin server over a proxy whose figures are known."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import replace

import aiohttp
import pytest

from mirror_proxy.admin.interface import (
    LoadedConfig,
    MirrorOverride,
    ProxySnapshot,
    RejectedReload,
    Row,
    State,
)
from mirror_proxy.admin.server import AdminServer
from mirror_proxy.comparison.diff.difference import Difference
from mirror_proxy.comparison.diff.example import Example, Search
from mirror_proxy.comparison.diff.record import Record, RecordSearch
from mirror_proxy.comparison.diff.run import Run, RunChange, RunTotals, TotalsSearch
from mirror_proxy.comparison.diff.totals import Totals
from mirror_proxy.config.model import (
    Address,
    Admin,
    Cluster,
    Config,
    Destination,
    Endpoint,
    FieldMatch,
    Log,
    Match,
    MirrorPolicy,
    Route,
    Settings,
    StringMatch,
    VirtualHost,
)
from mirror_proxy.errors import RefusedError
from mirror_proxy.overrides import ALL_MIRRORS, Key
from mirror_proxy.ramp.plan import Plan

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
    Route(
        "rest",
        (Destination("shop/v1", "c1"),),
        (MirrorPolicy("rest/v2", "c2", 100_000, 1_000_000), MirrorPolicy("rest/repeat", "c3", role="repeat")),
    ),
)
MIRRORS = ("rest/repeat", "rest/v2")
CONFIG = Config(
    Settings(),
    tuple(Cluster(name, "shop", (Endpoint(Address("10.0.0.1", 80)),)) for name in ("c1", "c2", "c3")),
    (VirtualHost("default/shop", ("shop", "shop.default"), ROUTES),),
)


class FakeRamps:
    """Ramps that are begun and ended and do not move; one of `rest/v2` or of the route `split` is under way."""

    def __init__(self, done: list[object]) -> None:
        self.done = done

    def rows(self) -> list[Row]:
        return [{"mirror": "rest/v2", "state": "running"}]

    async def start(self, plan: Plan) -> None:
        self.done.append(plan)

    async def resume(self, key: Key) -> None:
        self._know(key)
        self.done.append(("go", key))

    async def stop(self, key: Key, *, keep: bool) -> None:
        self._know(key)
        self.done.append(("stop", key, keep))

    def _know(self, key: Key) -> None:
        if key not in {("percent", "rest/v2"), ("weights", "split")}:
            raise RefusedError(f"no ramp of {key[1]} is under way", ramps=["rest/v2"])


class Logs:
    """A log whose files have `info`."""

    def __init__(self, done: list[object]) -> None:
        self.configured = Log("text", "info")
        self._done = done
        self._level = "info"

    def current(self) -> Log:
        return replace(self.configured, level=self._level)

    async def set_level(self, level: str) -> None:
        self._done.append(("log", level))
        self._level = level


class Shop:
    """A proxy whose figures are known; `done` is what it was asked to do."""

    state: State = "LIVE"
    refusal: RejectedReload | None = None

    def __init__(self) -> None:
        self.loaded = LoadedConfig(CONFIG, 3, 1_700_000_000.0)
        self.weights: dict[str, dict[str, int]] = {}
        self.mirrors: dict[str, MirrorOverride] = {}
        self.counted = Totals()
        self.present: tuple[Run, ...] = ()
        self.examples: list[Example] = []
        self.recorded: list[Record] = []
        self.done: list[object] = []
        self.logs = Logs(self.done)
        self.ramps = FakeRamps(self.done)

    async def snapshot(self) -> ProxySnapshot:
        outcomes = {
            ("rest", "rest/v2", "completed"): 3.0,
            ("rest", "rest/v2", "lagged"): 0.0,
            ("rest", "other", "reset"): 1.0,
        }
        report = {"mirror_requests_total": dict(outcomes)}
        return ProxySnapshot(report, [CLUSTER], [{"name": "rest/v2", "in_flight": 1}])  # type: ignore[arg-type]

    def server_info(self) -> Row:
        return {"version": "1.2.3", "state": self.state}

    def weights_of(self, route: str) -> tuple[Mapping[str, int], float | None]:
        return self.weights.get(route, {}), 12.34 if route in self.weights else None

    async def set_weights(self, route: str, weights: Mapping[str, int], ttl_s: float | None) -> None:
        if route != "split":
            raise RefusedError(f'there is no route "{route}"', routes=["split"])
        self.done.append((route, dict(weights), ttl_s))
        self.weights[route] = dict(weights)

    def mirror_override(self, mirror: str) -> MirrorOverride:
        own, every = (
            self.mirrors.get(mirror, MirrorOverride()),
            self.mirrors.get(ALL_MIRRORS, MirrorOverride()),
        )
        return replace(own, paused=own.paused or every.paused)

    async def set_mirror(
        self, mirror: str, percent: float | None, paused: bool | None, ttl_s: float | None
    ) -> None:
        self._know(mirror)
        self.done.append((mirror, percent, paused, ttl_s))
        before = self.mirrors.get(mirror, MirrorOverride())
        self.mirrors[mirror] = MirrorOverride(
            before.percent if percent is None else percent,
            before.paused if paused is None else paused,
            ttl_s,
        )

    async def reset(self, *, route: str | None = None, mirror: str | None = None) -> None:
        if mirror is not None:
            self._know(mirror)
            self.mirrors[mirror] = replace(self.mirrors.get(mirror, MirrorOverride()), percent=None)
        if route is not None:
            self.weights.pop(route, None)
        self.done.append(("reset", route or mirror))

    def _know(self, mirror: str) -> None:
        if mirror not in {*MIRRORS, ALL_MIRRORS}:
            raise RefusedError(f'no mirror is named "{mirror}"', mirrors=list(MIRRORS))

    async def totals(self, search: TotalsSearch) -> RunTotals:
        if search.run is None:
            return RunTotals(self.present, self.counted)
        found = tuple(run for run in self.present if run.number == search.run)
        return RunTotals(found, self.counted if found else Totals())

    async def runs(self) -> tuple[Run, ...]:
        return self.present

    async def change_runs(self, change: RunChange) -> tuple[Run, ...]:
        self.done.append(change)
        return self.present

    async def differences(self, search: Search) -> tuple[Example, ...]:
        """Return the newest that fit, as the store does."""
        wanted = (search.route, search.mirror)
        fitting = [
            one
            for one in self.examples
            if all(given in {None, has} for given, has in zip(wanted, (one.route, one.mirror), strict=True))
            and one.time >= search.since
            and (search.before is None or one.number < search.before)
            and (search.path is search.kind is None or any(map(search_takes(search), one.differences)))
        ]
        return tuple(sorted(fitting, key=lambda one: -one.number)[: search.limit])

    async def records(self, search: RecordSearch) -> tuple[Record, ...]:
        return tuple(
            one for one in self.recorded if search.mirror in {None, one.mirror} and one.time >= search.since
        )

    async def difference(self, number: int) -> Example | None:
        return next((one for one in self.examples if one.number == number), None)

    async def reload(self) -> RejectedReload | None:
        self.done.append("reload")
        return self.refusal

    def drain(self) -> None:
        self.done.append("drain")

    def require_token(self, token_file: str) -> None:
        settings = replace(CONFIG.settings, admin=Admin(Address("127.0.0.1", 1), token_file))
        self.loaded = replace(self.loaded, config=replace(CONFIG, settings=settings))


def search_takes(search: Search) -> Callable[[Difference], bool]:
    return lambda one: search.path in {None, one.path} and search.kind in {None, one.kind}


class AdminUrls:
    """Both listeners of a running admin server, and one to everything that is not on loopback only."""

    def __init__(self, proxy: Shop, **sockets: socket.socket) -> None:
        urls = {name: f"http://127.0.0.1:{sock.getsockname()[1]}" for name, sock in sockets.items()}
        self.proxy = proxy
        self.everything, self.probes, self.public = urls["everything"], urls["probes"], urls["public"]


@pytest.fixture
async def urls() -> AsyncIterator[AdminUrls]:
    shop = Shop()
    server = AdminServer(shop)
    everything = socket.create_server(("127.0.0.1", 0))
    probes, public = socket.create_server(("0.0.0.0", 0)), socket.create_server(("0.0.0.0", 0))
    opened = [
        await server.open(everything),
        await server.open_probes(probes),
        await server.open(public),
    ]
    yield AdminUrls(shop, everything=everything, probes=probes, public=public)
    for listener in opened:
        await listener.close()


@pytest.fixture
async def client() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session
