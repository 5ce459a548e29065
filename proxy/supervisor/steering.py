"""Live overrides: taken from the admin server, checked against what is configured, put into force everywhere.

They survive reloads as long as what they are about exists, and end at their time or with the supervisor.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Iterator, Mapping

from proxy import tasks
from proxy.admin.subject import RefusedError
from proxy.config.model import Config, Destination, Route
from proxy.config.problems import did_you_mean
from proxy.runtime import Override, Runtime, Weights
from proxy.supervisor.fleet import Fleet

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

    def weights_of(self, route: str) -> tuple[Mapping[str, int], float | None]:
        """Return the overridden weights of a route, and for how many seconds more (None: on)."""
        until = self._runtime.ends_at(("weights", route))
        return self._runtime.weights_of(route), None if until is None else max(0.0, until - _now())

    async def set_weights(self, route: str, weights: Mapping[str, int], ttl_s: float | None) -> None:
        """Change weights of a route, all at once; returns when every worker uses them. Raises `RefusedError`."""
        destinations = _destinations(self._fleet.generation.config, route)
        known = sorted({one.name for one in destinations})
        for name in weights:
            if name not in known:
                hint = did_you_mean(name, known)
                message = f'the route "{route}" has no destination "{name}"' + (f"; {hint}" if hint else "")
                raise RefusedError(message, destinations=known)
        changed = {**self._runtime.weights_of(route), **weights}
        if not _leaves_any(destinations, changed):
            raise RefusedError("total destination weight = 0", destinations=known)
        self._runtime.set(Weights(route, tuple(changed.items())), None if ttl_s is None else _now() + ttl_s)
        self._changed.set()
        await self._fleet.steer()
        said = ", ".join(f"{name}={weight}" for name, weight in weights.items())
        _log.info("weights of %s: %s%s", route, said, "" if ttl_s is None else f" for {ttl_s:g} s")

    async def keep_what_holds(self) -> None:
        """After a reload: drop overrides of what does not exist any more; tell of those that stay."""
        config = self._fleet.generation.config
        lost = [override for override in self._runtime.overrides if not _holds(override, config)]
        for override in lost:
            _log.warning(
                "the override of %s of %s is dropped: the configuration has no such destinations now",
                *override.key,
            )
        await self._drop(lost)
        for override in self._runtime.overrides:
            said = ", ".join(f"{name}={weight}" for name, weight in override.weights)
            _log.warning("%s of %s stay as set by hand, whatever the files say: %s", *override.key, said)

    async def _end_in_time(self) -> None:
        while True:
            self._changed.clear()
            until = self._runtime.next_end
            try:
                async with asyncio.timeout(None if until is None else max(0.0, until - _now())):
                    await self._changed.wait()
            except TimeoutError:
                ended = self._runtime.ended(_now())
                for override in ended:
                    _log.info("the override of %s of %s ends: its time is over", *override.key)
                await self._drop(ended)

    async def _drop(self, overrides: list[Override]) -> None:
        if overrides:
            self._runtime.drop(overrides)
            await self._fleet.steer()


def _holds(override: Override, config: Config) -> bool:
    destinations = [one for route in _routes(config, override.route) for one in route.destinations]
    weights = dict(override.weights)
    return weights.keys() <= {one.name for one in destinations} and _leaves_any(destinations, weights)


def _leaves_any(destinations: Iterable[Destination], weights: Mapping[str, int]) -> bool:
    return any(weights.get(one.name, one.weight) for one in destinations)


def _destinations(config: Config, name: str) -> list[Destination]:
    routes = list(_routes(config, name))
    if not routes:
        known = sorted({route.name for route in _routes(config)})
        hint = did_you_mean(name, known)
        message = f'there is no route "{name}"' + (f"; {hint}" if hint else "")
        raise RefusedError(message, routes=known)
    return [one for route in routes for one in route.destinations]


def _routes(config: Config, name: str | None = None) -> Iterator[Route]:
    for host in config.virtual_hosts:
        yield from (route for route in host.routes if name in {None, route.name})


def _now() -> float:
    return asyncio.get_running_loop().time()
