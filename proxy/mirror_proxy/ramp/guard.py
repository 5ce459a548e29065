"""Guards: what stops a ramp. Limits as a report has them (`mirror_error_rate>5%`), and one form more.

    primary_p99>300ms   too much is more than 300 ms
    primary_p99>1.2x    too much is more than 1.2 times what it was before the ramp

The multiple is of a time of the primary's: all else may have been nothing before, and any number is more than that.
`loop_lag` is what the slowest worker's loop was late by, twice in a row: a single late tick says nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from mirror_proxy.comparison.report import limits
from mirror_proxy.comparison.report.figures import LOOP_LAG, Figure
from mirror_proxy.comparison.report.limits import Limit, LimitResult
from mirror_proxy.ramp.target import CanaryTarget, Target

#: What guards a ramp that is given none, by what it ramps; one that is given takes the place of one on its figure.
MIRROR_GUARDS = ("mirror_error_rate>5%", "loop_lag>250ms")
CANARY_GUARDS = ("primary_error_rate>5%", "loop_lag>250ms")

_MULTIPLE = re.compile(r"\s*(\w+)\s*>\s*([0-9]+(?:\.[0-9]*)?|\.[0-9]+)x\s*", re.ASCII)


@dataclass(frozen=True, slots=True)
class Guard:
    """A limit; where it `is_multiple`, its bound is so many times the figure from before the ramp."""

    limit: Limit
    is_multiple: bool = False

    def judge(
        self, figures: Mapping[str, Figure], before: Mapping[str, Figure], min_samples: int
    ) -> LimitResult:
        """Hold it against the figures of a step. Raises `KeyError` when one it needs is not among them."""
        limit = self.limit
        if self.is_multiple:
            limit = replace(limit, bound=limit.bound * (before[limit.name].value or 0.0))
        return limits.judge(limit, figures, 1 if limit.name == LOOP_LAG else min_samples)


def guards_for(target: Target, given: Iterable[str]) -> tuple[Guard, ...]:
    """Return the guards of a ramp: those `given`, and the usual ones on other figures. Raises `ValueError`."""
    read = [_read(text, target) for text in given]
    named = {guard.limit.name for guard in read}
    usual = [_read(text, target) for text in _usual(target)]
    return (*read, *(guard for guard in usual if guard.limit.name not in named))


def _usual(target: Target) -> tuple[str, ...]:
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
