"""Live overrides: set by operators, checked against the configuration, applied in every worker.

An override survives reloads while its target is configured. It ends when it expires, and with the supervisor.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping

from mirror_proxy import tasks
from mirror_proxy.admin.interface import MirrorOverride
from mirror_proxy.config.lookup import check_destinations, check_mirror, mirror_names, routes_named
from mirror_proxy.config.model import Config, Destination
from mirror_proxy.errors import RefusedError
from mirror_proxy.overrides import ALL_MIRRORS, Key, Override, Pause, Percent, Runtime, Weights
from mirror_proxy.telemetry.event import event

_log = logging.getLogger(__name__)


class Steering:
    """The overrides of one proxy.

    `config` returns the configuration in force; `apply` returns when every worker uses the overrides of `runtime`.
    """

    def __init__(
        self, runtime: Runtime, config: Callable[[], Config], apply: Callable[[], Awaitable[None]]
    ) -> None:
        self._runtime = runtime
        self._config = config
        self._apply = apply
        self._changed = asyncio.Event()

    def start(self) -> None:
        """Remove overrides when they expire, from now on."""
        tasks.spawn(self._expire(), "expire-overrides")

    # --- reads ---

    def weights_of(self, route: str) -> tuple[Mapping[str, int], float | None]:
        """Return the overridden weights of a route, and the seconds until they expire (None: never)."""
        return self._runtime.weights_of(route), _left(self._runtime.ends_at(("weights", route)))

    def mirror_override(self, mirror: str) -> MirrorOverride:
        """Return the override of a mirror, or with `ALL_MIRRORS`, whether all mirrors are paused."""
        percent = self._runtime.percent_of(mirror)
        pauses = [pause for pause in {Pause(mirror), Pause(ALL_MIRRORS)} if self._runtime.has(pause)]
        ends = [self._runtime.ends_at(pause.key) for pause in pauses]
        if not pauses:
            return MirrorOverride(
                percent, paused=False, left_s=_left(self._runtime.ends_at(("percent", mirror)))
            )
        lasting = [end for end in ends if end is not None]
        return MirrorOverride(percent, paused=True, left_s=_left(max(lasting)) if lasting == ends else None)

    # --- changes by operators ---

    async def set_weights(self, route: str, weights: Mapping[str, int], ttl_s: float | None) -> None:
        """Change weights of a route at once; returns when every worker uses them. Raises `RefusedError`."""
        destinations = _destinations(self._config(), route)
        known = sorted({one.name for one in destinations})
        check_destinations(route, weights, known)
        changed = {**self._runtime.weights_of(route), **weights}
        if not _leaves_any(destinations, changed):
            raise RefusedError("total destination weight = 0", destinations=known)
        _log.info(event("weights are set", route=route, weights=_joined(weights), ttl_s=ttl_s))
        await self._set([Weights(route, tuple(changed.items()))], ttl_s)

    async def set_mirror(
        self, mirror: str, percent: float | None, paused: bool | None, ttl_s: float | None
    ) -> None:
        """Change a mirror's percent, or pause or resume it (`ALL_MIRRORS`: all); None changes nothing.

        Returns when every worker applies the change to all later requests. A baseline can only be paused. Raises
        `RefusedError`, and changes nothing then.
        """
        if mirror != ALL_MIRRORS or percent is not None:
            check_mirror(self._config(), mirror, takes_percent=percent is not None)
        if paused is False and mirror != ALL_MIRRORS and self._runtime.has(Pause(ALL_MIRRORS)):
            raise RefusedError("all mirrors are paused: this one resumes when all do")
        wanted: list[Override] = []
        if percent is not None:
            _log.info(event("percent is set", mirror=mirror, percent=percent, ttl_s=ttl_s))
            wanted.append(Percent(mirror, percent))
        if paused:
            _log.info(event("mirror is paused", mirror=_shown(mirror), ttl_s=ttl_s))
            wanted.append(Pause(mirror))
        elif paused is False and self._runtime.has(Pause(mirror)):
            _log.info(event("mirror is resumed", mirror=_shown(mirror)))
            self._runtime.drop([Pause(mirror)])
        await self._set(wanted, ttl_s)

    async def reset(self, *, route: str | None = None, mirror: str | None = None) -> None:
        """Restore the files' weights of a route, or percent of a mirror. Raises `RefusedError`."""
        config = self._config()
        dropped: list[Override] = []
        if route is not None:
            _destinations(config, route)
            dropped.append(Weights(route, ()))
        if mirror is not None:
            check_mirror(config, mirror, takes_percent=True)
            dropped.append(Percent(mirror, 0.0))
        _log.info(event("override is removed, the files hold again", route=route, mirror=mirror))
        await self._drop(dropped)

    # --- for ramps ---

    def in_force(self, key: Key) -> tuple[Override | None, float | None]:
        """Return the override of `key`, the very object that was set, and its end (None: it has none)."""
        return self._runtime.of(key)

    def has(self, override: Override) -> bool:
        """Return whether `override` is in force."""
        return self._runtime.has(override)

    async def put(self, override: Override, until: float | None = None) -> None:
        """Set `override` without checks until `until` (the loop's clock); returns when every worker uses it."""
        self._runtime.set(override, until)
        self._changed.set()
        await self._apply()

    async def drop(self, override: Override) -> None:
        """Remove the override with the key of `override`; returns when every worker knows."""
        await self._drop([override])

    # --- reloads and expiry ---

    async def drop_stale(self) -> None:
        """After a reload: remove overrides whose target is not configured any more, and log those that stay."""
        config = self._config()
        targets = _Targets(config)
        stale = [override for override in self._runtime.overrides if not targets.has(override)]
        for override in stale:
            _log.warning(
                event("override is removed, its target is not configured any more", **_fields(override))
            )
        await self._drop(stale)
        for override in self._runtime.overrides:
            _log.warning(event("override stays in force, whatever the files say", **_fields(override)))

    async def _set(self, overrides: Iterable[Override], ttl_s: float | None) -> None:
        until = None if ttl_s is None else _now() + ttl_s
        for override in overrides:
            self._runtime.set(override, until)
        self._changed.set()
        await self._apply()

    async def _drop(self, overrides: Iterable[Override]) -> None:
        """Remove the overrides with the keys of `overrides`."""
        dropped = list(overrides)
        if dropped:
            self._runtime.drop(dropped)
            await self._apply()

    async def _expire(self) -> None:
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


class _Targets:
    """The targets of overrides by name: there may be an override for each of thousands of mirrors."""

    def __init__(self, config: Config) -> None:
        self._mirrors = {ALL_MIRRORS, *mirror_names(config, takes_percent=False)}
        self._take_percent = set(mirror_names(config, takes_percent=True))
        self._destinations: dict[str, list[Destination]] = {}
        for route in config.routes():
            self._destinations.setdefault(route.name, []).extend(route.destinations)

    def has(self, override: Override) -> bool:
        """Return whether the target of `override` is configured."""
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


def _fields(override: Override) -> dict[str, object]:
    match override:
        case Weights():
            return {"route": override.route, "weights": _joined(dict(override.weights)) or None}
        case Percent():
            return {"mirror": override.mirror, "percent": override.percent}
        case Pause():
            return {"mirror": _shown(override.mirror), "paused": True}


def _joined(weights: Mapping[str, int]) -> str:
    return ",".join(f"{name}={weight}" for name, weight in weights.items())


def _shown(mirror: str) -> str:
    return "all" if mirror == ALL_MIRRORS else mirror


def _left(until: float | None) -> float | None:
    return None if until is None else max(0.0, until - _now())


def _now() -> float:
    return asyncio.get_running_loop().time()
