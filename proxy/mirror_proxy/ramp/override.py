"""The override that a ramp sets: it replaces the override in force before the ramp, and restores that one.

An override in force that is not the very object that the ramp set last was set by hand, whatever its value.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from mirror_proxy.config.lookup import check_destinations, check_mirror, routes_named
from mirror_proxy.config.model import Config
from mirror_proxy.errors import RefusedError
from mirror_proxy.overrides import ALL_MIRRORS, Key, Override, Pause, Percent, Weights
from mirror_proxy.ramp.plan import Plan, shares
from mirror_proxy.ramp.target import CanaryTarget, MirrorTarget
from mirror_proxy.text import format_percent


class LiveOverrides(Protocol):
    """The overrides in force, as a ramp reads and changes them."""

    def in_force(self, key: Key) -> tuple[Override | None, float | None]:
        """Return the override of `key`, the very object that was set, and its end (None: it has none)."""

    def has(self, override: Override) -> bool:
        """Return whether `override` is in force."""

    async def put(self, override: Override, until: float | None = None) -> None:
        """Set `override` without checks until `until` (the loop's clock); returns when every worker uses it."""

    async def drop(self, override: Override) -> None:
        """Remove the override with the key of `override`; returns when every worker knows."""


class OverrideSetter:
    """Sets the steps of one ramp on `overrides`; `config` returns the configuration in force.

    Raises `RefusedError` if the target is unknown, is paused, or has more than the first step already.
    """

    def __init__(self, plan: Plan, overrides: LiveOverrides, config: Callable[[], Config]) -> None:
        self._target = plan.target
        self._overrides = overrides
        self._config = config
        self._mine: Override | None = None
        self._override(plan.steps[0])
        if self._is_paused_by_hand:
            raise RefusedError(f"{plan.target} is paused; resume it first")
        self._before, self._before_until = overrides.in_force(plan.target.key)
        self._had = self._as_set(self._before)
        present = self._share(self._before)
        if plan.steps[0] < present:  # else going back, when v2 fails, would send it more
            begin = f"begin at {present:g} or more, or " if present < 100 else ""
            lower = f"{begin}lower it first: {self._how_to_lower(plan.steps[0])}"
            raise RefusedError(
                f"{plan.target} has {format_percent(present)} already, and a ramp only raises: {lower}"
            )

    def lost(self) -> str:
        """Return why the override in force is no longer the ramp's; empty while it is."""
        gone = self._gone()
        if gone:
            return gone
        kind, name = self._target.key
        in_force, _ = self._overrides.in_force(self._target.key)
        if self._mine is None:
            changed = in_force is not self._before
            return f"the {kind} of {name} changed before the first step" if changed else ""
        if in_force is not self._mine:
            return f"the {kind} of {name} changed by hand"
        return f"{self._target} is paused by hand" if self._is_paused_by_hand else ""

    def paused(self) -> str:
        """Return why the target receives no requests at present; empty while it does."""
        if isinstance(self._target, MirrorTarget) and self._overrides.has(Pause(ALL_MIRRORS)):
            return "all mirrors are paused"
        return ""

    async def move(self, percent: float) -> None:
        """Set the override of a step; returns when every worker uses it. Raises `RefusedError`."""
        self._mine = self._override(percent)
        await self._overrides.put(self._mine)

    async def restore(self) -> str:
        """Restore the override from before the first step, or the files' value if that override has expired.

        If the files' value is higher than what the target had, the target keeps what it had, and the reason is
        returned: a rollback never sends the target more.
        """
        if self._mine is None:
            return ""
        before, until = self._before, self._before_until
        if before is not None and (until is None or until > asyncio.get_running_loop().time()):
            await self._overrides.put(before, until)
            return ""
        had, of_files = self._share(self._had), self._share(None)
        if of_files > had:
            await self._overrides.put(self._had)
            return (
                f"stays at {format_percent(had)} until the proxy is restarted:"
                f" the files would give it {format_percent(of_files)}"
            )
        await self._overrides.drop(self._mine)
        return ""

    @property
    def _is_paused_by_hand(self) -> bool:
        return isinstance(self._target, MirrorTarget) and self._overrides.has(Pause(self._target.name))

    def _as_set(self, override: Override | None) -> Override:
        """Return `override`, or without one, an override that changes nothing."""
        if override is not None:
            return override
        if isinstance(self._target, MirrorTarget):
            return Percent(self._target.name, self._share(None))
        return Weights(self._target.route, tuple(_file_weights(self._config(), self._target).items()))

    def _share(self, override: Override | None) -> float:
        """Return the percent of the target with `override`; the highest, if several mirrors have its name."""
        target, config = self._target, self._config()
        if isinstance(override, Percent):
            return override.percent
        if isinstance(target, MirrorTarget):
            mirrors = (one for route in config.routes() for one in route.mirrors)
            return max(one.percent for one in mirrors if one.name == target.name)
        weights = _file_weights(config, target) | (
            dict(override.weights) if isinstance(override, Weights) else {}
        )
        return 100 * weights[target.destination] / max(1, sum(weights.values()))

    def _how_to_lower(self, percent: float) -> str:
        if isinstance(self._target, MirrorTarget):
            return f"mirror-proxy ctl percent {self._target.name} {percent:g}"
        return f"mirror-proxy ctl weights {self._target.route} {self._target.destination}=0"

    def _gone(self) -> str:
        """Return why the target, as the ramp began with it, is not configured any more; empty while it is."""
        target = self._target
        try:
            if isinstance(target, MirrorTarget):
                check_mirror(self._config(), target.name, takes_percent=True)
                return ""
            names = _file_weights(self._config(), target).keys()
        except RefusedError:
            return f"{target} is configured no more"
        is_other = isinstance(self._mine, Weights) and dict(self._mine.weights).keys() != names
        return f"the route {target.route} has other destinations now" if is_other else ""

    def _override(self, percent: float) -> Override:
        target = self._target
        if isinstance(target, MirrorTarget):
            check_mirror(self._config(), target.name, takes_percent=True)
            return Percent(target.name, percent)
        try:
            weights = shares(_file_weights(self._config(), target), target.destination, round(percent))
        except ValueError as error:
            raise RefusedError(f"the route {target.route}: {error}") from error
        return Weights(target.route, tuple(weights.items()))


def _file_weights(config: Config, target: CanaryTarget) -> dict[str, int]:
    """Return the files' weights of the canary's route, by destination. Raises `RefusedError`."""
    routes = routes_named(config, target.route)
    lists = {tuple((one.name, one.weight) for one in route.destinations) for route in routes}
    destinations = [one for some in lists for one in some]
    weights = dict(destinations)
    check_destinations(target.route, [target.destination], sorted(weights))
    if len(weights) < len(destinations):
        message = f"{target.route} has a destination with more than one weight; a ramp needs one of each"
        raise RefusedError(message, destinations=sorted(weights))
    return weights
