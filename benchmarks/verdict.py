"""Verdicts: mirror-proxy's figures against the figures to reach."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.results import Results
from benchmarks.scenarios import Scenario, Target

SUBJECT = "mirror-proxy"


@dataclass(frozen=True, slots=True)
class Verdict:
    """One target and what was reached; `figure` None where a figure is missing."""

    scenario: str
    target: Target
    figure: float | None

    @property
    def word(self) -> str:
        """Return "reached", "missed" or "not measured"."""
        if self.figure is None:
            return "not measured"
        bound = self.target.bound
        is_reached = self.figure >= bound if self.target.at_least else self.figure <= bound
        return "reached" if is_reached else "missed"

    def __str__(self) -> str:
        against = f" x {self.target.against}" if self.target.against else ""
        figure = "-" if self.figure is None else f"{self.figure:.2f}"
        sign = "≥" if self.target.at_least else "≤"
        return f"{self.target.metric} {figure}{against} (to reach {sign} {self.target.bound:g}): {self.word}"


def judge(scenario: Scenario, results: Results) -> list[Verdict]:
    """Return a verdict for each target of `scenario`."""
    return [Verdict(scenario.name, target, _figure(scenario, target, results)) for target in scenario.targets]


def _figure(scenario: Scenario, target: Target, results: Results) -> float | None:
    row = (scenario.name, SUBJECT)
    if target.against and target.against in ("off", scenario.baseline):
        spread = results.ratio(row, (scenario.baseline, SUBJECT), target.metric)
    elif target.against:
        spread = results.ratio(row, (scenario.name, target.against), target.metric)
    else:
        spread = results.spread(*row, target.metric)
    return spread.median if spread else None
