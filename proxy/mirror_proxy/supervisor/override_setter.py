"""What a ramp moves: an override, which takes the place of what was there before and gives it back.

An override in force that is not the very one the ramp put there last was set by hand, whatever its value.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from mirror_proxy.admin.interface import RefusedError
from mirror_proxy.config.model import Config
from mirror_proxy.overrides import ALL_MIRRORS, Override, Pause, Percent, Weights
from mirror_proxy.ramp.plan import Plan, shares
from mirror_proxy.ramp.target import Canary, Mirror
from mirror_proxy.supervisor.steering import Steering, check_destinations, check_mirror, routes_called


class OverrideSetter:
    """Sets the steps of one ramp; `config` returns what is in force. Raises `RefusedError` for nonsense."""

    def __init__(self, plan: Plan, steering: Steering, config: Callable[[], Config]) -> None:
        self._target = plan.target
        self._steering = steering
        self._config = config
        self._mine: Override | None = None
        self._override(plan.steps[0])
        if self._is_paused_by_hand:
            raise RefusedError(f"{plan.target} is paused; resume it first")
        self._before, self._before_until = steering.in_force(plan.target.key)
        self._had = self._as_set(self._before)
        present = self._share(self._before)
        if plan.steps[0] < present:  # else going back, when v2 fails, would send it more
            begin = f"begin at {present:g} or more, or " if present < 100 else ""
            lower = f"{begin}lower it first: {self._how_to_lower(plan.steps[0])}"
            raise RefusedError(f"{plan.target} has {present:g} % already, and a ramp only raises: {lower}")

    def lost(self) -> str:
        """Say why what is in force is not the ramp's any more; empty while it is."""
        gone = self._gone()
        if gone:
            return gone
        kind, name = self._target.key
        in_force, _ = self._steering.in_force(self._target.key)
        if self._mine is None:
            changed = in_force is not self._before
            return f"the {kind} of {name} changed before the first step" if changed else ""
        if in_force is not self._mine:
            return f"the {kind} of {name} changed by hand"
        return f"{self._target} is paused by hand" if self._is_paused_by_hand else ""

    def paused(self) -> str:
        """Say why the target gets nothing for now; empty while it gets its share."""
        if isinstance(self._target, Mirror) and self._steering.has(Pause(ALL_MIRRORS)):
            return "all mirrors are paused"
        return ""

    async def move(self, percent: float) -> None:
        """Put a step into force; returns when every worker uses it. Raises `RefusedError`."""
        self._mine = self._override(percent)
        await self._steering.put(self._mine)

    async def restore(self) -> str:
        """Put into force what was there before the first step, or what the files say where its time is over by now.

        Where they say more than what was there, that stays: going back never sends the target more. Return why.
        """
        if self._mine is None:
            return ""
        before, until = self._before, self._before_until
        if before is not None and (until is None or until > asyncio.get_running_loop().time()):
            await self._steering.put(before, until)
            return ""
        had, of_files = self._share(self._had), self._share(None)
        if of_files > had:
            await self._steering.put(self._had)
            return f"stays at {had:g} % until the proxy is restarted: the files would give it {of_files:g} %"
        await self._steering.drop(self._mine)
        return ""

    @property
    def _is_paused_by_hand(self) -> bool:
        return isinstance(self._target, Mirror) and self._steering.has(Pause(self._target.name))

    def _as_set(self, override: Override | None) -> Override:
        """Return `override`, or what would change nothing where there is none."""
        if override is not None:
            return override
        if isinstance(self._target, Mirror):
            return Percent(self._target.name, self._share(None))
        return Weights(self._target.route, tuple(_file_weights(self._config(), self._target).items()))

    def _share(self, override: Override | None) -> float:
        """Return the percent that the target has under `override`: of several mirrors of one name, the most."""
        target, config = self._target, self._config()
        if isinstance(override, Percent):
            return override.percent
        if isinstance(target, Mirror):
            mirrors = (one for route in config.routes() for one in route.mirrors)
            return max(one.percent for one in mirrors if one.name == target.name)
        weights = _file_weights(config, target) | (
            dict(override.weights) if isinstance(override, Weights) else {}
        )
        return 100 * weights[target.destination] / max(1, sum(weights.values()))

    def _how_to_lower(self, percent: float) -> str:
        if isinstance(self._target, Mirror):
            return f"mirror-proxy ctl percent {self._target.name} {percent:g}"
        return f"mirror-proxy ctl weights {self._target.route} {self._target.destination}=0"

    def _gone(self) -> str:
        """Say that the target is configured no more, or not as it was; empty while it is."""
        target = self._target
        try:
            if isinstance(target, Mirror):
                check_mirror(self._config(), target.name, takes_percent=True)
                return ""
            names = _file_weights(self._config(), target).keys()
        except RefusedError:
            return f"{target} is configured no more"
        is_other = isinstance(self._mine, Weights) and dict(self._mine.weights).keys() != names
        return f"the route {target.route} has other destinations now" if is_other else ""

    def _override(self, percent: float) -> Override:
        target = self._target
        if isinstance(target, Mirror):
            check_mirror(self._config(), target.name, takes_percent=True)
            return Percent(target.name, percent)
        try:
            weights = shares(_file_weights(self._config(), target), target.destination, round(percent))
        except ValueError as error:
            raise RefusedError(f"the route {target.route}: {error}") from error
        return Weights(target.route, tuple(weights.items()))


def _file_weights(config: Config, target: Canary) -> dict[str, int]:
    """Return the weights of the canary's route as the files have them, by destination. Raises `RefusedError`."""
    routes = routes_called(config, target.route)
    lists = {tuple((one.name, one.weight) for one in route.destinations) for route in routes}
    destinations = [one for some in lists for one in some]
    weights = dict(destinations)
    check_destinations(target.route, [target.destination], sorted(weights))
    if len(weights) < len(destinations):
        message = f"{target.route} has a destination with more than one weight; a ramp needs one of each"
        raise RefusedError(message, destinations=sorted(weights))
    return weights
