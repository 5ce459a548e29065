"""Noise: whether a field differs more often between two versions than between two answers of one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from proxy.config.model import Thresholds

Verdict = Literal["reported", "noise", "unsure"]


@dataclass(frozen=True, slots=True)
class Judgement:
    """Rates are from 0 to 1, with the ends of their confidence intervals; `why` is one line for people.

    `noise_rate` None: there is no baseline at all, and then every difference is reported.
    """

    verdict: Verdict
    raw_rate: float
    raw_low: float
    raw_high: float
    noise_rate: float | None
    noise_low: float
    noise_high: float
    why: str


def judge(raw: int, compared: int, noise: int, noise_compared: int, thresholds: Thresholds) -> Judgement:
    """Judge a field that differed in `raw` of `compared` pairs, and in `noise` of `noise_compared` of one version."""
    raise NotImplementedError
