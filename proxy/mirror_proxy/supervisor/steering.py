"""Live overrides: taken from the admin server, checked against what is configured, put into force everywhere.

They survive reloads as long as what they are about exists, and end at their time or with the supervisor.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Mapping

from mirror_proxy import tasks
from mirror_proxy.admin.interface import MirrorOverride
from mirror_proxy.config.lookup import check_destinations, check_mirror, mirror_names, routes_named
from mirror_proxy.config.model import Config, Destination
from mirror_proxy.errors import RefusedError
from mirror_proxy.overrides import ALL_MIRRORS, Key, Override, Pause, Percent, Runtime, Weights
from mirror_proxy.supervisor.fleet import Fleet
from mirror_proxy.telemetry.event import event

_log = logging.getLogger(__name__)


class Steering:
    """The overrides of one fleet."""

    def __init__(self, runtime: Runtime, fleet: Fleet) -> None:
        self._runtime = runtime
        self._fleet = fleet
        self._changed = asyncio.Event()

    def start(self) -> None:
        """End overrides at their time, from now on."""
        tasks.spawn(self._end_in_time(), "end-overrides")

    # --- how it stands ---

    def weights_of(self, route: str) -> tuple[Mapping[str, int], float | None]:
        """Return the overridden weights of a route, and for how many seconds more (None: on)."""
        return self._runtime.weights_of(route), _left(self._runtime.ends_at(("weights", route)))

    def mirror_override(self, mirror: str) -> MirrorOverride:
        """Return what is overridden of a mirror, or with `ALL_MIRRORS`, whether all are paused."""
        percent = self._runtime.percent_of(mirror)
        pauses = [pause for pause in {Pause(mirror), Pause(ALL_MIRRORS)} if self._runtime.has(pause)]
        ends = [self._runtime.ends_at(pause.key) for pause in pauses]
        if not pauses:
            return MirrorOverride(
                percent, paused=False, left_s=_left(self._runtime.ends_at(("percent", mirror)))
            )
        lasting = [end for end in ends if end is not None]
        return MirrorOverride(percent, paused=True, left_s=_left(max(lasting)) if lasting == ends else None)

    # --- what is asked for ---

    async def set_weights(self, route: str, weights: Mapping[str, int], ttl_s: float | None) -> None:
        """Change weights of a route, all at once; returns when every worker uses them. Raises `RefusedError`."""
        destinations = _destinations(self._fleet.generation.config, route)
        known = sorted({one.name for one in destinations})
        check_destinations(route, weights, known)
        changed = {**self._runtime.weights_of(route), **weights}
        if not _leaves_any(destinations, changed):
            raise RefusedError("total destination weight = 0", destinations=known)
        _log.info(event("weights are set", route=route, weights=_written(weights), ttl_s=ttl_s))
        await self._set([Weights(route, tuple(changed.items()))], ttl_s)

    async def set_mirror(
        self, mirror: str, percent: float | None, paused: bool | None, ttl_s: float | None
    ) -> None:
        """Change a mirror's percent, or pause or resume it (`ALL_MIRRORS`: all); None leaves as it is.

        Returns when every worker knows; for no request that begins later holds what held before. A mirror that
        makes noise for comparing can be paused only. Raises `RefusedError`, and nothing has changed.
        """
        if mirror != ALL_MIRRORS or percent is not None:
            check_mirror(self._fleet.generation.config, mirror, takes_percent=percent is not None)
        if paused is False and mirror != ALL_MIRRORS and self._runtime.has(Pause(ALL_MIRRORS)):
            raise RefusedError("all mirrors are paused: this one resumes when all do")
        wanted: list[Override] = []
        if percent is not None:
            _log.info(event("percent is set", mirror=mirror, percent=percent, ttl_s=ttl_s))
            wanted.append(Percent(mirror, percent))
        if paused:
            _log.info(event("mirror is paused", mirror=_named(mirror), ttl_s=ttl_s))
            wanted.append(Pause(mirror))
        elif paused is False and self._runtime.has(Pause(mirror)):
            _log.info(event("mirror is resumed", mirror=_named(mirror)))
            self._runtime.drop([Pause(mirror)])
        await self._set(wanted, ttl_s)

    async def reset(self, *, route: str | None = None, mirror: str | None = None) -> None:
        """Have the file's weights of a route, or its percent of a mirror, hold again. Raises `RefusedError`."""
        config = self._fleet.generation.config
        dropped: list[Override] = []
        if route is not None:
            _destinations(config, route)
            dropped.append(Weights(route, ()))
        if mirror is not None:
            check_mirror(config, mirror, takes_percent=True)
            dropped.append(Percent(mirror, 0.0))
        _log.info(event("override is removed, the files hold again", route=route, mirror=mirror))
        await self._drop(dropped)

    # --- for what steers by itself ---

    def in_force(self, key: Key) -> tuple[Override | None, float | None]:
        """Return the override of `key`, the very object that was put there, and when it ends (None: it does not)."""
        return self._runtime.of(key)

    def has(self, override: Override) -> bool:
        """Tell whether `override` is in force."""
        return self._runtime.has(override)

    async def put(self, override: Override, until: float | None = None) -> None:
        """Put `override` into force, unchecked, to end at `until` by the loop's clock."""
        self._runtime.set(override, until)
        self._changed.set()
        await self._fleet.apply_overrides()

    async def drop(self, override: Override) -> None:
        """End what has the key of `override`."""
        await self._drop([override])

    # --- as configurations and time go by ---

    async def drop_stale(self) -> None:
        """After a reload: drop overrides of what does not exist any more; tell of those that stay."""
        config = self._fleet.generation.config
        known = _Known(config)
        lost = [override for override in self._runtime.overrides if not known.holds(override)]
        for override in lost:
            _log.warning(
                event("override is removed, its target is not configured any more", **_fields(override))
            )
        await self._drop(lost)
        for override in self._runtime.overrides:
            _log.warning(event("override stays in force, whatever the files say", **_fields(override)))

    async def _set(self, overrides: Iterable[Override], ttl_s: float | None) -> None:
        until = None if ttl_s is None else _now() + ttl_s
        for override in overrides:
            self._runtime.set(override, until)
        self._changed.set()
        await self._fleet.apply_overrides()

    async def _drop(self, overrides: Iterable[Override]) -> None:
        """End what has the keys of `overrides`."""
        dropped = list(overrides)
        if dropped:
            self._runtime.drop(dropped)
            await self._fleet.apply_overrides()

    async def _end_in_time(self) -> None:
        while True:
            self._changed.clear()
            until = self._runtime.next_end
            try:
                async with asyncio.timeout(None if until is None else max(0.0, until - _now())):
                    await self._changed.wait()
            except TimeoutError:
                ended = self._runtime.ended(_now())
                await self._drop(ended)
                for override in ended:
                    _log.info(event("override has expired", **_fields(override)))


# --- whether it can be ---


class _Known:
    """What overrides may be about, by name: there may be one for each of thousands of mirrors."""

    def __init__(self, config: Config) -> None:
        self._mirrors = {ALL_MIRRORS, *mirror_names(config, takes_percent=False)}
        self._take_percent = set(mirror_names(config, takes_percent=True))
        self._destinations: dict[str, list[Destination]] = {}
        for route in config.routes():
            self._destinations.setdefault(route.name, []).extend(route.destinations)

    def holds(self, override: Override) -> bool:
        """Tell whether what `override` is about is configured."""
        match override:
            case Weights():
                destinations, weights = self._destinations.get(override.route, []), dict(override.weights)
                is_known = weights.keys() <= {one.name for one in destinations}
                return is_known and _leaves_any(destinations, weights)
            case Percent():
                return override.mirror in self._take_percent
            case Pause():
                return override.mirror in self._mirrors


def _leaves_any(destinations: Iterable[Destination], weights: Mapping[str, int]) -> bool:
    return any(weights.get(one.name, one.weight) for one in destinations)


def _destinations(config: Config, name: str) -> list[Destination]:
    return [one for route in routes_named(config, name) for one in route.destinations]


# --- how it is said ---


def _fields(override: Override) -> dict[str, object]:
    match override:
        case Weights():
            return {"route": override.route, "weights": _written(dict(override.weights)) or None}
        case Percent():
            return {"mirror": override.mirror, "percent": override.percent}
        case Pause():
            return {"mirror": _named(override.mirror), "paused": True}


def _written(weights: Mapping[str, int]) -> str:
    return ",".join(f"{name}={weight}" for name, weight in weights.items())


def _named(mirror: str) -> str:
    return "all" if mirror == ALL_MIRRORS else mirror


def _left(until: float | None) -> float | None:
    return None if until is None else max(0.0, until - _now())


def _now() -> float:
    return asyncio.get_running_loop().time()
