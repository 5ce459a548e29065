"""Place: what is counted of one place of the responses of an endpoint, and what is judged of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Verdict = Literal["reported", "noise", "unsure"]


@dataclass(frozen=True, slots=True)
class Place:
    """A path and kind that differed in `raw` of `compared` pairs, and in `noise` of `noise_compared` of one version.

    A row that stands for many places may differ more than once in a pair; it counts as differing in every pair.
    """

    route: str
    endpoint: str
    path: str
    kind: str
    raw: int
    compared: int
    noise: int
    noise_compared: int

    @property
    def counts(self) -> tuple[int, int, int, int]:
        """The four counts, none above its number of pairs."""
        return (
            min(self.raw, self.compared), self.compared, min(self.noise, self.noise_compared), self.noise_compared
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Judgement:
    """Rates are from 0 to 1, with the ends of their confidence intervals; `why` is one line for people.

    `noise_rate` None: the endpoint has no baseline.
    """

    verdict: Verdict
    raw_rate: float
    raw_low: float
    raw_high: float
    noise_rate: float | None
    noise_low: float
    noise_high: float
    why: str
