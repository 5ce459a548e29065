"""Guards, which stop a ramp: limits as in a report (`mirror_error_rate>5%`), and multiples.

    primary_p99>300ms   broken above 300 ms
    primary_p99>1.2x    broken above 1.2 times the figure from before the ramp

Only times of the primary take a multiple: any other figure may have been 0 before, which every number exceeds.
`loop_lag` is the lower of the slowest worker's last two loop lags: a single late tick does not break a guard.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from mirror_proxy.comparison.report import limits
from mirror_proxy.comparison.report.figures import LOOP_LAG, Figure
from mirror_proxy.comparison.report.limits import Limit, LimitResult
from mirror_proxy.ramp.target import CanaryTarget, Target

#: The default guards, by the kind of target; a given guard replaces the default guard of its figure.
MIRROR_GUARDS = ("mirror_error_rate>5%", "loop_lag>250ms")
CANARY_GUARDS = ("primary_error_rate>5%", "loop_lag>250ms")

_MULTIPLE = re.compile(r"\s*(\w+)\s*>\s*([0-9]+(?:\.[0-9]*)?|\.[0-9]+)x\s*", re.ASCII)


@dataclass(frozen=True, slots=True)
class Guard:
    """A limit; if it `is_multiple`, its bound is a multiple of the figure from before the ramp."""

    limit: Limit
    is_multiple: bool = False

    def judge(
        self, figures: Mapping[str, Figure], before: Mapping[str, Figure], min_samples: int
    ) -> LimitResult:
        """Judge the figures of a step. Raises `KeyError` if a figure is missing."""
        limit = self.limit
        if self.is_multiple:
            limit = replace(limit, bound=limit.bound * (before[limit.name].value or 0.0))
        return limits.judge(limit, figures, 1 if limit.name == LOOP_LAG else min_samples)


def guards_for(target: Target, given: Iterable[str]) -> tuple[Guard, ...]:
    """Return the guards of a ramp: those `given`, and default guards of other figures. Raises `ValueError`."""
    read = [_read(text, target) for text in given]
    named = {guard.limit.name for guard in read}
    default = [_read(text, target) for text in _default(target)]
    return (*read, *(guard for guard in default if guard.limit.name not in named))


def _default(target: Target) -> tuple[str, ...]:
    return CANARY_GUARDS if isinstance(target, CanaryTarget) else MIRROR_GUARDS


def _read(text: str, target: Target) -> Guard:
    found = _MULTIPLE.fullmatch(text)
    if found is None:
        return Guard(limits.parse(text, (*target.figures, LOOP_LAG)))
    name, times = found[1], float(found[2])
    timed = [known for known in target.figures if known.startswith("primary_p")]
    if name not in timed:
        raise ValueError(f'"{text}": only {", ".join(timed)} may be limited by a multiple')
    if times <= 1:
        raise ValueError(f'"{text}": {found[2]}x would stop a ramp that changes nothing')
    return Guard(Limit(text.strip(), name, ">", times), is_multiple=True)
