"""The plan of a ramp: read it from the body of a request, and compute the weights of a step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from mirror_proxy.config import quantity
from mirror_proxy.mirror import sampling
from mirror_proxy.overrides import Key
from mirror_proxy.ramp.guard import Guard, guards_for
from mirror_proxy.ramp.target import CanaryTarget, MirrorTarget, Target

OnFail = Literal["rollback", "hold"]

#: The keys that `read` takes.
KEYS = ("mirror", "route", "destination", "steps", "every", "guards", "min_samples", "on_fail")

STEPS = (1, 5, 25, 100)
EVERY = "10m"
MIN_SAMPLES = 100
ON_FAIL: tuple[OnFail, ...] = ("rollback", "hold")

_MOST = 100  # steps, and guards
_MOST_SAMPLES = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Plan:
    """The percent of each step, the least duration of a step, and the guards.

    A guard is judged when its figure has `min_samples` samples of the step; a step lasts until all guards are judged.
    """

    target: Target
    steps: tuple[float, ...]
    every_s: float
    guards: tuple[Guard, ...]
    min_samples: int
    on_fail: OnFail


def read(body: Mapping[str, object]) -> Plan:
    """Read `{"mirror": NAME, "steps": [1, 5], ...}`, or with `route` and `destination`; raises `ValueError`."""
    target = _target(body)
    min_samples, on_fail = body.get("min_samples", MIN_SAMPLES), body.get("on_fail", ON_FAIL[0])
    if type(min_samples) is not int or not 1 <= min_samples <= _MOST_SAMPLES:
        raise ValueError(f"min_samples must be a whole number from 1 to {_MOST_SAMPLES}")
    if on_fail not in ON_FAIL:
        raise ValueError(f"on_fail must be one of {', '.join(ON_FAIL)}")
    return Plan(
        target,
        _steps(body.get("steps", list(STEPS)), target),
        _every(body.get("every", EVERY)),
        guards_for(target, _texts(body.get("guards", []))),
        min_samples,
        on_fail,
    )


def key_of(mirror: object, route: object) -> Key:
    """Return the key of the ramp of a mirror or of a route; raises `ValueError` unless exactly one is named."""
    if isinstance(mirror, str) and route is None:
        return MirrorTarget(mirror).key
    if isinstance(route, str) and mirror is None:
        return CanaryTarget(route, "").key
    raise ValueError("say whose ramp: the name of a mirror, or of a route")


def _target(body: Mapping[str, object]) -> Target:
    mirror, route, destination = body.get("mirror"), body.get("route"), body.get("destination")
    if isinstance(mirror, str) and route is None and destination is None:
        return MirrorTarget(mirror)
    if isinstance(route, str) and isinstance(destination, str) and mirror is None:
        return CanaryTarget(route, destination)
    raise ValueError("a ramp is of a mirror, or of a route and its destination, each by name")


def _steps(value: object, target: Target) -> tuple[float, ...]:
    if not isinstance(value, list) or not 1 <= len(value) <= _MOST:
        raise ValueError(f"steps must be a list of 1 to {_MOST} percents")
    finest = 1 if isinstance(target, CanaryTarget) else sampling.STEPS
    for step in value:
        if type(step) not in {int, float} or not 0 < step <= 100:
            raise ValueError("each step must be a number above 0 and up to 100")
        if not sampling.is_in_steps(step, finest):
            raise ValueError(f"{step:g} is no multiple of {1 / finest:g}, the finest step there is")
    if any(after <= before for before, after in pairwise(value)):
        raise ValueError("each step must be more than the one before it")
    return tuple(float(step) for step in value)


def _every(value: object) -> float:
    try:
        every_s = quantity.duration(value) if isinstance(value, str) else 0.0
    except ValueError as error:
        raise ValueError(f"every: {error}") from error
    if every_s <= 0:
        raise ValueError("every must be a duration of more than 0, such as 10m")
    return every_s


def _texts(value: object) -> list[str]:
    if not isinstance(value, list) or len(value) > _MOST or not all(isinstance(text, str) for text in value):
        raise ValueError('guards must be a list of limits such as "mirror_error_rate>1%"')
    return value


WHOLE = 100


def shares(weights: Mapping[str, int], canary: str, percent: int) -> dict[str, int]:
    """Give `canary` its percent, and the other destinations the rest in proportion to their `weights`.

    Fractions are rounded down, and the remainder goes to the destinations with the largest fractions, in their order.
    Raises `ValueError` if there is a rest and no other destination has a weight.
    """
    others = {name: weight for name, weight in weights.items() if name != canary}
    total, rest = sum(others.values()), WHOLE - percent
    if rest and not total:
        raise ValueError(f"no destination but {canary} has a weight, so nobody could have the other {rest} %")
    exact = {name: divmod(weight * rest, total) if total else (0, 0) for name, weight in others.items()}
    remainder = rest - sum(whole for whole, _ in exact.values())
    largest = sorted(exact, key=lambda name: -exact[name][1])[:remainder]
    given = {name: whole + (name in largest) for name, (whole, _) in exact.items()}
    return {name: percent if name == canary else given[name] for name in weights}
