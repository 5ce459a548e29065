"""Limits on figures, as people write them (`diff_rate>1%`), and whether they are exceeded.

A limit states what is too much: it is broken when it is true, for sure: of the whole confidence interval, at any number
of samples. It is kept when the figure is within it, with at least `min_samples`. Otherwise it is undecided.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from math import ceil
from operator import ge, gt, le, lt
from typing import Literal

from mirror_proxy.comparison.report.figures import DELTAS, NAMES, RATES, Figure
from mirror_proxy.config.problems import did_you_mean
from mirror_proxy.text import format_count, format_difference, format_latency, format_share, plural

Outcome = Literal["ok", "broken", "undecided"]

_RELATIONS: dict[str, Callable[[float, float], bool]] = {">": gt, ">=": ge, "<": lt, "<=": le}
_SECONDS = {"us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0}
_FORM = re.compile(r"\s*(\w+)\s*(>=|<=|>|<)\s*(-?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+))\s*(%|\w*)\s*", re.ASCII)
#: A forecast of more samples than this is not given.
_FARTHEST = 1_000_000


@dataclass(frozen=True, slots=True)
class Limit:
    """A limit that is exceeded when the figure `name` is `relation` `bound` (a share from 0 to 1, or seconds)."""

    text: str
    name: str
    relation: str
    bound: float

    def is_exceeded(self, value: float) -> bool:
        """Return whether `value` exceeds the limit."""
        return _RELATIONS[self.relation](value, self.bound)


@dataclass(frozen=True, slots=True)
class LimitResult:
    """A limit, the figure it was compared with, and the outcome; `why` is one line for people."""

    limit: Limit
    figure: Figure
    outcome: Outcome
    why: str


def parse(text: str, names: Collection[str] = NAMES) -> Limit:
    """Read a limit on one of `names`; raises `ValueError` with what is wrong with it."""
    found = _FORM.fullmatch(text)
    if found is None:
        raise ValueError(f'"{text}" is not a limit; write such as diff_rate>1% or p99_delta>50ms')
    name, relation, number, unit = found.groups()
    if name not in names:
        hint = did_you_mean(name, names) or f"known are {', '.join(names)}"
        raise ValueError(f'"{text}": there is no figure "{name}"; {hint}')
    read = _rate if name in RATES else _time
    return Limit(text.strip(), name, relation, read(text, float(number), unit))


def judge(limit: Limit, figures: Mapping[str, Figure], min_samples: int) -> LimitResult:
    """Compare a limit with its figure. Raises `KeyError` if there is no such figure."""
    figure = figures[limit.name]
    outcome, why = _judge(limit, figure, min_samples)
    return LimitResult(limit, figure, outcome, why)


def format_figure(name: str, value: float | None) -> str:
    """Write a figure's value for people: `1.25 %`, `350 ms`, of a paired difference `+4.2 ms`; `-` if there is none."""
    if name in RATES:
        return format_share(value)
    return format_difference(value) if name in DELTAS else format_latency(value)


def _judge(limit: Limit, figure: Figure, min_samples: int) -> tuple[Outcome, str]:
    samples = plural(figure.samples, "sample")
    if figure.value is None:
        return "undecided", f"{samples}, of at least {format_count(max(1, min_samples))}"
    end, word = (figure.low, "at least") if limit.relation.startswith(">") else (figure.high, "at most")
    value = f"{format_figure(limit.name, figure.value)} of {samples}"
    surely = "" if end in {None, figure.value} else f", surely {word} {format_figure(limit.name, end)}"
    if end is not None and limit.is_exceeded(end):
        return "broken", f"{value}{surely}"
    if limit.is_exceeded(figure.value):
        return "undecided", f"{value}{surely}{_forecast(limit, figure.value, end, figure.samples)}"
    if figure.samples < min_samples:
        return "undecided", f"{value}, of at least {format_count(min_samples)}"
    if figure.at_most is not None and limit.is_exceeded(figure.at_most):
        return (
            "undecided",
            f"{value}; up to {format_figure(limit.name, figure.at_most)} with fields that are unsure yet",
        )
    return "ok", value


def _forecast(limit: Limit, value: float, end: float | None, samples: int) -> str:
    """Say how many more samples decide, if the figure stays: an interval is half as wide with four times as many."""
    if end is None or value == limit.bound:
        return "; too few to be sure"
    more = ceil(samples * (((end - value) / (limit.bound - value)) ** 2 - 1))
    return (
        f"; decided in about {format_count(max(1, more))} more"
        if more < _FARTHEST
        else "; too close to decide"
    )


def _rate(text: str, number: float, unit: str) -> float:
    if unit not in {"", "%"}:
        raise ValueError(f'"{text}": a rate has no {unit}; write such as 1% or 0.01')
    if not unit and number == 1:
        raise ValueError(f'"{text}": write 1% or 100%')
    share = number / 100 if unit else number
    if not 0 <= share <= 1:
        raise ValueError(
            f'"{text}": a rate lies between 0% and 100%' + ("" if unit else f"; write {number:g}%")
        )
    return share


def _time(text: str, number: float, unit: str) -> float:
    if not unit and not number:
        return 0.0
    if unit not in _SECONDS:
        wrong = f"a time has no {unit}" if unit else "a time needs a unit"
        raise ValueError(f'"{text}": {wrong}; write such as {number:g}ms or {number:g}s')
    return number * _SECONDS[unit]
