"""What was measured: figures by scenario, proxy and round, their medians and ratios, and their JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

Figures = dict[str, float]


@dataclass(frozen=True, slots=True)
class Spread:
    """A figure over all rounds."""

    median: float
    low: float
    high: float


@dataclass(slots=True)
class Results:
    """Figures of each round (empty where it failed), and why a proxy has none."""

    rounds: dict[str, dict[str, list[Figures]]] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)
    is_interrupted: bool = False

    def add(self, scenario: str, proxy: str, figures: Figures) -> None:
        """Append the next round's figures."""
        self.rounds.setdefault(scenario, {}).setdefault(proxy, []).append(figures)

    def fail(self, scenario: str, proxy: str, reason: str) -> None:
        """Append a round without figures."""
        self.add(scenario, proxy, {})
        self.failures.setdefault(f"{scenario}, {proxy}", reason)

    def taken(self, scenario: str, proxy: str) -> list[Figures]:
        """Return the rounds of one row."""
        return self.rounds.get(scenario, {}).get(proxy, [])

    def spread(self, scenario: str, proxy: str, metric: str) -> Spread | None:
        """Return median, lowest and highest of `metric`; None when no round has it."""
        return _spread([figures[metric] for figures in self.taken(scenario, proxy) if metric in figures])

    def ratio(self, row: tuple[str, str], other: tuple[str, str], metric: str) -> Spread | None:
        """Compare `row` with `other` (scenario, proxy) round by round: the spread of the figure's ratios."""
        ratios = [
            mine[metric] / theirs[metric]
            for mine, theirs in zip(self.taken(*row), self.taken(*other), strict=False)
            if metric in mine and theirs.get(metric)
        ]
        return _spread(ratios)

    def to_json(self, machine: dict[str, Any]) -> str:
        """Return everything as JSON, with a description of the machine and the run."""
        return json.dumps(
            {"machine": machine, "failures": self.failures, "rounds": self.rounds}, indent=1, sort_keys=True
        )


def _spread(values: Sequence[float]) -> Spread | None:
    return Spread(median(values), min(values), max(values)) if values else None


def from_json(text: str) -> Results:
    """Read what `to_json` wrote."""
    told = json.loads(text)
    return Results(told["rounds"], told["failures"])
